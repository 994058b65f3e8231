package privat

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
	"tillgate/link/tmaster"
)

// run executes a whole request with its baseline.
func (r *rig) run(term *terminal, q payment.Request, d link.Dialogue) (payment.Outcome, error) {
	r.t.Helper()
	r.n++
	if q.ID == "" {
		q.ID = "id"
	}
	tx := payment.Transaction{Request: q, Attempt: string(rune('A'+r.n)) + strings.Repeat("B", 19)}
	if err := check(r.settings, q); err != nil {
		return payment.Outcome{}, err
	}
	var err error
	if tx.Baseline, err = term.Baseline(context.Background(), tx); err != nil {
		return payment.Outcome{}, err
	}
	return term.Execute(context.Background(), tx, d)
}

// original is how the gateway names a payment of its journal.
func original(op payment.Operation, o payment.Outcome) payment.Reference {
	ref := o.Reference
	ref.Payment, ref.Operation, ref.Amount = "p", op, o.Amount
	return ref
}

// TestCashback: goods and cash in one purchase, and what becomes of it when the
// bank gives no cash.
func TestCashback(t *testing.T) {
	buy := payment.Request{Operation: payment.Purchase, Amount: uah(1500), Cashback: uah(500), Merchant: "2/shop"}
	for script, want := range map[string]struct {
		amount int64
		text   string
	}{"approve": {1500, "approved"}, "no-cash": {1000, "approved for a partial amount, no cash was given"}, "lost-answer": {1500, "approved"}} {
		story(t, []string{script}, func(t *testing.T, r *rig, term *terminal) {
			r.settings.Keypad = KeypadLocked
			tx := payment.Transaction{Request: buy, Attempt: strings.Repeat("C", 20)}
			var err error
			if tx.Baseline, err = term.Baseline(t.Context(), tx); err != nil {
				t.Fatal(err)
			}
			o, err := term.Execute(t.Context(), tx, link.Dialogue{})
			if script == "lost-answer" {
				if !link.Sent(err) {
					t.Fatal(err)
				}
				o, err = term.Lookup(t.Context(), tx, time.Second)
			}
			if err != nil || o.Result != payment.Approved || o.Amount != uah(want.amount) || o.Text != want.text {
				t.Errorf("%s: got %+v, %v", script, o, err)
			}
			r.ledger(uah(want.amount).Decimal())
		})
	}
	m := defaults().merchant(buy)
	if got, want := string(m.cashback(buy.Amount, buy.Cashback).frame()), `{"method":"Cashback","step":0,"params":{"amount":"10.00","amountCash":"5.00","merchantId":"2","subMerchant":"shop"}}`+"\x00"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	tx := payment.Transaction{Request: buy}
	a := answer{method: methodCashback, code: codeApproved, amount: "15.00", cashGiven: "false"}
	if err := (&terminal{settings: defaults(), currency: "UAH"}).checkCash(tx, a); err == nil {
		t.Error("an answer that contradicts itself is believed")
	}
}

// TestServices: instalments and what gives them back, under the bank's methods.
func TestServices(t *testing.T) {
	parse := func(op payment.Operation, service string) error {
		return check(nil, payment.Request{Operation: op, Amount: uah(1), Service: service, Original: payment.Reference{RRN: "1"}})
	}
	for method, kind := range services {
		text, op := method, payment.ServicePayment
		switch kind {
		case byParts:
			text += "/6"
		case byAgreement:
			text, op = text+"/12345", payment.Refund
		case byRRN:
			op = payment.Refund
		case byNumber:
			text += "/046/6/1"
		}
		if err := parse(op, text); err != nil {
			t.Errorf("%s of %s: %v", op, text, err)
		}
		other := map[payment.Operation]payment.Operation{payment.Refund: payment.ServicePayment, payment.ServicePayment: payment.Refund}[op]
		if err := parse(other, text); (err == nil) != (kind == byNumber) {
			t.Errorf("%s of %s: %v", other, text, err)
		}
	}
	for _, bad := range []string{"", "Purchase", "ServiceMessage/identify", "ServicePbP", "ServicePbP/0", "ServicePbP/x", "ServicePbP/123", "ServiceGeneric/x/6", "ServiceGeneric/046/a\x00"} {
		if parse(payment.ServicePayment, bad) == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	for service, want := range map[string]string{
		"ServicePbP/6":         `{"method":"ServicePbP","step":0,"params":{"amount":"0.30","amountOfParts":"6","subMerchant":""}}`,
		"ServiceRefPbP/12345":  `{"method":"ServiceRefPbP","step":0,"params":{"amount":"0.30","agreementNum":"12345"}}`,
		"ServiceRefund":        `{"method":"ServiceRefund","step":0,"params":{"amount":"0.30","rrn":"014721258513","subMerchant":""}}`,
		"ServiceGeneric/046/6": `{"method":"ServiceGeneric","step":0,"params":{"amount":"0.30","param":"6","srvNum":"046","merchantId":"6"}}`,
	} {
		c, err := parseService(service)
		if got := string(c.request(merchant{index: "6"}, uah(30), "014721258513").frame()); err != nil || got != want+"\x00" {
			t.Errorf("%s: got %q, %v", service, got, err)
		}
	}
	story(t, nil, func(t *testing.T, r *rig, term *terminal) {
		pay := payment.Request{Operation: payment.ServicePayment, Amount: uah(60000), Service: "ServiceGeneric/046/6", Merchant: "6"}
		o, err := r.run(term, pay, link.Dialogue{})
		if err != nil || o.Result != payment.Approved || !strings.Contains(o.Text, "agreement 500001") {
			t.Fatalf("got %+v, %v", o, err)
		}
		back := payment.Request{Operation: payment.Refund, Amount: uah(60000), Original: original(payment.ServicePayment, o)}
		if _, err := r.run(term, back, link.Dialogue{}); payment.ReasonOf(err) != payment.ReasonInvalid || !strings.Contains(err.Error(), "ServiceRefPbP/12345") {
			t.Errorf("a plain refund of instalments: got %v", err)
		}
		if _, err := term.Baseline(t.Context(), payment.Transaction{Request: back}); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("one by the gateway itself: got %v, want %v", err, link.ErrNotReversible)
		}
		back.Service = "ServiceRefPbP/500001"
		if o, err := r.run(term, back, link.Dialogue{}); err != nil || o.Result != payment.Approved {
			t.Errorf("by agreement: got %+v, %v", o, err)
		}
		r.ledger("600.00 reversed")
		r.settings.Refund = RefundService
		sale := r.do(term, payment.Purchase, 1000, none, payment.Approved)
		if got := term.method(payment.Transaction{Request: payment.Request{Operation: payment.Refund, Amount: uah(1), Original: sale.Reference}}); got != methodServiceRefund {
			t.Errorf("a refund is made by %s", got)
		}
		r.do(term, payment.Refund, 1000, sale.Reference, payment.Approved)
		r.ledger("600.00 reversed", "10.00 reversed")
	})
	story(t, []string{"lost-answer"}, func(t *testing.T, r *rig, term *terminal) { // 5.30.2: txnType 4
		r.settings.Keypad = KeypadLocked
		tx := payment.Transaction{Request: payment.Request{Operation: payment.ServicePayment, Amount: uah(600), Service: "ServicePbP/6"}, Attempt: strings.Repeat("D", 20)}
		tx.Baseline, _ = term.Baseline(t.Context(), tx)
		if _, err := term.Execute(t.Context(), tx, link.Dialogue{}); !link.Sent(err) {
			t.Fatal(err)
		}
		if o, err := term.Lookup(t.Context(), tx, time.Second); err != nil || o.Result != payment.Approved {
			t.Errorf("lookup: got %+v, %v", o, err)
		}
	})
}

func TestBalance(t *testing.T) {
	for script, want := range map[string]payment.Result{"approve": payment.Approved, "cancel": payment.Cancelled, "ended:1004": payment.Failed, "decline:51": payment.Failed, "busy": payment.Failed} {
		story(t, []string{script, "approve"}, func(t *testing.T, r *rig, term *terminal) {
			o, err := r.run(term, payment.Request{Operation: payment.Balance, Merchant: "1"}, link.Dialogue{})
			if err != nil || o.Result != want || (o.Amount == uah(1234567)) != (want == payment.Approved) {
				t.Errorf("%s: got %+v, %v", script, o, err)
			}
			r.do(term, payment.Purchase, 100, none, payment.Approved)
			r.ledger("1.00")
		})
	}
}

// TestHost: the way to the bank, and a terminal that waits for somebody to choose
// a merchant.
func TestHost(t *testing.T) {
	for script, want := range map[string]string{"approve": "reached", "ended:1004": "not reached"} {
		story(t, []string{script}, func(t *testing.T, r *rig, term *terminal) {
			if d, err := term.DiagnoseHost(t.Context()); err != nil || d.Facts["host"] != want || d.Identity == "" {
				t.Errorf("%s: got %+v, %v", script, d, err)
			}
		})
	}
	story(t, []string{"approve+merchants"}, func(t *testing.T, r *rig, term *terminal) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if d, err := term.DiagnoseHost(ctx); !errors.Is(err, stream.ErrSilent) || !errors.Is(err, errReleased) || ctx.Err() != nil {
			t.Errorf("got %+v, %v", d, err)
		}
		r.do(term, payment.Purchase, 100, none, payment.Approved) // it is not left waiting
	})
}

// TestPrint: each text that the terminal keeps, and the paper.
func TestPrint(t *testing.T) {
	story(t, nil, func(t *testing.T, r *rig, term *terminal) {
		o := r.do(term, payment.Purchase, 1000, none, payment.Approved)
		p := func(kind payment.PrintKind) ([]string, error) {
			return term.Print(t.Context(), link.Printout{Kind: kind, Of: o.Reference})
		}
		for kind, want := range map[payment.PrintKind]string{payment.PrintReceipt: "RRN: " + o.Reference.RRN, payment.PrintTotals: "Х БАЛАНС", payment.PrintJournal: "000001"} {
			if lines, err := p(kind); err != nil || !strings.Contains(strings.Join(lines, "\n"), want) {
				t.Errorf("%s: got %q, %v", kind, lines, err)
			}
		}
		if last, err := term.receipt(t.Context(), ""); err != nil || last.rrn != o.Reference.RRN {
			t.Errorf("printing replaced the last receipt: %+v, %v", last, err)
		}
		if lines, err := p(payment.PrintReconciliation); err == nil {
			t.Errorf("before any: got %q", lines)
		}
		if _, err := p(payment.PrintDocument); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("a document: got %v, want %v", err, link.ErrUnsupported)
		}
		r.settings.Print = PrintPaper
		for _, kind := range []payment.PrintKind{payment.PrintReceipt, payment.PrintJournal} {
			if lines, err := p(kind); err != nil || lines != nil {
				t.Errorf("%s on paper: got %q, %v", kind, lines, err)
			}
		}
		closed := r.do(term, payment.Reconciliation, 0, none, payment.Approved)
		if lines, err := p(payment.PrintReconciliation); err != nil || !slices.Equal(lines, closed.Receipt) || !strings.Contains(strings.Join(lines, "\n"), "Z БАЛАНС") {
			t.Errorf("the reconciliation: got %q, %v", lines, err)
		}
		r.do(term, payment.Purchase, 1000, none, payment.Approved)
		if lines, err := p(payment.PrintReceipt); err == nil {
			t.Errorf("a receipt of a closed batch: got %q", lines)
		}
	})
}

// TestDiscount: a card of a discount group pays less while the terminal waits for
// it, and a lookup knows the amount too.
func TestDiscount(t *testing.T) {
	for _, c := range []struct {
		script, ledger string
		discounts      map[string]int
		discount       int64
	}{
		{"approve+discount:gold", "8.50", map[string]int{"gold": 15, "silver": 5}, 850},
		{"approve+discount:bronze", "10.00", map[string]int{"gold": 15}, 0},
		{"approve+discount:gold", "10.00", nil, 0},
		{"lost-answer+discount:gold", "8.50", map[string]int{"gold": 15}, 850},
		{"approve", "10.00", map[string]int{"gold": 15}, 0},
	} {
		story(t, []string{c.script}, func(t *testing.T, r *rig, term *terminal) {
			r.settings.Discounts, r.settings.Keypad = c.discounts, KeypadLocked
			tx := r.begin(term, payment.Purchase, 1000, none)
			o, err := term.Execute(t.Context(), tx, link.Dialogue{})
			if link.Sent(err) {
				o, err = term.Lookup(t.Context(), tx, time.Second)
			}
			if err != nil || o.Result != payment.Approved || o.Discount.Minor != c.discount || payment.Compare(tx.Amount, o.Discount, o.Amount) != payment.AmountAgreed {
				t.Errorf("%s: got %+v, %v", c.script, o, err)
			}
			r.ledger(c.ledger)
		})
	}
	s := &Settings{Discounts: map[string]int{"a": 10, "b": 99, "c": 1}}
	for _, c := range []struct {
		minor int64
		group string
		want  int64
	}{{1000, "a", 900}, {999, "a", 899}, {1, "a", 0}, {1, "b", 0}, {100, "c", 99}, {payment.MaxMinor, "a", 899999999999}, {1000, "NO_D_GROUP", 0}} {
		if got := s.discounted(uah(c.minor), c.group); got.Minor != c.want {
			t.Errorf("%d for %s: got %d, want %d", c.minor, c.group, got.Minor, c.want)
		}
	}
}

// TestFull: a terminal whose log is full says so until its batch is closed.
func TestFull(t *testing.T) {
	story(t, []string{"approve", "full", "approve"}, func(t *testing.T, r *rig, term *terminal) {
		blocked := func(want payment.Reason) {
			t.Helper()
			if d, err := term.Diagnose(t.Context()); err != nil || d.Blocked != want {
				t.Errorf("blocked: got %q, %v, want %q", d.Blocked, err, want)
			}
		}
		r.do(term, payment.Purchase, 100, none, payment.Approved)
		blocked("")
		r.do(term, payment.Purchase, 200, none, payment.Failed)
		blocked(payment.ReasonReconcile)
		if len(term.seen) == 0 {
			t.Error("no receipt is known")
		}
		r.do(term, payment.Reconciliation, 0, none, payment.Approved)
		blocked("")
		if len(term.seen) != 0 {
			t.Errorf("%d receipts of the closed batch are still known", len(term.seen))
		}
		r.do(term, payment.Purchase, 300, none, payment.Approved)
		r.ledger("1.00", "3.00")
	})
	for _, before := range []string{"approve", "cancel"} { // somebody closes it by hand; in an empty batch that cannot be seen
		story(t, []string{before, "full"}, func(t *testing.T, r *rig, term *terminal) {
			r.run(term, payment.Request{Operation: payment.Purchase, Amount: uah(100)}, link.Dialogue{})
			r.do(term, payment.Purchase, 200, none, payment.Failed)
			if err := r.sim.term.Begin(tmaster.Command{Operation: tmaster.Settlement}, nil); err != nil {
				t.Fatal(err)
			}
			d, err := term.Diagnose(t.Context())
			if err != nil || (d.Blocked == "") != (before == "approve") {
				t.Errorf("%s: got %+v, %v", before, d, err)
			}
			r.do(term, payment.Reconciliation, 0, none, payment.Approved)
			if d, err := term.Diagnose(t.Context()); err != nil || d.Blocked != "" {
				t.Errorf("%s, reconciled: got %+v, %v", before, d, err)
			}
		})
	}
}

// TestTakenBack: the bank approved, and the terminal cancelled it. That is not
// paid, and it is not "no money moved" until the bank has been told.
func TestTakenBack(t *testing.T) {
	for _, keypad := range []string{KeypadOpen, KeypadLocked} {
		story(t, []string{"approve", "taken-back:1002+pending", "approve"}, func(t *testing.T, r *rig, term *terminal) {
			r.settings.Keypad = keypad
			r.do(term, payment.Purchase, 700, none, payment.Approved)
			tx := r.begin(term, payment.Purchase, 1000, none)
			o, err := term.Execute(t.Context(), tx, link.Dialogue{})
			if err != nil || o.Result != payment.Unreversed || !o.Pending || o.Amount != tx.Amount || !strings.Contains(o.Text, "when the batch is closed") {
				t.Errorf("got %+v, %v", o, err)
			}
			r.ledger("7.00", "10.00")
			r.do(term, payment.Reconciliation, 0, none, payment.Approved)
			r.ledger("7.00", "10.00 reversed")
			if o, err := term.Lookup(t.Context(), tx, time.Hour); !errors.Is(err, link.ErrUnproven) {
				t.Errorf("the empty batch was taken for an answer: %+v, %v", o, err)
			}
		})
	}
	term := &terminal{settings: defaults(), currency: "UAH"}
	r := receipt{kind: kindReceipt, answer: answer{code: "1001", rrn: "1", auth: "2", txnType: typePurchase, amount: "1.00", status: statusReversed}}
	if o := term.takenBack(r, payment.SourceLookup); !r.cancelled() || o.Result != payment.Reversed || o.Pending {
		t.Errorf("a receipt that says that the bank knows: got %+v", o)
	}
}

// TestContinue: after a decline the terminal asks whether to go on. Nobody
// answers at a kiosk, and the outcome says what to do about it.
func TestContinue(t *testing.T) {
	story(t, []string{"decline:51+continue", "approve", "approve"}, func(t *testing.T, r *rig, term *terminal) {
		r.do(term, payment.Purchase, 100, none, payment.Declined)
		if o := r.do(term, payment.Purchase, 100, none, payment.Cancelled); !strings.Contains(o.Text, "waits for a key") {
			t.Errorf("got %+v", o)
		}
		if d, err := term.Diagnose(t.Context()); err != nil || d.Facts["advice"] != waitsForKey {
			t.Errorf("diagnosis: got %+v, %v", d, err)
		}
		r.do(term, payment.Purchase, 100, none, payment.Approved)
		r.ledger("1.00")
	})
}

// TestOldReservation: a preauthorization of a closed batch is completed, since
// the gateway knows its amount.
func TestOldReservation(t *testing.T) {
	story(t, nil, func(t *testing.T, r *rig, term *terminal) {
		held := r.do(term, payment.Preauthorization, 50000, none, payment.Approved)
		r.do(term, payment.Reconciliation, 0, none, payment.Approved)
		of := original(payment.Preauthorization, held)
		for minor, ok := range map[int64]bool{50001: false, 42000: true} {
			q := payment.Request{Operation: payment.Completion, Amount: uah(minor), Original: of}
			if o, err := r.run(term, q, link.Dialogue{}); (err == nil && o.Result == payment.Approved) != ok {
				t.Errorf("%d: got %+v, %v", minor, o, err)
			}
		}
		r.ledger("420.00")
		other := of
		other.Serial = "x"
		if _, err := r.run(term, payment.Request{Operation: payment.Completion, Amount: uah(1), Original: other}, link.Dialogue{}); !errors.Is(err, link.ErrSwapped) {
			t.Errorf("on another terminal: got %v", err)
		}
	})
}

// TestMerchant: which merchant is paid, and closed.
func TestMerchant(t *testing.T) {
	term := &terminal{settings: &Settings{MerchantID: "7", SubMerchant: "all"}, currency: "UAH"}
	for named, want := range map[string]string{"": `"merchantId":"7","facepay":"false","subMerchant":"all"`, "2": `"merchantId":"2","facepay":"false","subMerchant":""`, "2/x": `"merchantId":"2","facepay":"false","subMerchant":"x"`} {
		r, err := term.request(payment.Transaction{Request: payment.Request{Operation: payment.Purchase, Amount: uah(1), Merchant: named}})
		if err != nil || !strings.Contains(string(r.frame()), want) {
			t.Errorf("%q: got %s, %v", named, r.frame(), err)
		}
	}
	for named, want := range map[string]string{"": "0", "3": "3"} {
		r, err := term.request(payment.Transaction{Request: payment.Request{Operation: payment.Reconciliation, Merchant: named}})
		if err != nil || r.get("merchantId") != want {
			t.Errorf("closing %q: got %+v, %v", named, r, err)
		}
	}
	for _, bad := range []string{"100", "x", "1/\n", "/x"} {
		for _, op := range []payment.Operation{payment.Purchase, payment.Balance, payment.Reconciliation} {
			if err := check(nil, payment.Request{Operation: op, Amount: uah(1), Merchant: bad}); payment.ReasonOf(err) != payment.ReasonInvalid {
				t.Errorf("%s for %q: got %v", op, bad, err)
			}
		}
	}
}

// TestTwoTerminals: simulators of two names are two terminals.
func TestTwoTerminals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]bool{}
		for _, name := range []string{"", "pos1", "pos2"} {
			sim, err := NewSimulator(link.SimulatorConfig{Name: name})
			if err != nil {
				t.Fatal(err)
			}
			r := &rig{t: t, sim: sim, settings: defaults()}
			t.Cleanup(func() { sim.Close() })
			o := r.do(r.open(), payment.Purchase, 100, none, payment.Approved)
			for _, key := range []string{o.Reference.Serial, o.Reference.TID, o.Reference.RRN} {
				if key == "" || seen[key] {
					t.Errorf("%q: %q is another terminal's", name, key)
				}
				seen[key] = true
			}
		}
	})
}

// TestTCP sells over loopback TCP, as an address of the configuration names it, to
// a terminal that serves one client after the other.
func TestTCP(t *testing.T) {
	sim, err := NewSimulator(link.SimulatorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	ear, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() {
		for {
			c, err := ear.Accept()
			if err != nil {
				served <- err
				return
			}
			sim.Serve(context.Background(), c)
		}
	}()
	address, err := link.ParseAddress("tcp://" + ear.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	term, err := Open(t.Context(), link.Config{Name: "pos1", Currency: "UAH", Dial: address.Dial})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, sim: sim, settings: defaults()}
	r.do(term.(*terminal), payment.Purchase, 100, none, payment.Approved)
	term.Close()
	ear.Close()
	<-served
	r.ledger("1.00")
}

// FuzzService: what is taken for the name of a service can be sent, and says what
// it said.
func FuzzService(f *testing.F) {
	for _, text := range []string{"ServicePbP/6", "ServiceRefPbP/12345", "ServiceRefund", "ServiceGeneric/046/6/1/2", "ServiceGeneric//", "/", "ServiceGeneric/0/\x85\x85"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseService(text)
		if err != nil {
			if payment.ReasonOf(err) != payment.ReasonInvalid {
				t.Fatalf("%q: %v is no refusal", text, err)
			}
			return
		}
		r := c.request(merchant{index: "1"}, uah(1), "2")
		frame := r.frame()
		back, err := parseRequest(frame[:len(frame)-1])
		if err != nil || back.method != c.method || !moves(back.method) || len(frame) > 1024 {
			t.Fatalf("%q became %q: %v", text, frame, err)
		}
		for _, key := range []string{"amountOfParts", "agreementNum", "param"} {
			if got := back.get(key); got != "" && got != c.value {
				t.Fatalf("%q: %s is %q", text, key, got)
			}
		}
	})
}
