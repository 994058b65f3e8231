package privat

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// rig is a simulator and a way to open terminals on it.
type rig struct {
	t        *testing.T
	sim      *Simulator
	settings *Settings
	dials    int
	n        int
}

func newRig(t *testing.T, script ...string) *rig {
	t.Helper()
	sim, err := NewSimulator(link.SimulatorConfig{Script: script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	return &rig{t: t, sim: sim, settings: defaults()}
}

func (r *rig) open() *terminal {
	r.t.Helper()
	term, err := Open(context.Background(), link.Config{Name: "pos1", Currency: "UAH", Settings: r.settings, Dial: func(context.Context) (link.Conn, error) {
		r.dials++
		ours, theirs := net.Pipe()
		go r.sim.Serve(context.Background(), theirs)
		return ours, nil
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { term.Close() })
	return term.(*terminal)
}

func uah(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "UAH"} }

// begin is a transaction with a fresh attempt and the terminal's baseline.
func (r *rig) begin(term *terminal, op payment.Operation, minor int64, of payment.Reference) payment.Transaction {
	r.t.Helper()
	tx, err := r.try(term, op, minor, of)
	if err != nil {
		r.t.Fatal(err)
	}
	return tx
}

func (r *rig) try(term *terminal, op payment.Operation, minor int64, of payment.Reference) (payment.Transaction, error) {
	r.n++
	tx := payment.Transaction{
		Request: payment.Request{ID: "id", Order: "42", Operation: op, Amount: uah(minor), Original: of},
		Attempt: string(rune('A'+r.n)) + strings.Repeat("A", 19),
	}
	b, err := term.Baseline(context.Background(), tx)
	tx.Baseline = b
	return tx, err
}

// do executes an operation and insists on its result.
func (r *rig) do(term *terminal, op payment.Operation, minor int64, of payment.Reference, want payment.Result) payment.Outcome {
	r.t.Helper()
	o, err := term.Execute(context.Background(), r.begin(term, op, minor, of), link.Dialogue{})
	if err != nil || o.Result != want {
		r.t.Fatalf("%s: got %+v, %v, want %s", op, o, err, want)
	}
	return o
}

func (r *rig) ledger(want ...string) {
	r.t.Helper()
	var got []string
	for _, e := range r.sim.Ledger() {
		text := e.Amount.Decimal()
		if e.Reversed {
			text += " reversed"
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("ledger: got %q, want %q", got, want)
	}
}

// story runs one in virtual time.
func story(t *testing.T, script []string, f func(t *testing.T, r *rig, term *terminal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, script...)
		f(t, r, r.open())
	})
}

var none payment.Reference

func TestReversals(t *testing.T) {
	story(t, nil, func(t *testing.T, r *rig, term *terminal) {
		o := r.do(term, payment.Purchase, 1000, none, payment.Approved)
		if got := r.do(term, payment.Reversal, 300, o.Reference, payment.Approved); got.Amount != uah(300) {
			t.Errorf("in part: got %+v", got)
		}
		r.ledger("10.00")
		if _, err := r.try(term, payment.Reversal, 1001, o.Reference); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("more than was paid: got %v", err)
		}
		second := r.do(term, payment.Purchase, 500, none, payment.Approved)
		r.do(term, payment.Reversal, 500, second.Reference, payment.Approved)
		r.ledger("10.00", "5.00 reversed")
		for why, of := range map[string]payment.Reference{
			"voided already":    second.Reference,
			"no such receipt":   {Receipt: "999", RRN: "1"},
			"another RRN":       {Receipt: o.Reference.Receipt, RRN: "1"},
			"no receipt number": {RRN: o.Reference.RRN},
			"another terminal":  {Receipt: o.Reference.Receipt, RRN: o.Reference.RRN, Serial: "x"},
		} {
			if _, err := r.try(term, payment.Reversal, 500, of); !errors.Is(err, link.ErrNotReversible) {
				t.Errorf("%s: got %v, want %v", why, err, link.ErrNotReversible)
			}
		}
		r.do(term, payment.Reconciliation, 0, none, payment.Approved)
		if _, err := r.try(term, payment.Reversal, 1000, o.Reference); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("of a closed batch: got %v", err)
		}
		if o := r.do(term, payment.Reconciliation, 0, none, payment.Approved); o.Text != "there was nothing in the batch" {
			t.Errorf("an empty batch: got %+v", o)
		}
	})
}

func TestRefundAndCompletion(t *testing.T) {
	story(t, nil, func(t *testing.T, r *rig, term *terminal) {
		o := r.do(term, payment.Purchase, 1000, none, payment.Approved)
		r.do(term, payment.Reconciliation, 0, none, payment.Approved)
		if got := r.do(term, payment.Refund, 400, o.Reference, payment.Approved); got.Amount != uah(400) || got.Reference.RRN == o.Reference.RRN {
			t.Errorf("refund: got %+v", got)
		}
		held := r.do(term, payment.Preauthorization, 50000, none, payment.Approved)
		if got := r.do(term, payment.Completion, 42000, held.Reference, payment.Approved); got.Amount != uah(42000) {
			t.Errorf("completion: got %+v", got)
		}
		if _, err := r.try(term, payment.Completion, 50001, held.Reference); err == nil {
			t.Error("a completion for more than was reserved began")
		}
	})
}

// TestAnswers has what a terminal can say to a sale.
func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		script string
		want   payment.Result
		amount int64
		check  func(payment.Outcome) bool
	}{
		{"approve+typos+comma+echo", payment.Approved, 1000, nil},
		{"approve+code-only", payment.Approved, 1000, func(o payment.Outcome) bool { return o.Reference.RRN != "" && o.Reference.Receipt != "" }},
		{"partial:400", payment.Approved, 600, func(o payment.Outcome) bool { return o.Vendor.Code == "0010" }},
		{"wrong-amount:1", payment.Approved, 1001, nil},
		{"signature", payment.Approved, 1000, func(o payment.Outcome) bool { return o.Signature }},
		{"decline:51", payment.Declined, 0, func(o payment.Outcome) bool { return o.Response == "51" && len(o.Receipt) > 0 }},
		{"decline:55", payment.Declined, 0, func(o payment.Outcome) bool { return o.Condition == payment.CondWrongPIN }},
		{"cancel", payment.Cancelled, 0, nil},
		{"ended:1000", payment.Failed, 0, nil},
		{"ended:1002", payment.Declined, 0, nil},
		{"ended:1003", payment.Failed, 0, nil},
		{"ended:1004", payment.Failed, 0, func(o payment.Outcome) bool { return o.Condition == payment.CondUnreachableHost }},
		{"ended:1005", payment.Failed, 0, nil}, {"ended:1006", payment.Failed, 0, nil}, {"ended:1007", payment.Failed, 0, nil}, {"ended:1008", payment.Failed, 0, nil},
		{"busy", payment.Failed, 0, func(o payment.Outcome) bool { return o.Condition == payment.CondBusy }},
	} {
		t.Run(c.script, func(t *testing.T) {
			for _, before := range []string{"", "approve"} { // an empty batch, and one with a receipt
				script := []string{c.script, "approve"}
				if before != "" {
					script = append([]string{before}, script...)
				}
				story(t, script, func(t *testing.T, r *rig, term *terminal) {
					if before != "" {
						r.do(term, payment.Purchase, 700, none, payment.Approved)
					}
					o := r.do(term, payment.Purchase, 1000, none, c.want)
					if want := uah(c.amount); c.amount > 0 && o.Amount != want || c.check != nil && !c.check(o) {
						t.Errorf("got %+v", o)
					}
					r.do(term, payment.Purchase, 1000, none, payment.Approved) // nothing blocks the next
				})
			}
		})
	}
	story(t, []string{"signature"}, func(t *testing.T, r *rig, term *terminal) {
		r.settings.Signature = SignatureAccept
		if o := r.do(term, payment.Purchase, 1000, none, payment.Approved); o.Signature {
			t.Error("a signature is refused where it is accepted")
		}
	})
}

// TestInterrupt: an abort ends the wait for a card; one that comes too late
// does not hide an approval.
func TestInterrupt(t *testing.T) {
	story(t, []string{"approve", "approve+slow:60s", "approve"}, func(t *testing.T, r *rig, term *terminal) {
		r.do(term, payment.Purchase, 700, none, payment.Approved)
		tx, stop := r.begin(term, payment.Purchase, 1000, none), make(chan struct{})
		var stages []payment.Stage
		began := time.Now()
		time.AfterFunc(50*time.Second, func() { close(stop) })
		o, err := term.Execute(t.Context(), tx, link.Dialogue{Abort: stop, Progress: func(s payment.Stage, _ payment.VendorCode) { stages = append(stages, s) }})
		if err != nil || o.Result != payment.Cancelled || time.Since(began) != 50*time.Second {
			t.Errorf("after %v: got %+v, %v", time.Since(began), o, err)
		}
		if got := slices.Compact(stages); !slices.Equal(got, []payment.Stage{payment.StageWaitingCard, payment.StagePIN, payment.StageHost}) {
			t.Errorf("stages: %v", got)
		}
		r.do(term, payment.Purchase, 1000, none, payment.Approved)
		r.ledger("7.00", "10.00")
	})
}

// TestLostAnswer: a terminal that has finished and does not answer is not waited
// for until the longest time a payment can take; one that works is.
func TestLostAnswer(t *testing.T) {
	for script, want := range map[string]time.Duration{"lost-answer+slow:20500ms": 26 * time.Second, "mute+slow:20500ms": 26 * time.Second, "approve+slow:200s": 200 * time.Second, "lost-answer": link.DefaultLongest} {
		story(t, []string{"approve", script}, func(t *testing.T, r *rig, term *terminal) {
			r.settings.Keypad = KeypadLocked
			r.do(term, payment.Purchase, 700, none, payment.Approved)
			tx, began := r.begin(term, payment.Purchase, 1000, none), time.Now()
			_, err := term.Execute(t.Context(), tx, link.Dialogue{})
			if took := time.Since(began); took != want || (err != nil) == (script == "approve+slow:200s") {
				t.Errorf("%s: %v after %v, want %v", script, err, took, want)
			}
		})
	}
}

// TestBusy: nothing begins on a terminal that serves somebody, and a command
// that was given up gets its answer before another is sent.
func TestBusy(t *testing.T) {
	story(t, []string{"approve+slow:60s", "approve"}, func(t *testing.T, r *rig, term *terminal) {
		one, two := r.begin(term, payment.Purchase, 1000, none), r.begin(term, payment.Purchase, 2000, none)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := term.Execute(ctx, one, link.Dialogue{}); !link.Sent(err) {
			t.Fatal(err)
		}
		if _, err := r.try(term, payment.Purchase, 500, none); payment.ReasonOf(err) != payment.ReasonBusy {
			t.Errorf("a baseline: got %v, want a refusal", err)
		}
		if d, err := term.Diagnose(t.Context()); err != nil || d.Facts["last_result"] != "2" || d.Inventory.Model != "iCT220" || d.Identity != "TESTKKM000CT22927300" {
			t.Errorf("diagnosis: got %+v, %v", d, err)
		}
		var strays []payment.Outcome
		o, err := term.Execute(t.Context(), two, link.Dialogue{Evidence: func(o payment.Outcome) { strays = append(strays, o) }})
		if err != nil || o.Amount != two.Amount || len(strays) != 1 || strays[0].Attempt != one.Attempt || strays[0].Amount != one.Amount {
			t.Errorf("got %+v, %v, strays %+v", o, err, strays)
		}
		d, err := term.Diagnose(t.Context())
		if err != nil || d.Identity != "TESTKKM000CT22927300" || d.Inventory.Software == "" || d.Facts["merchant_6"] != "Оплата частинами" || d.Facts["mask_1"] != "TSTSALE0" || d.Facts["last_rrn"] != o.Reference.RRN {
			t.Errorf("diagnosis: got %+v, %v", d, err)
		}
	})
}

// TestDialogue counts the connections and the time of both dialogues, with a
// terminal that is ready at once, and with ones that need time after each
// connection: they refuse the next, or take it and do not answer.
func TestDialogue(t *testing.T) {
	for _, c := range []struct {
		dialogue string
		pause    time.Duration
		rest     time.Duration // after a connection
		deaf     bool          // takes connections meanwhile
		dials    int
		took     time.Duration
	}{
		{DialogueReference, 4 * time.Second, 0, false, 3, 0}, {DialogueSingle, 4 * time.Second, time.Minute, false, 1, 0},
		{DialogueReference, 4 * time.Second, 3 * time.Second, false, 5, 8 * time.Second}, {DialogueReference, 4 * time.Second, 3 * time.Second, true, 5, 26 * time.Second},
		{DialogueReference, time.Second, 5 * time.Second, false, 9, 12 * time.Second}, // Verifone, and nobody has set a pause
		{DialogueReference, 4 * time.Second, 5 * time.Second, false, 7, 18 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t)
			r.settings.Dialogue, r.settings.Pause = c.dialogue, c.pause
			began, free := time.Now(), time.Time{}
			rest := func() { free = time.Now().Add(c.rest) }
			term, err := Open(t.Context(), link.Config{Settings: r.settings, Dial: func(context.Context) (link.Conn, error) {
				r.dials++
				ours, theirs := net.Pipe()
				if time.Now().Before(free) && !c.deaf {
					return nil, errors.New("refused")
				}
				if time.Now().Before(free) {
					go io.Copy(io.Discard, theirs)
					return ours, nil
				}
				go r.sim.Serve(context.Background(), theirs)
				return hook{ours, rest}, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer term.Close()
			if took := time.Since(began); r.dials != c.dials || took != c.took {
				t.Errorf("%+v: %d connections in %v", c, r.dials, took)
			}
			r.do(term.(*terminal), payment.Purchase, 1, none, payment.Approved)
		})
	}
	for why, dial := range map[string]func(context.Context) (link.Conn, error){
		"nobody is there": func(context.Context) (link.Conn, error) { return nil, errors.New("refused") },
	} {
		if _, err := Open(t.Context(), link.Config{Dial: dial}); err == nil || link.Sent(err) {
			t.Errorf("%s: got %v", why, err)
		}
	}
}

// hook is a connection that tells when it is closed by us.
type hook struct {
	net.Conn
	closed func()
}

func (h hook) Close() error {
	h.closed()
	return h.Conn.Close()
}

func TestSettings(t *testing.T) {
	if err := defaults().Validate(); err != nil {
		t.Error(err)
	}
	bad := &Settings{MerchantID: "x", SubMerchant: "a\x00", Keypad: "k", Signature: "s", Dialogue: "d", Pause: -1, Discounts: map[string]int{"": 100}}
	v, ok := errors.AsType[payment.Invalid](bad.Validate())
	if !ok || len(v) != 11 {
		t.Errorf("got %d problems, want 11: %v", len(v), v)
	}
	if _, err := Open(t.Context(), link.Config{Settings: bad}); err == nil || link.Sent(err) {
		t.Errorf("opened with a bad profile: %v", err)
	}
}

// TestOldTerminal: without GetReceiptInfo there is no baseline, so nothing is
// sold; a lookup says that it cannot know.
func TestOldTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			f := newFrames(theirs)
			for {
				b, err := f.next()
				if err != nil {
					return
				}
				r, _ := parseRequest(b)
				say := `{"method":"ServiceMessage","step":0,"params":{"msgType":" methodNotImplemented"},"error":false,"errorDescription":""}`
				switch r.method {
				case methodPing:
					say = `{"method":"PingDevice","step":0,"params":{"code":"00"},"error":false}`
				case methodInfo:
					say = `{"method":"GetTerminalInfo","step":0,"params":{"version":"T5PRVa_03K TKASPRBK80321-922-618"},"error":false}`
				}
				if _, err := theirs.Write([]byte(say + "\x00")); err != nil {
					return
				}
			}
		}()
		s := defaults()
		s.Dialogue = DialogueSingle
		term, err := Open(t.Context(), link.Config{Settings: s, Dial: func(context.Context) (link.Conn, error) { return ours, nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer term.Close()
		r := rig{t: t}
		if _, err := r.try(term.(*terminal), payment.Purchase, 100, none); payment.ReasonOf(err) != payment.ReasonBaseline {
			t.Errorf("baseline: got %v, want a refusal", err)
		}
		if _, err := term.Lookup(t.Context(), payment.Transaction{}, time.Hour); !errors.Is(err, link.ErrUnproven) {
			t.Errorf("lookup: got %v, want %v", err, link.ErrUnproven)
		}
	})
}
