package zengi

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

func sample(t testing.TB) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "ipn_sample.json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read decodes a text that has been opened, with the default profile.
func read(t testing.TB, text string, edit ...func(*Settings)) (payment.Notice, error) {
	t.Helper()
	s := defaults()
	for _, e := range edit {
		e(s)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	o, err := parseObject([]byte(text))
	if err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return (&profile{Settings: s}).notice(o, "VND")
}

// with is the document's sample with some members changed; nil removes one.
func with(t testing.TB, change map[string]any) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(sample(t), &m); err != nil {
		t.Fatal(err)
	}
	maps.Copy(m, change)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSample(t *testing.T) {
	got, err := read(t, string(sample(t)))
	if err != nil {
		t.Fatal(err)
	}
	want := payment.Notice{
		Key: "SALE/000021/approved/20250528160901", Transaction: "20250528160901", Operation: payment.Purchase, Names: []string{"20250528160901"},
		At: time.Date(2025, 5, 28, 9, 9, 17, 0, time.UTC),
		Outcome: payment.Outcome{
			Result: payment.Approved, Amount: payment.Money{Minor: 123456, Currency: "VND"}, Response: "00", Source: payment.SourceNotification,
			Vendor: payment.VendorCode{Code: "SUCCESS", Text: "SALE"},
			Reference: payment.Reference{
				STAN: "000021", RRN: "438498133462", Auth: "000000", MID: "000000000000001", Batch: "000001", Receipt: "000014", Serial: "1495222030", Time: "20250528160917",
			},
			Card: payment.Card{PAN: payment.MaskPAN("1825"), Scheme: "MASTERCARD", Entry: payment.EntryChip, AID: "A0000000041010", Label: "Debit Mastercard"},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The document spells transactionType and reqID in two ways each; a comma too
// many is in its own sample.
func TestSpellings(t *testing.T) {
	for _, text := range []string{
		`{"id":"1","transactionType":"SALE","reqId":"R","isoResponseCode":"00","status":"SUCCESS","amount":"5"}`,
		`{"id":"1","transaction_type":"sale","reqID":"R","isoResponseCode":"00","status":"success","amount":5,}`,
		`{"id":1,"TransactionType":"SALE","REQID":"R","iso_response_code":"00","Status":"Success","amount":"5","currency":"704", }`,
		`{"id":"1","transactionType":"SALE","transaction_type":"SALE","reqId":"R","isoResponseCode":"00","status":"SUCCESS","amount":"5","settlementList":null}`,
	} {
		n, err := read(t, text)
		if err != nil || n.Operation != payment.Purchase || n.Transaction != "1" || len(n.Names) != 1 || n.Names[0] != "R" ||
			n.Outcome.Result != payment.Approved || n.Outcome.Amount != (payment.Money{Minor: 5, Currency: "VND"}) {
			t.Errorf("%s: %+v %v", text, n, err)
		}
	}
	for _, text := range []string{
		`{"transactionType":"SALE","transaction_type":"VOID"}`, `{"id":"1","id":"2"}`, `[]`, `{"a":1}{}`, `{"a":1`, `{"a":1}x`, ``, `{"a":,}`,
	} {
		if _, err := parseObject([]byte(text)); err == nil {
			t.Errorf("%s: read", text)
		}
	}
}

func TestTransactionTypes(t *testing.T) {
	for word, want := range map[string]payment.Operation{
		"SALE": payment.Purchase, "VOID": payment.Reversal, "SETTLEMENT": payment.Reconciliation,
		"PRE_AUTH": payment.Preauthorization, "PreAuth": payment.Preauthorization, "PRE-AUTH": payment.Preauthorization,
		"PRE_AUTH_COMPLETE": payment.Completion, "PreAuth-Complete": payment.Completion,
	} {
		n, err := read(t, with(t, map[string]any{"transaction_type": word}))
		if err != nil || n.Operation != want || n.Outcome.Result != payment.Approved {
			t.Errorf("%s: %s %s %v, want %s", word, n.Operation, n.Outcome.Result, err, want)
		}
	}
	for _, word := range []string{"LOGON", "REVERSAL", "Batch Upload", "BATCH_UPLOAD", "", "TIP"} {
		if _, err := read(t, with(t, map[string]any{"transaction_type": word})); !errors.Is(err, link.ErrUnreadable) {
			t.Errorf("%q: %v", word, err)
		}
	}
}

// Paid only if isoResponseCode and status both say so.
func TestPaidOnlyIfBothSaySo(t *testing.T) {
	for _, tt := range []struct {
		code, status string
		want         payment.Result
	}{
		{"00", "SUCCESS", payment.Approved},
		{"00", "success", payment.Approved},
		{"00", "FAIL", payment.InDoubt},
		{"00", "PENDING", payment.InDoubt},
		{"00", "", payment.InDoubt},
		{"", "SUCCESS", payment.InDoubt},
		{"51", "SUCCESS", payment.InDoubt},
		{"51", "FAIL", payment.Declined},
		{"51", "", payment.InDoubt},
		{"68", "FAIL", payment.InDoubt}, // the bank may have approved
		{"0", "SUCCESS", payment.InDoubt},
		{"000", "SUCCESS", payment.InDoubt},
		{"zz", "FAIL", payment.InDoubt},
	} {
		n, err := read(t, with(t, map[string]any{"isoResponseCode": tt.code, "status": tt.status}))
		if err != nil || n.Outcome.Result != tt.want {
			t.Errorf("%q %q: %s %v, want %s", tt.code, tt.status, n.Outcome.Result, err, tt.want)
		}
		if tt.want == payment.InDoubt && n.Outcome.Text == "" {
			t.Errorf("%q %q: nobody says why", tt.code, tt.status)
		}
	}
	paid := func(s *Settings) { s.Success = []string{"DONE"} }
	if n, _ := read(t, with(t, map[string]any{"status": "DONE"}), paid); n.Outcome.Result != payment.Approved {
		t.Errorf("another word for paid: %s", n.Outcome.Result)
	}
}

func TestAmounts(t *testing.T) {
	for _, tt := range []struct {
		amount   any
		currency string
		factor   int64
		want     payment.Money
	}{
		{"123456", "VND", 1, payment.Money{Minor: 123456, Currency: "VND"}},
		{"123456", "", 1, payment.Money{Minor: 123456, Currency: "VND"}},
		{"12345600", "704", 100, payment.Money{Minor: 123456, Currency: "VND"}},
		{json.Number("123456"), "VND", 1, payment.Money{Minor: 123456, Currency: "VND"}},
		{"12345601", "VND", 100, payment.Money{}},
		{"1234.56", "VND", 1, payment.Money{}},
		{"-5", "VND", 1, payment.Money{}},
		{"0", "VND", 1, payment.Money{}},
		{"", "VND", 1, payment.Money{}},
		{"99999999999999999999", "VND", 1, payment.Money{}},
		{"5", "XQQ", 1, payment.Money{}},
	} {
		n, err := read(t, with(t, map[string]any{"amount": tt.amount, "currency": tt.currency}), func(s *Settings) { s.AmountFactor = tt.factor })
		if err != nil || n.Outcome.Amount != tt.want {
			t.Errorf("%v %s: %s %v, want %s", tt.amount, tt.currency, n.Outcome.Amount, err, tt.want)
		}
		if want := map[bool]payment.Result{true: payment.InDoubt, false: payment.Approved}[tt.want.IsZero()]; n.Outcome.Result != want {
			t.Errorf("%v %s: %s, want %s", tt.amount, tt.currency, n.Outcome.Result, want)
		}
	}
}

func TestNames(t *testing.T) {
	text := with(t, map[string]any{"reqId": "R", "merchantTransId": "M", "billId": "B", "extraData": `{"order":"E","n":7}`})
	for _, tt := range []struct {
		fields []string
		want   string
	}{
		{defaults().Names, "R M B"},
		{[]string{"extraData.order", "reqId"}, "E R"},
		{[]string{"extraData.n", "extraData.none", "none", "billId.x"}, "7"},
	} {
		n, err := read(t, text, func(s *Settings) { s.Names = tt.fields })
		if got := strings.Join(n.Names, " "); err != nil || got != tt.want {
			t.Errorf("%v: %q %v, want %q", tt.fields, got, err, tt.want)
		}
	}
	if n, _ := read(t, with(t, map[string]any{"extraData": map[string]any{"order": "E"}}), func(s *Settings) { s.Names = []string{"extraData.order"} }); len(n.Names) != 1 || n.Names[0] != "E" {
		t.Errorf("extraData as an object: %v", n.Names)
	}
}

// Key and transaction: repeated ones are one, everything else is another.
func TestKeys(t *testing.T) {
	first, err := read(t, string(sample(t)))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name        string
		change      map[string]any
		key, belong bool
	}{
		{"the same", nil, true, true},
		{"another text around it", map[string]any{"merchantName": "x", "approveCode": "1"}, true, true},
		{"its void", map[string]any{"transaction_type": "VOID", "traceNo": "000022"}, false, true},
		{"another trace", map[string]any{"traceNo": "000022"}, false, true},
		{"first pending, then paid", map[string]any{"status": "PENDING"}, false, true},
		{"another id", map[string]any{"id": "2"}, false, false},
		{"another id that belongs to it", map[string]any{"id": "2", "parent_id": "20250528160901"}, false, true},
	} {
		n, err := read(t, with(t, tt.change))
		if err != nil || (n.Key == first.Key) != tt.key || (n.Transaction == first.Transaction) != tt.belong {
			t.Errorf("%s: key %s, transaction %s, %v", tt.name, n.Key, n.Transaction, err)
		}
	}
	for _, change := range []map[string]any{{"id": ""}, {"id": nil}, {"id": strings.Repeat("1", 65)}} {
		if _, err := read(t, with(t, change)); !errors.Is(err, link.ErrUnreadable) {
			t.Errorf("%v: %v", change, err)
		}
	}
}

func TestSettlement(t *testing.T) {
	list := []any{map[string]any{"reqID": "R1", "refNo": "1"}, map[string]any{"reqId": "R2", "ref_no": "2"}, map[string]any{"reqID": "...", "refNo": "..."}, map[string]any{}}
	asText, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	want := []payment.Settled{{Name: "R1", RRN: "1"}, {Name: "R2", RRN: "2"}}
	for name, v := range map[string]any{"a list": list, "a list as text": string(asText)} {
		n, err := read(t, with(t, map[string]any{"transaction_type": "SETTLEMENT", "settlementList": v, "amount": ""}))
		if err != nil || n.Operation != payment.Reconciliation || n.Outcome.Result != payment.Approved || !reflect.DeepEqual(n.Settled, want) {
			t.Errorf("%s: %+v %v", name, n, err)
		}
	}
	one, _ := read(t, with(t, map[string]any{"transaction_type": "SETTLEMENT", "settlementList": list[:1]}))
	two, _ := read(t, with(t, map[string]any{"transaction_type": "SETTLEMENT", "settlementList": list[1:]}))
	if one.Key == two.Key {
		t.Error("two parts of a settlement are taken for a repetition")
	}
	if n, err := read(t, with(t, map[string]any{"transaction_type": "SETTLEMENT", "id": "", "settlementList": list})); err != nil || n.Transaction == "" {
		t.Errorf("without an id: %+v %v", n, err)
	}
	for _, bad := range []any{"x", []any{1}, map[string]any{}, make([]any, payment.MaxSettled+1)} {
		if _, err := read(t, with(t, map[string]any{"settlementList": bad})); !errors.Is(err, link.ErrUnreadable) {
			t.Errorf("%T: %v", bad, err)
		}
	}
}

func TestTables(t *testing.T) {
	for word, want := range map[string]payment.EntryMode{
		"F": payment.EntryFallback, "C": payment.EntryChip, "CTL": payment.EntryContactless, "M": payment.EntryManual, "S": payment.EntryMagstripe,
		"CL": payment.EntryChip, "CLS": payment.EntryContactless, "cls": payment.EntryContactless, "": "", "X": "",
	} {
		if n, err := read(t, with(t, map[string]any{"swipeType": word})); err != nil || n.Outcome.Card.Entry != want {
			t.Errorf("swipeType %q: %q %v, want %q", word, n.Outcome.Card.Entry, err, want)
		}
	}
	for _, tt := range []struct{ word, aid, card, want string }{
		{"VISA", "", "", "VISA"}, {"MASTER", "", "", "MASTERCARD"}, {"JCB", "", "", "JCB"}, {"AMEX", "", "", "AMEX"}, {"UPI", "", "", "UNIONPAY"},
		{"", "A0000000031010", "", "VISA"}, {"", "A00000000401", "", "MASTERCARD"}, {"", "A0000000041010", "", "MASTERCARD"}, {"", "A0000000651010", "", "JCB"},
		{"", "A000000333010101", "", "UNIONPAY"}, {"", "A000000333010102", "", "UNIONPAY"}, {"", "A0000000250000", "", "AMEX"}, {"", "a0000000031010", "", "VISA"},
		{"5", "", "529183******1825", "MASTERCARD"}, {"4", "", "", "VISA"}, {"3", "", "3782******1825", "AMEX"}, {"3", "", "3566******1825", "JCB"}, {"3", "", "", ""},
		{"", "A0000007271010", "", ""},
	} {
		if n, err := read(t, with(t, map[string]any{"cardScheme": tt.word, "aid": tt.aid, "cardNumber": tt.card})); err != nil || n.Outcome.Card.Scheme != tt.want {
			t.Errorf("%+v: %q %v", tt, n.Outcome.Card.Scheme, err)
		}
	}
}

// Nothing of a card but its last four digits, whatever the terminal sends.
func TestCardDataDropped(t *testing.T) {
	for _, card := range []string{"5291831234561825", "5291 8312 3456 1825", "529183******1825", "9704-1234-5678-1825"} {
		n, err := read(t, with(t, map[string]any{"cardNumber": card, "expDate": "1229", "cardHolder": "NGUYEN VAN A", "tc": "40CCCC727D454654"}))
		if err != nil {
			t.Fatal(err)
		}
		text := fmt.Sprintf("%+v", n)
		b, err := json.Marshal(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, secret := range []string{"529183", "5291 83", "9704", "1229", "NGUYEN", "40CCCC"} {
			if strings.Contains(text+string(b), secret) {
				t.Errorf("%s: %s came out", card, secret)
			}
		}
		if n.Outcome.Card.PAN.Last4() != "1825" {
			t.Errorf("%s: last four %q", card, n.Outcome.Card.PAN.Last4())
		}
	}
}

// What is too long, or cannot be printed, is not kept; very long is refused.
func TestBounds(t *testing.T) {
	n, err := read(t, with(t, map[string]any{"refId": strings.Repeat("1", 65), "approveCode": "a\x01b", "invoiceNo": "\u0085", "reqId": strings.Repeat("R", 129)}))
	if err != nil || n.Outcome.Reference.RRN != "" || n.Outcome.Reference.Auth != "" || n.Outcome.Reference.Receipt != "" || len(n.Names) != 1 {
		t.Errorf("%+v %v", n, err)
	}
	if _, err := read(t, with(t, map[string]any{"merchantName": strings.Repeat("x", maxValue+1)})); !errors.Is(err, link.ErrUnreadable) {
		t.Errorf("a long value: %v", err)
	}
	for _, text := range []string{"20250528160917", "19700101000000", "2025", ""} {
		n, err := read(t, with(t, map[string]any{"transDateTime": text}))
		if err != nil || n.At.IsZero() != (text != "20250528160917") {
			t.Errorf("%q: %v %v", text, n.At, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	_, all := vectors(f)
	n := all[0].notifier(f)
	p := n.(*notifier).profile
	f.Add(sample(f), "")
	f.Add([]byte(all[0].Body), all[0].Header)
	f.Add([]byte(`{"data":"","data":[1,2,{"a":null}],}`), "=")
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		r := all[0].request()
		r.Body = body
		r.Header.Set(p.SignName, signature)
		if notices, err := n.Decode(r); err == nil && string(body) != all[0].Body {
			t.Errorf("forged: %+v", notices)
		}
		// What is inside is read from whoever has the keys, and must hold all the same.
		o, err := parseObject(body)
		if err != nil {
			return
		}
		notice, err := p.notice(o, "VND")
		if err != nil {
			return
		}
		notice.From = "fuzz"
		if err := notice.Validate(); err != nil {
			t.Errorf("the gateway would refuse it: %v", err)
		}
	})
}
