package qfpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

const noticeKey = "3ABB1BFFE2E0497BB9270978B0B00000"

func noticeSettings(t *testing.T, edit func(*NotifySettings)) *NotifySettings {
	t.Helper()
	s := notifyDefaults()
	s.KeyFile = filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(s.KeyFile, []byte(noticeKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(s)
	}
	return s
}

func openNotices(t *testing.T, s *NotifySettings) *notifier {
	t.Helper()
	n, err := openNotifier(link.NotifyConfig{Name: "qfpay", Settings: s})
	if err != nil {
		t.Fatal(err)
	}
	return n.(*notifier)
}

// TestNotificationSample reads QFPay's own sample, with a signature that md5sum
// made.
func TestNotificationSample(t *testing.T) {
	body, err := os.ReadFile("testdata/notification.json")
	if err != nil {
		t.Fatal(err)
	}
	s := noticeSettings(t, func(s *NotifySettings) { s.StaleAfter = 0 })
	const sign = "F754BE8B79819EA2188B69329D5D4095"
	r := link.NotifyRequest{Header: http.Header{signHeader: {sign}}, Body: body}
	all, err := openNotices(t, s).Decode(r)
	if err != nil || len(all) != 1 {
		t.Fatalf("got %+v, %v", all, err)
	}
	n := all[0]
	o := n.Outcome
	if n.Operation != payment.Purchase || n.Transaction != "20200615000200020000641807" || len(n.Names) != 1 || n.Names[0] != "9G3ZIWTG1R3IVSC2AH2O5EGKJQ7I72QO" {
		t.Errorf("got %+v", n)
	}
	if o.Result != payment.Approved || o.Amount != hkd(10) || o.Source != payment.SourceNotification || o.Reference.MID != "O37MRh6Qq5" || o.Vendor.Code != "0000" {
		t.Errorf("got %+v", o)
	}
	if want := time.Date(2020, 6, 15, 2, 33, 35, 0, time.UTC); !n.At.Equal(want) {
		t.Errorf("got %v, want %v", n.At, want)
	}
	if text, err := json.Marshal(n); err != nil || strings.Contains(string(text), "2088032341453564") {
		t.Errorf("an account of the customer is kept: %s, %v", text, err)
	}
	n.From = "qfpay"
	if err := n.Validate(); err != nil {
		t.Error(err)
	}
	var certified, explained bytes.Buffer
	r.Body = append(bytes.Clone(body), '\n') // as an editor leaves it
	if err := certifyNotice(&certified, s, r); err != nil || !strings.Contains(certified.String(), "good") {
		t.Errorf("certify: got %s, %v", &certified, err)
	}
	r.Body[20]++
	if err := certifyNotice(io.Discard, s, r); err == nil {
		t.Error("certify: a changed body is good")
	}
	if err := Explain(&explained, body); err != nil || strings.Contains(explained.String(), "2088032341453564") || !strings.Contains(explained.String(), "purchase approved") {
		t.Errorf("explain: got %s, %v", &explained, err)
	}
}

// TestNotificationFields: what each field may say, and what is not understood.
func TestNotificationFields(t *testing.T) {
	n := openNotices(t, noticeSettings(t, nil))
	pay := map[string]any{"notify_type": "payment", "status": "1", "respcd": "0000", "cancel": "0", "syssn": "20200615", "out_trade_no": "ATTEMPT", "txamt": "1010", "txcurrcd": "HKD"}
	back := map[string]any{"notify_type": "refund", "respcd": "0000", "syssn": "20200616", "orig_syssn": "20200615", "orig_out_trade_no": "ATTEMPT", "txamt": 500, "txcurrcd": "344"}
	for _, tt := range []struct {
		name   string
		of     map[string]any
		change string // key=value; "" removes nothing
		want   payment.Result
		op     payment.Operation
		amount payment.Money
	}{
		{"payment", pay, "", payment.Approved, payment.Purchase, hkd(1010)},
		{"number as currency", pay, "txcurrcd=344", payment.Approved, payment.Purchase, hkd(1010)},
		{"another currency", pay, "txcurrcd=CNY", payment.Approved, payment.Purchase, payment.Money{Minor: 1010, Currency: "CNY"}},
		{"no currency", pay, "txcurrcd=", payment.Approved, payment.Purchase, hkd(1010)},
		{"without a status", pay, "status=", payment.Approved, payment.Purchase, hkd(1010)},
		{"reversed", pay, "cancel=1", payment.Reversed, payment.Purchase, hkd(1010)},
		{"cancelled", pay, "cancel=2", payment.Reversed, payment.Purchase, hkd(1010)},
		{"refunded", pay, "cancel=3", payment.Reversed, payment.Purchase, hkd(1010)},
		{"refunded in part", pay, "cancel=5", payment.Approved, payment.Purchase, hkd(1010)},
		{"refused", pay, "respcd=1201 status=0", payment.Declined, payment.Purchase, hkd(1010)},
		{"refund", back, "", payment.Approved, payment.Refund, hkd(500)},
		{"refund, the other word", back, "notify_type=cancel", payment.Approved, payment.Refund, hkd(500)},
		{"yes and no", pay, "status=0", "", "", payment.Money{}},
		{"no and yes", pay, "respcd=1201", "", "", payment.Money{}},
		{"open", pay, "respcd=1143", "", "", payment.Money{}},
		{"unknown cancel", pay, "cancel=4", "", "", payment.Money{}},
		{"unknown type", pay, "notify_type=greeting", "", "", payment.Money{}},
		{"no type", pay, "notify_type=", "", "", payment.Money{}},
		{"no number", pay, "syssn=", "", "", payment.Money{}},
		{"a number with a line break", pay, "syssn=1\n2", "", "", payment.Money{}},
		{"refund of nothing", back, "orig_syssn=", "", "", payment.Money{}},
		{"no amount", pay, "txamt=", "", "", payment.Money{}},
		{"major amount", pay, "txamt=10.10", "", "", payment.Money{}},
		{"no money", pay, "txamt=0", "", "", payment.Money{}},
		{"negative", pay, "txamt=-5", "", "", payment.Money{}},
		{"unknown currency", pay, "txcurrcd=XXQ", "", "", payment.Money{}},
	} {
		m := map[string]any{}
		for k, v := range tt.of {
			m[k] = v
		}
		for _, c := range strings.Split(tt.change, " ") {
			if k, v, ok := strings.Cut(c, "="); ok {
				m[k] = v
			}
		}
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		all, err := n.Decode(link.NotifyRequest{Header: http.Header{signHeader: {strings.ToLower(signature(body, n.key))}}, Body: body})
		if tt.want == "" {
			if !errors.Is(err, link.ErrUnreadable) || strings.Contains(err.Error(), "ATTEMPT") {
				t.Errorf("%s: got %+v, %v", tt.name, all, err)
			}
			continue
		}
		if err != nil || len(all) != 1 || all[0].Outcome.Result != tt.want || all[0].Operation != tt.op || all[0].Outcome.Amount != tt.amount ||
			all[0].Transaction != "20200615" || all[0].Names[0] != "ATTEMPT" || all[0].Outcome.Reference.Receipt != m["syssn"] {
			t.Errorf("%s: got %+v, %v", tt.name, all, err)
		}
	}
}

// TestNotificationBehaviours: what the simulated cloud posts is taken or refused
// as it says, and repetitions are the same notice.
func TestNotificationBehaviours(t *testing.T) {
	s := noticeSettings(t, nil)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(200 * 24 * time.Hour)
		n := openNotices(t, s)
		behaviours := map[string]int{
			"approve": 1, "approve+numbers": 1, "approve+lower": 1, "wrong-key": 1, "unsigned": 1, "changed": 1, "changed+numbers": 1, "half": 1, "rubbish": 1,
			"unknown-type": 1, "disagree": 1, "repeat:3": 3, "stale": 1, "late": 1, "wrong-amount": 1, "taken-back": 1,
		}
		told := func(op payment.Operation, name string, posts int) {
			q, err := newCloud(link.NotifySimulatorConfig{Settings: s, Script: []string{name}})
			if err != nil {
				t.Fatal(err)
			}
			all, err := q.Requests(link.NotifyStory{Operation: op, Name: "ATTEMPTATTEMPT", Amount: hkd(1010)})
			if err != nil || len(all) != posts {
				t.Fatalf("%s of a %s: got %d posts, %v", name, op, len(all), err)
			}
			keys := map[string]bool{}
			for _, p := range all {
				body, err := io.ReadAll(p.Body)
				if err != nil {
					t.Fatal(err)
				}
				notices, err := n.Decode(link.NotifyRequest{Header: p.Header, Body: body})
				if (err != nil) != p.Refused {
					t.Errorf("%s of a %s: got %+v, %v, and it says refused is %v", name, op, notices, err, p.Refused)
				}
				for _, o := range notices {
					keys[o.Transaction+o.Key] = true
				}
				if genuine := errors.Is(err, link.ErrUnreadable); genuine != (name == "rubbish" || name == "unknown-type" || name == "disagree") {
					t.Errorf("%s of a %s: a person is told: %v (%v)", name, op, genuine, err)
				}
			}
			if len(keys) > 1 {
				t.Errorf("%s of a %s: %d notices", name, op, len(keys))
			}
		}
		for _, op := range []payment.Operation{payment.Purchase, payment.Refund, payment.Reversal} {
			for name, posts := range behaviours {
				told(op, name, posts)
			}
		}
	})
}

// TestNotificationsOfOne: the simulated cloud tells of a refund with its payment,
// in either order, or later and alone, and always of the same transaction. It
// has nothing to tell of what QFPay does not notify.
func TestNotificationsOfOne(t *testing.T) {
	s := noticeSettings(t, nil)
	n := openNotices(t, s)
	for _, tt := range []struct {
		script []string
		told   []payment.Operation // one after the other to the same cloud
		want   string
	}{
		{[]string{"refunded"}, []payment.Operation{payment.Purchase}, "purchase refund"},
		{[]string{"refunded"}, []payment.Operation{payment.Reversal}, "purchase refund"},
		{[]string{"refund-first"}, []payment.Operation{payment.Purchase}, "refund purchase"},
		{[]string{"refund-first"}, []payment.Operation{payment.Refund}, "refund purchase"},
		{[]string{"approve"}, []payment.Operation{payment.Purchase, payment.Refund}, "purchase refund"},
		{[]string{"approve"}, []payment.Operation{payment.Refund}, "refund"},
		{[]string{"approve"}, []payment.Operation{payment.Completion}, ""},
	} {
		q, err := newCloud(link.NotifySimulatorConfig{Settings: s, Script: tt.script})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		about := map[string]bool{}
		for _, op := range tt.told {
			posts, err := q.Requests(link.NotifyStory{Operation: op, Name: "ATTEMPTATTEMPT", Amount: hkd(1010)})
			if (err != nil) != (tt.want == "") {
				t.Fatalf("%v of %v: %d posts, %v", tt.script, tt.told, len(posts), err)
			}
			for _, p := range posts {
				body, err := io.ReadAll(p.Body)
				if err != nil {
					t.Fatal(err)
				}
				notices, err := n.Decode(link.NotifyRequest{Header: p.Header, Body: body})
				if err != nil || len(notices) != 1 || notices[0].Names[0] != "ATTEMPTATTEMPT" {
					t.Fatalf("%v of %v: %+v, %v", tt.script, tt.told, notices, err)
				}
				got = append(got, string(notices[0].Operation))
				about[notices[0].Transaction] = true
			}
		}
		if strings.Join(got, " ") != tt.want || len(about) > 1 {
			t.Errorf("%v of %v: %v about %d transactions, want %s", tt.script, tt.told, got, len(about), tt.want)
		}
	}
}

func TestNotifySettings(t *testing.T) {
	for field, edit := range map[string]func(*NotifySettings){
		"key_file": func(s *NotifySettings) { s.KeyFile = "key" }, "stale_after": func(s *NotifySettings) { s.StaleAfter = time.Hour }, "zone": func(s *NotifySettings) { s.Zone = "HKT" },
	} {
		s := notifyDefaults()
		edit(s)
		v, _ := errors.AsType[payment.Invalid](s.Validate())
		if len(v) != 1 || v[0].Field != field {
			t.Errorf("%s: got %v", field, v)
		}
	}
	file := filepath.Join(t.TempDir(), "key")
	for text, mode := range map[string]os.FileMode{"short": 0o600, strings.Repeat("x", 129): 0o600, noticeKey: 0o644} {
		if err := errors.Join(os.WriteFile(file, []byte(text), mode), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		if _, err := openNotifier(link.NotifyConfig{Settings: &NotifySettings{KeyFile: file, Zone: "+08:00"}}); err == nil || strings.Contains(err.Error(), noticeKey) {
			t.Errorf("%d characters, mode %o: got %v", len(text), mode, err)
		}
	}
	if _, err := openNotifier(link.NotifyConfig{Settings: notifyDefaults()}); err == nil {
		t.Error("no key file: no error")
	}
}

// FuzzNotice: whatever is posted, nothing that is not signed is believed, and
// what is believed can be journalled.
func FuzzNotice(f *testing.F) {
	k := posKey{noticeKey}
	n := &notifier{settings: notifyDefaults(), key: k, zone: time.UTC, currency: "HKD"}
	f.Add([]byte(`{"notify_type":"payment","respcd":"0000","syssn":"1","out_trade_no":"A","txamt":"1"}`), true)
	f.Add([]byte(`{"notify_type":"cancel","respcd":"00","syssn":"1","orig_syssn":2,"txamt":1}`), true)
	f.Fuzz(func(t *testing.T, body []byte, signed bool) {
		h := http.Header{}
		if signed {
			h.Set("X-QF-SIGN", signature(body, k))
		}
		all, err := n.Decode(link.NotifyRequest{Header: h, Body: body})
		if !signed && err == nil {
			t.Errorf("unsigned, and got %+v", all)
		}
		for _, o := range all {
			o.From = "qfpay"
			if err := o.Validate(); err != nil || o.Outcome.Amount.Minor <= 0 {
				t.Errorf("got %+v: %v", o, err)
			}
		}
		Explain(io.Discard, body)
	})
}
