package qfpay

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/notify"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/store"
)

// kiosk is a whole box with one simulated terminal, the listener for QFPay's
// cloud on a real port, and the cloud.
type kiosk struct {
	t     *testing.T
	g     *gateway.Gateway
	store *store.Store
	cloud link.NotifySimulator
	url   string
	paid  int
}

func newKiosk(t *testing.T, terminal, cloud []string) *kiosk {
	t.Helper()
	k := &kiosk{t: t}
	sim, err := NewSimulator(link.SimulatorConfig{Script: terminal})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	w := &world{t: t, sim: sim}
	now := func() payment.Moment { return payment.Moment{Time: time.Now(), Clock: payment.ClockSynced} }
	if k.store, err = store.Open(store.Options{Dir: t.TempDir(), SegmentSize: 256 << 10, Destinations: []string{"local"}, Now: now}); err != nil {
		t.Fatal(err)
	}
	settings := defaults()
	settings.QueryTimeout = time.Second
	k.g, err = gateway.New(gateway.Options{Journal: k.store, Now: now, Notices: true, Terminals: []gateway.Terminal{{
		Name: "t1", Driver: Driver(), MaxAmount: hkd(1e6), Pace: 20 * time.Millisecond, Test: true,
		Link: link.Config{Currency: "HKD", Longest: time.Second, Dial: w.dial, Settings: settings},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	profile := noticeSettings(t, nil)
	if k.cloud, err = newCloud(link.NotifySimulatorConfig{Settings: profile, Script: cloud}); err != nil {
		t.Fatal(err)
	}
	d := Driver().Notify
	n, err := d.Open(link.NotifyConfig{Name: "qfpay", Settings: profile})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := notify.Listen(notify.Options{Address: "127.0.0.1:0", Gateway: k.g, Hold: time.Millisecond, Senders: []notify.Sender{{
		Name: "qfpay", Path: d.Path, Notifier: n, Accepted: d.Accepted, Refused: d.Refused, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	k.url = "http://" + listener.Addr().String() + d.Path
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- k.g.Run(ctx) }()
	go func() { ended <- listener.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		for range 2 {
			if err := <-ended; err != nil {
				t.Errorf("at the end: %v", err)
			}
		}
		k.store.Close()
	})
	return k
}

// until waits for a payment to be as ok says.
func (k *kiosk) until(id payment.ID, what string, ok func(payment.Record) bool) payment.Record {
	k.t.Helper()
	var rec payment.Record
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var err error
		if rec, err = k.store.Find(id); err == nil && ok(rec) {
			return rec
		}
	}
	k.t.Fatalf("%s never becomes %s: %+v", id, what, rec)
	return rec
}

// start sends a command until the terminal takes it.
func (k *kiosk) start(c payment.Command) payment.ID {
	k.t.Helper()
	k.paid++
	c.ID = payment.ID(fmt.Sprintf("P%d", k.paid))
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		switch r := k.g.Do(context.Background(), c); {
		case r.Status == payment.ReplyAccepted:
			return c.ID
		case r.Reason != payment.ReasonOffline && r.Reason != payment.ReasonBusy && r.Reason != payment.ReasonUnsettled:
			k.t.Fatalf("%s: %+v", c.Verb, r)
		}
	}
	k.t.Fatalf("%s is never accepted", c.Verb)
	return ""
}

func (k *kiosk) sell(minor int64) payment.Record {
	k.t.Helper()
	id := k.start(payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{Amount: hkd(minor)}})
	return k.until(id, "final or doubtful", func(r payment.Record) bool { return r.State == payment.StateFinal || r.State == payment.StateInDoubt })
}

// post has the cloud tell its next behaviour about a payment, and holds the
// listener to the answer that an honest one gives.
func (k *kiosk) post(op payment.Operation, name string, amount payment.Money) {
	k.t.Helper()
	posts, err := k.cloud.Requests(link.NotifyStory{Operation: op, Name: name, Amount: amount})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, p := range posts {
		k.send(p)
	}
}

func (k *kiosk) send(p link.NotifyPost) {
	k.t.Helper()
	req, err := http.NewRequest(http.MethodPost, k.url, p.Body)
	if err != nil {
		k.t.Fatal(err)
	}
	req.Header = p.Header
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		k.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	want := Driver().Notify.Accepted
	if p.Refused {
		want = Driver().Notify.Refused
	}
	if err != nil || resp.StatusCode != want.Status || string(body) != want.Body {
		k.t.Errorf("got %d %q, %v, want %d %q", resp.StatusCode, body, err, want.Status, want.Body)
	}
}

func (k *kiosk) text(id payment.ID) string {
	k.t.Helper()
	rec, err := k.store.Find(id)
	if err != nil {
		k.t.Fatal(err)
	}
	b, err := json.Marshal(rec)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(b)
}

func (k *kiosk) alerts() (codes []payment.AlertCode) {
	for _, a := range k.g.Status().Alerts {
		codes = append(codes, a.Code)
	}
	return codes
}

// TestNotification: the cloud tells of a payment that the terminal told of: it
// is put to it, once. What is forged, changed, unsigned, stale or told again
// changes nothing at all.
func TestNotification(t *testing.T) {
	bad := []string{"wrong-key", "unsigned", "changed", "half", "stale", "rubbish", "unknown-type", "disagree"}
	k := newKiosk(t, []string{"approve"}, append(append([]string{}, bad...), "approve", "repeat:3"))
	rec := k.sell(1010)
	before := k.text(rec.ID)
	for _, name := range bad {
		k.post(payment.Purchase, rec.Attempt, rec.Amount)
		if after := k.text(rec.ID); after != before {
			t.Errorf("%s changes %s to %s", name, before, after)
		}
	}
	posts, err := k.cloud.Requests(link.NotifyStory{Operation: payment.Purchase, Name: rec.Attempt, Amount: rec.Amount})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(posts[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 { // the same bytes again, as after a lost SUCCESS
		posts[0].Body = bytes.NewReader(body)
		k.send(posts[0])
		got, err := k.store.Find(rec.ID)
		if err != nil || len(got.Notices) != 1 || got.Notices[0].Match != payment.MatchAttempt || got.Outcome.Result != payment.Approved || got.Contradicted != nil {
			t.Errorf("after %d: got %+v, %v", i+1, got, err)
		}
	}
	if got := k.alerts(); len(got) != 1 || got[0] != payment.AlertNotice { // of what was genuine and not understood
		t.Errorf("alerts: %v", got)
	}
}

// TestNotificationEndsDoubt: the terminal cannot tell what became of a payment,
// and the cloud can: that ends the doubt, with where it was told.
func TestNotificationEndsDoubt(t *testing.T) {
	k := newKiosk(t, []string{"foreign-query+way:second", "approve"}, []string{"approve"})
	id := k.start(payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{Amount: hkd(1010)}})
	rec := k.until(id, "doubtful", func(r payment.Record) bool { return r.State == payment.StateInDoubt })
	k.post(payment.Purchase, rec.Attempt, rec.Amount)
	rec = k.until(id, "final", func(r payment.Record) bool { return r.State == payment.StateFinal })
	if rec.Outcome.Result != payment.Approved || rec.Outcome.Source != payment.SourceNotification || rec.Outcome.Amount != hkd(1010) {
		t.Errorf("got %+v", rec.Outcome)
	}
	if next := k.sell(500); next.Outcome.Result != payment.Approved {
		t.Errorf("the next sale: got %+v", next)
	}
}

// TestNotificationContradicts: the cloud says otherwise than what is recorded.
// Nothing is overwritten, and a person is told.
func TestNotificationContradicts(t *testing.T) {
	for _, tt := range []struct {
		terminal, cloud string
		recorded        payment.Result
		told            payment.Result
	}{
		{"decline", "approve", payment.Declined, payment.Approved},
		{"approve", "wrong-amount", payment.Approved, payment.Approved},
		{"approve", "taken-back", payment.Approved, payment.Reversed},
	} {
		k := newKiosk(t, []string{tt.terminal}, []string{tt.cloud})
		rec := k.sell(1010)
		k.post(payment.Purchase, rec.Attempt, rec.Amount)
		rec = k.until(rec.ID, "contradicted", func(r payment.Record) bool { return r.Contradicted != nil })
		if rec.Outcome.Result != tt.recorded || rec.Contradicted.Result != tt.told {
			t.Errorf("%s, and the cloud %s: got %+v", tt.terminal, tt.cloud, rec)
		}
		if got := k.alerts(); len(got) != 1 || got[0] != payment.AlertContradicted {
			t.Errorf("%s, and the cloud %s: alerts %v", tt.terminal, tt.cloud, got)
		}
	}
}

// TestNotificationOfRefund: our own refund is told of, whichever comes first; one
// that somebody made behind our back is a contradiction, with its payment or
// alone.
func TestNotificationOfRefund(t *testing.T) {
	k := newKiosk(t, []string{"approve"}, []string{"refund-first", "refunded", "approve"})
	sale := k.sell(1010)
	id := k.start(payment.Command{Verb: payment.VerbRefund, Request: payment.Request{Amount: hkd(1010), Original: payment.Reference{Payment: sale.ID}}})
	k.until(id, "final", func(r payment.Record) bool { return r.State == payment.StateFinal })
	k.post(payment.Refund, sale.Attempt, sale.Amount)
	back := k.until(id, "told of", func(r payment.Record) bool { return len(r.Notices) == 1 })
	sale = k.until(sale.ID, "told of", func(r payment.Record) bool { return len(r.Notices) == 1 })
	if back.Contradicted != nil || sale.Contradicted != nil || back.Outcome.Result != payment.Approved {
		t.Errorf("our own refund: got %+v of %+v", back, sale)
	}
	for _, notices := range []int{2, 1} {
		other := k.sell(2020)
		k.post(payment.Refund, other.Attempt, other.Amount)
		other = k.until(other.ID, "contradicted", func(r payment.Record) bool { return r.Contradicted != nil && len(r.Notices) == notices })
		if other.Contradicted.Result != payment.Reversed || other.Outcome.Result != payment.Approved {
			t.Errorf("behind our back: got %+v", other)
		}
	}
}

// TestNotificationOfOthers: a transaction that was not made here is journalled
// and announced as external.
func TestNotificationOfOthers(t *testing.T) {
	k := newKiosk(t, []string{"approve"}, []string{"approve"})
	posts, err := k.cloud.Requests(link.NotifyStory{Operation: payment.Purchase, Name: "SOMEBODYELSE00000000", Amount: hkd(700)})
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(posts[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	posts[0].Body = bytes.NewReader(body)
	k.send(posts[0])
	var m map[string]string
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	rec, err := k.store.Find(payment.External("qfpay", m["syssn"]))
	if err != nil || rec.State != payment.StateExternal || rec.Outcome.Result != payment.Approved || rec.Amount != hkd(700) {
		t.Errorf("got %+v, %v", rec, err)
	}
	events, err := k.store.Pending("local", 100)
	if err != nil || !slices.ContainsFunc(events, func(e payment.Event) bool { return e.Type == payment.EventExternal }) {
		t.Errorf("it is not announced: %+v, %v", events, err)
	}
}
