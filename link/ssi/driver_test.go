package ssi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

func TestPurchaseOutcome(t *testing.T) {
	simulated(t, "approve", nil, func(w *world) {
		o := w.sell(24500)
		r := o.Reference
		if r.RRN == "" || r.Auth == "" || r.Receipt != "000001" || r.TID != "T0000001" || r.MID != "MERCHANT1" || r.Serial != "V1E0207420" || r.Time == "" {
			t.Errorf("reference: %+v", r)
		}
		if o.Card.PAN.Last4() != "1627" || o.Card.Scheme != "VISA" || o.Card.Entry != payment.EntryContactless || o.Response != "00" || len(o.Receipt) < 8 {
			t.Errorf("got %+v", o)
		}
	})
}

// TestOperations carries out each operation that takes a card.
func TestOperations(t *testing.T) {
	for _, op := range []payment.Operation{payment.Purchase, payment.Refund, payment.CashAdvance, payment.Deposit} {
		simulated(t, "approve", nil, func(w *world) {
			tx := w.tx(op, 700)
			tx.Original.RRN = "519718000159"
			o, err := w.do(&tx, nil)
			l := w.sim.Ledger()
			if err != nil || o.Result != payment.Approved || o.Amount != tx.Amount || len(l) != 1 || l[0].Amount != tx.Amount {
				t.Fatalf("%s: got %+v, %v, ledger %+v", op, o, err, l)
			}
			if got := w.sim.state.Slips[0].Trn; got != methods[op] {
				t.Errorf("%s: the terminal did %s", op, got)
			}
			if o, err := w.term.Lookup(context.Background(), tx, time.Second); err != nil || o.Result != payment.Approved {
				t.Errorf("%s: lookup: got %+v, %v", op, o, err)
			}
		})
	}
	simulated(t, "approve", nil, func(w *world) {
		tx := w.tx(payment.Refund, 700)
		if o, err := w.do(&tx, nil); err == nil || link.Sent(err) {
			t.Errorf("a refund without RRN: got %+v, %v", o, err)
		}
	})
}

// TestLookupOperation: the refund of an amount does not prove the purchase of
// it, even where position counts.
func TestLookupOperation(t *testing.T) {
	simulated(t, "approve+v1.1.10", func(s *Settings) { s.Keypad = KeypadLocked }, func(w *world) {
		sale, refund := w.tx(payment.Purchase, 700), w.tx(payment.Refund, 700)
		b, err := w.term.Baseline(context.Background(), sale)
		if err != nil {
			t.Fatal(err)
		}
		sale.Baseline = b
		refund.Original.RRN = "519718000159"
		if _, err := w.do(&refund, nil); err != nil {
			t.Fatal(err)
		}
		w.term.took.fingerprint = "" // as after a restart
		if o, err := w.term.Lookup(context.Background(), sale, time.Second); !errors.Is(err, link.ErrInProgress) {
			t.Errorf("got %+v, %v", o, err)
		}
		if o, err := w.term.Lookup(context.Background(), sale, link.DefaultLongest+1); !errors.Is(err, link.ErrUnproven) {
			t.Errorf("late: got %+v, %v", o, err)
		}
	})
}

func TestVoid(t *testing.T) {
	for _, script := range []string{"approve", "approve+v1.1.10"} {
		simulated(t, script, nil, func(w *world) {
			first, second := w.sell(1000), w.sell(2000)
			part, whole, again := w.back(first, 400), w.back(second, 2000), w.back(second, 2000)
			if o, err := w.do(&part, nil); err != nil || o.Result != payment.Approved || o.Amount.Minor != 400 {
				t.Errorf("%s: a part: got %+v, %v", script, o, err)
			}
			if l := w.sim.Ledger(); l[0].Amount.Minor != 600 || l[0].Reversed || l[1].Reversed {
				t.Errorf("%s: after a part: %+v", script, l)
			}
			// Sent again it would take away twice.
			if _, err := w.term.Baseline(context.Background(), part); !errors.Is(err, link.ErrNotReversible) {
				t.Errorf("%s: the part again: got %v", script, err)
			}
			if o, err := w.do(&whole, nil); err != nil || o.Result != payment.Approved || !w.sim.Ledger()[1].Reversed {
				t.Errorf("%s: the whole: got %+v, %v", script, o, err)
			}
			if o, err := w.term.Lookup(context.Background(), whole, time.Second); err != nil || o.Result != payment.Approved {
				t.Errorf("%s: lookup: got %+v, %v", script, o, err)
			}
			if _, err := w.do(&again, nil); !errors.Is(err, link.ErrNotReversible) {
				t.Errorf("%s: twice: got %v", script, err)
			}
			rest := w.back(first, 600)
			if o, err := w.do(&rest, nil); err != nil || o.Result != payment.Approved || !w.sim.Ledger()[0].Reversed {
				t.Errorf("%s: the rest: got %+v, %v", script, o, err)
			}
		})
	}
}

func TestReversible(t *testing.T) {
	simulated(t, "approve", nil, func(w *world) {
		o := w.sell(1000)
		for name, change := range map[string]func(*payment.Transaction){
			"another RRN": func(tx *payment.Transaction) { tx.Original.RRN = "1" }, "another receipt": func(tx *payment.Transaction) { tx.Original.Receipt = "7" },
			"no receipt": func(tx *payment.Transaction) { tx.Original.Receipt = "" }, "more": func(tx *payment.Transaction) { tx.Amount.Minor++ },
			"another terminal": func(tx *payment.Transaction) { tx.Original.Serial = "X" },
		} {
			tx := w.back(o, 1000)
			change(&tx)
			if _, err := w.do(&tx, nil); !errors.Is(err, link.ErrNotReversible) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		z := w.tx(payment.Reconciliation, 0)
		z.Amount = payment.Money{}
		if o, err := w.do(&z, nil); err != nil || o.Result != payment.Approved || o.Reference.Batch != "000001" {
			t.Errorf("Z: got %+v, %v", o, err)
		}
		w.sell(1000) // has the same receipt number
		tx := w.back(o, 1000)
		if _, err := w.do(&tx, nil); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("after Z: got %v", err)
		}
	})
}

func TestTotals(t *testing.T) {
	simulated(t, "approve", nil, func(w *world) {
		o := w.sell(1000)
		w.sell(250)
		w.sell(50)
		tx := w.back(o, 1000)
		if _, err := w.do(&tx, nil); err != nil {
			t.Fatal(err)
		}
		got, err := w.term.Totals(context.Background())
		if err != nil || len(got) != 6 || got[0].Operation != payment.Purchase || got[0].Count != 2 || got[0].Amount.Minor != 300 || got[5].Count != 1 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestDiscount(t *testing.T) {
	for script, want := range map[string]int64{"approve": 999, "discount": 899} {
		simulated(t, script, func(s *Settings) { s.DiscountPercent = 10 }, func(w *world) {
			tx := w.tx(payment.Purchase, 999)
			o, err := w.do(&tx, nil)
			if err != nil || o.Amount.Minor != want || o.Discount.Minor != 899 || payment.Compare(tx.Amount, o.Discount, o.Amount) != payment.AmountAgreed {
				t.Errorf("%s: got %+v, %v", script, o, err)
			}
		})
	}
}

// TestAmount: with our transactionUid another amount is reported as it is;
// without, nobody knows whose it is.
func TestAmount(t *testing.T) {
	for _, script := range []string{"wrong-amount:5", "wrong-amount:-5"} {
		simulated(t, script, nil, func(w *world) {
			tx := w.tx(payment.Purchase, 999)
			if o, err := w.do(&tx, nil); err != nil || o.Result != payment.Approved || o.Amount != w.sim.Ledger()[0].Amount {
				t.Errorf("%s: got %+v, %v", script, o, err)
			}
		})
		simulated(t, script+"+v1.1.10", nil, func(w *world) {
			tx := w.tx(payment.Purchase, 999)
			if o, err := w.do(&tx, nil); err == nil || !link.Sent(err) {
				t.Errorf("%s: got %+v, %v", script, o, err)
			}
		})
	}
}

func TestTwoSteps(t *testing.T) {
	two := func(s *Settings) { s.Steps = StepsTwo }
	simulated(t, "approve", two, func(w *world) {
		if o := w.sell(500); o.Reference.RRN == "" {
			t.Errorf("got %+v", o)
		}
		if l := w.sim.Ledger(); len(l) != 1 {
			t.Errorf("ledger: %+v", l)
		}
	})
	simulated(t, "approve", two, func(w *world) { // the process ends between the steps
		tx := w.tx(payment.Purchase, 500)
		b, err := w.term.Baseline(context.Background(), tx)
		if err != nil {
			t.Fatal(err)
		}
		tx.Baseline = b
		r, err := w.term.request(tx)
		if err != nil || r.Step != "1" {
			t.Fatalf("got %+v, %v", r, err)
		}
		if _, err := w.term.ask(context.Background(), r); err != nil {
			t.Fatal(err)
		}
		if o, err := w.term.Lookup(context.Background(), tx, time.Second); !errors.Is(err, link.ErrInProgress) {
			t.Errorf("at the first step: got %+v, %v", o, err)
		}
		if w.sim.status != statusIdle {
			t.Errorf("the terminal still waits for the second step: %s", w.sim.status)
		}
		w.sim.state.Last.Result, w.sim.state.Last.Amount = "FIRST_STEP_COMPLETED", 500
		w.sim.state.Kept = nil
		if o, err := w.term.Lookup(context.Background(), tx, link.DefaultLongest+1); !errors.Is(err, link.ErrNotFound) {
			t.Errorf("later: got %+v, %v", o, err)
		}
	})
	simulated(t, "approve", func(s *Settings) { s.Steps = StepsOne }, func(w *world) {
		if r, err := w.term.request(w.tx(payment.Purchase, 5)); err != nil || r.Step != "0" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
}

// TestRefused: what the terminal does not accept is not done, unless its code
// leaves that open.
func TestRefused(t *testing.T) {
	for code, c := range errorCodes {
		simulated(t, "refuse:"+code, nil, func(w *world) {
			tx := w.tx(payment.Purchase, 500)
			o, err := w.do(&tx, nil)
			if c.refused && (err != nil || o.Result != payment.Failed || o.Vendor.Code != code || o.Condition == "") || !c.refused && (err == nil || !link.Sent(err)) {
				t.Errorf("%s: got %+v, %v", code, o, err)
			}
		})
	}
	simulated(t, "refuse:E77", nil, func(w *world) {
		tx := w.tx(payment.Purchase, 500)
		if o, err := w.do(&tx, nil); err == nil || !link.Sent(err) {
			t.Errorf("an unknown code: got %+v, %v", o, err)
		}
	})
}

// TestNeedsZ: a full batch blocks the terminal until it is closed; a void is
// still possible.
func TestNeedsZ(t *testing.T) {
	simulated(t, "approve,approve+needs-z,approve", nil, func(w *world) {
		o := w.sell(300)
		w.sell(400)
		d, err := w.term.Diagnose(context.Background())
		if err != nil || d.Blocked != payment.ReasonReconcile || d.Facts["status"] != "S06" || d.Facts["blocked"] == "" {
			t.Errorf("diagnosis: got %+v, %v", d, err)
		}
		tx := w.tx(payment.Purchase, 500)
		if _, err := w.do(&tx, nil); payment.ReasonOf(err) != payment.ReasonReconcile {
			t.Errorf("got %v", err)
		}
		if rep := w.sim.hear(command{Method: mPurchase, Params: requestParams{TransAmount: "1", TransCurrency: "980"}}); rep.say["errorCode"] != "E15" {
			t.Errorf("the terminal says %v", rep.say)
		}
		back := w.back(o, 300)
		if o, err := w.do(&back, nil); err != nil || o.Result != payment.Approved {
			t.Errorf("void: got %+v, %v", o, err)
		}
		z := w.tx(payment.Reconciliation, 0)
		z.Amount = payment.Money{}
		if o, err := w.do(&z, nil); err != nil || o.Result != payment.Approved {
			t.Errorf("Z: got %+v, %v", o, err)
		}
		if d, err := w.term.Diagnose(context.Background()); err != nil || d.Blocked != "" {
			t.Errorf("after Z: got %+v, %v", d, err)
		}
		w.sell(500)
	})
}

// TestAbort stops a sale while the card is waited for, and cannot at the bank.
func TestAbort(t *testing.T) {
	for _, tt := range []struct {
		after time.Duration
		want  payment.Result
	}{{2 * time.Second, payment.Cancelled}, {14 * time.Second, payment.Approved}} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, "approve")
			w.sim.pace = 5 * time.Second // card 5 s, PIN 5 s, bank 5 s
			defer w.sim.Close()
			w.open("", nil, pipeTo(w.sim))
			defer w.term.Close()
			abort := make(chan struct{})
			time.AfterFunc(tt.after, func() { close(abort) })
			tx := w.tx(payment.Purchase, 500)
			o, err := w.do(&tx, abort)
			if err != nil || o.Result != tt.want || (o.Result == payment.Approved) != (len(w.sim.Ledger()) == 1) {
				t.Errorf("after %v: got %+v, %v, ledger %+v", tt.after, o, err, w.sim.Ledger())
			}
			if tt.want == payment.Approved && !slices.Equal(w.stages, []payment.Stage{payment.StageWaitingCard, payment.StagePIN, payment.StageHost, payment.StagePrinting}) {
				t.Errorf("stages: %v", w.stages)
			}
		})
	}
}

// TestBusyForEver: a status that nobody knows is busy, and busy is bounded.
func TestBusyForEver(t *testing.T) {
	simulated(t, "approve+slow:3h+odd-status", nil, func(w *world) {
		began := time.Now()
		tx := w.tx(payment.Purchase, 500)
		o, err := w.do(&tx, nil)
		if err == nil || !link.Sent(err) || time.Since(began) > link.DefaultLongest+10*time.Second {
			t.Errorf("after %v: got %+v, %v", time.Since(began), o, err)
		}
		if _, err := w.term.Baseline(context.Background(), w.tx(payment.Purchase, 1)); payment.ReasonOf(err) != payment.ReasonBusy {
			t.Errorf("baseline: got %v", err)
		}
		if d, err := w.term.Diagnose(context.Background()); err != nil || d.Facts["status"] != "S42" {
			t.Errorf("diagnosis: got %+v, %v", d, err)
		}
		if _, err := w.term.Lookup(context.Background(), tx, time.Hour); !errors.Is(err, link.ErrInProgress) {
			t.Errorf("lookup: got %v", err)
		}
	})
}

// TestTakesBack: a lost bank line blocks until a person decides, unless the
// profile vouches for the terminal.
func TestTakesBack(t *testing.T) {
	for _, word := range []string{"NO_CONNECTION", "CONNECTION_TIMEOUT", "CONNECTION_ERROR", "FAILED/E10", "E10"} {
		for _, promise := range []bool{false, true} {
			simulated(t, "result:"+word, func(s *Settings) { s.TakesBack = promise }, func(w *world) {
				tx := w.tx(payment.Purchase, 500)
				if o, err := w.do(&tx, nil); err == nil || !link.Sent(err) {
					t.Errorf("%s: got %+v, %v", word, o, err)
				}
				if o, err := w.term.Lookup(context.Background(), tx, link.DefaultLongest); !errors.Is(err, link.ErrInProgress) {
					t.Errorf("%s: early: got %+v, %v", word, o, err)
				}
				o, err := w.term.Lookup(context.Background(), tx, link.DefaultLongest+1)
				if promise && (err != nil || o.Result != payment.Failed) || !promise && !errors.Is(err, link.ErrUnproven) {
					t.Errorf("%s, promised %v: got %+v, %v", word, promise, o, err)
				}
			})
		}
	}
}

func TestUIDOff(t *testing.T) {
	simulated(t, "approve", func(s *Settings) { s.UID = UIDOff }, func(w *world) {
		w.sell(500)
		if l := w.sim.Ledger(); len(l) != 1 || l[0].Attempt != "" {
			t.Errorf("ledger: %+v", l)
		}
	})
	simulated(t, "approve", func(s *Settings) { s.UIDLength = 12 }, func(w *world) {
		w.sell(500)
		if l := w.sim.Ledger(); len(l[0].Attempt) != 12 {
			t.Errorf("ledger: %+v", l)
		}
	})
}

func TestDiagnose(t *testing.T) {
	for script, model := range map[string]string{"approve": "Verifone X990", "approve+linux": "SP880"} {
		simulated(t, script, nil, func(w *world) {
			d, err := w.term.Diagnose(context.Background())
			if err != nil || d.Identity != "V1E0207420" || d.Facts["model"] != model || d.Facts["status"] != "S00" || d.Facts["version"] == "" || d.Blocked != "" {
				t.Errorf("%s: got %+v, %v", script, d, err)
			}
			want := strings.Fields("platform model version serial merchants application applications android security_driver")
			if model == "SP880" {
				want = strings.Fields("platform model version serial merchants firmware boot profile api")
			}
			software := "MonoBank 1.2.0.010"
			if model == "SP880" {
				software = "D_01.00_9000300 9.0.3.0_20231017"
			}
			if want := (payment.Inventory{Serial: "V1E0207420", Model: model, Software: software}); d.Inventory != want {
				t.Errorf("%s: inventory: got %+v, want %+v", script, d.Inventory, want)
			}
			for _, fact := range want {
				if d.Facts[fact] == "" {
					t.Errorf("%s: no %s: %+v", script, fact, d.Facts)
				}
			}
		})
	}
}

// TestLines sells, loses an acknowledgement and takes back over real TCP, with
// a terminal that ends each connection, and over real HTTP.
func TestLines(t *testing.T) {
	for name, open := range map[string]func(*testing.T, string) *world{"tcp": behindTCP, "http": behindHTTP} {
		for _, feature := range []string{"", "+one-shot", "+fragments", "+v1.1.10"} {
			t.Run(name+feature, func(t *testing.T) {
				t.Parallel()
				w := open(t, "approve"+feature+",reboot"+feature+",decline:51"+feature)
				w.sell(1000)
				lost := w.tx(payment.Purchase, 300)
				old := feature == "+v1.1.10"
				if o, err := w.do(&lost, nil); old && (err == nil || !link.Sent(err)) || !old && (err != nil || o.Source != payment.SourceLookup) {
					t.Errorf("a lost acknowledgement: got %+v, %v", o, err)
				}
				if o, err := w.term.Lookup(context.Background(), lost, time.Second); old && !errors.Is(err, link.ErrInProgress) || !old && (err != nil || o.Amount.Minor != 300) {
					t.Errorf("lookup: got %+v, %v", o, err)
				}
				declined := w.tx(payment.Purchase, 77)
				if o, err := w.do(&declined, nil); err != nil || o.Result != payment.Declined || o.Response != "51" {
					t.Errorf("declined: got %+v, %v", o, err)
				}
				if d, err := w.term.Diagnose(context.Background()); err != nil || d.Identity == "" {
					t.Errorf("diagnosis: got %+v, %v", d, err)
				}
				w.term.Close()
				if _, err := w.do(&declined, nil); err == nil || link.Sent(err) {
					t.Errorf("after close: got %v", err)
				}
			})
		}
	}
}

func TestSettings(t *testing.T) {
	if err := defaults().Validate(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Settings){
		"merchant_id": func(s *Settings) { s.MerchantID = "é" }, "terminal_id": func(s *Settings) { s.TerminalID = fmt.Sprintf("%050d", 1) },
		"uid": func(s *Settings) { s.UID = "" }, "uid_length": func(s *Settings) { s.UIDLength = 21 }, "steps": func(s *Settings) { s.Steps = "3" },
		"wire": func(s *Settings) { s.Wire = "" }, "cashback": func(s *Settings) { s.Cashback = "on" }, "print_lrc": func(s *Settings) { s.PrintLRC = "" }, "font": func(s *Settings) { s.Font = "é" },
		"discount_percent": func(s *Settings) { s.DiscountPercent = 100 }, "keypad": func(s *Settings) { s.Keypad = "" },
		"connection": func(s *Settings) { s.Connection = "" }, "request_timeout": func(s *Settings) { s.RequestTimeout = 0 },
		"poll": func(s *Settings) { s.Poll = time.Millisecond }, "gap": func(s *Settings) { s.Gap = -1 }, "idle_gap": func(s *Settings) { s.IdleGap = 0 },
	} {
		s := defaults()
		change(s)
		v, ok := errors.AsType[payment.Invalid](s.Validate())
		if !ok || len(v) != 1 || v[0].Field != name {
			t.Errorf("%s: got %v", name, v)
		}
	}
}

func pipeTo(s *Simulator) func(context.Context) (link.Conn, error) {
	return func(context.Context) (link.Conn, error) {
		ours, theirs := net.Pipe()
		go s.Serve(context.Background(), theirs)
		return ours, nil
	}
}
