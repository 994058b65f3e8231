package ssi

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// original is how the gateway names a payment of its journal.
func original(op payment.Operation, o payment.Outcome) payment.Reference {
	r := o.Reference
	r.Operation, r.Amount = op, o.Amount
	return r
}

// TestPreauthorization reserves, then takes less than it, releases it, or does
// both in the wrong order.
func TestPreauthorization(t *testing.T) {
	for _, script := range []string{"approve", "approve+v1.1.10"} {
		locked := func(s *Settings) { s.Keypad = KeypadLocked }
		hold := func(w *world) payment.Outcome {
			tx := w.tx(payment.Preauthorization, 5000)
			o, err := w.do(&tx, nil)
			if err != nil || o.Result != payment.Approved || o.Amount.Minor != 5000 || w.sim.state.Slips[0].Trn != mPreauth {
				t.Fatalf("%s: got %+v, %v", script, o, err)
			}
			if o, err := w.term.Lookup(context.Background(), tx, time.Second); err != nil || o.Result != payment.Approved {
				t.Errorf("%s: lookup: got %+v, %v", script, o, err)
			}
			return o
		}
		simulated(t, script, locked, func(w *world) {
			o := hold(w)
			tx := w.tx(payment.Completion, 4200)
			tx.Original = original(payment.Preauthorization, o)
			r, err := w.term.request(tx)
			if p := r.Params; err != nil || r.Method != mSalePreauth || p.TransAmount != "5000" || p.EndAmount != "4200" || p.RRN != o.Reference.RRN || p.AuthCode != o.Reference.Auth {
				t.Errorf("%s: request %+v %+v, %v", script, r, r.Params, err)
			}
			done, err := w.do(&tx, nil)
			if err != nil || done.Result != payment.Approved || done.Amount.Minor != 4200 || w.stages[len(w.stages)-1] != payment.StageHost {
				t.Errorf("%s: completion: got %+v, %v, stages %v", script, done, err, w.stages)
			}
			if l := w.sim.Ledger(); len(l) != 2 || l[1].Amount.Minor != 4200 {
				t.Errorf("%s: ledger %+v", script, l)
			}
			if o, err := w.term.Lookup(context.Background(), tx, time.Second); err != nil || o.Amount.Minor != 4200 {
				t.Errorf("%s: lookup: got %+v, %v", script, o, err)
			}
			again, late := w.tx(payment.Completion, 800), w.back(o, 5000)
			again.Original, late.Original = original(payment.Preauthorization, o), original(payment.Preauthorization, o)
			if o, err := w.do(&again, nil); err != nil || o.Result != payment.Declined {
				t.Errorf("%s: completed twice: got %+v, %v", script, o, err)
			}
			if _, err := w.do(&late, nil); !errors.Is(err, link.ErrNotReversible) {
				t.Errorf("%s: released after it was completed: got %v", script, err)
			}
			back := w.back(done, 4200)
			back.Original = original(payment.Completion, done)
			if o, err := w.do(&back, nil); err != nil || o.Result != payment.Approved || !w.sim.Ledger()[1].Reversed {
				t.Errorf("%s: the completion taken back: got %+v, %v", script, o, err)
			}
		})
		simulated(t, script, locked, func(w *world) {
			o := hold(w)
			w.sell(100) // so that it is not the last one any more
			part, back := w.back(o, 1000), w.back(o, 5000)
			part.Original, back.Original = original(payment.Preauthorization, o), original(payment.Preauthorization, o)
			if _, err := w.do(&part, nil); !errors.Is(err, link.ErrNotReversible) {
				t.Errorf("%s: a part: got %v", script, err)
			}
			if err := check(w.term.settings, part.Request); payment.ReasonOf(err) != payment.ReasonInvalid {
				t.Errorf("%s: check of a part: got %v", script, err)
			}
			got, err := w.do(&back, nil)
			if err != nil || got.Result != payment.Approved || !w.sim.Ledger()[0].Reversed || w.sim.state.Last.Trn != mVoidPreauth {
				t.Errorf("%s: release: got %+v, %v", script, got, err)
			}
			if o, err := w.term.Lookup(context.Background(), back, time.Second); err != nil || o.Result != payment.Approved {
				t.Errorf("%s: lookup of the release: got %+v, %v", script, o, err)
			}
		})
	}
	// A terminal that shows both amounts of a completion.
	a := mustDecode(t, `{"method":"GetLastResult","error":false,"params":{"originalTrnName":"SalePreauth","transAmount":"5000","endAmount":"4200","transactionResult":"APPROVED_ONLINE","rrn":"1"}}`)
	term := &terminal{settings: defaults(), currency: "UAH"}
	tx := payment.Transaction{Request: payment.Request{Operation: payment.Completion, Amount: payment.Money{Minor: 4200, Currency: "UAH"}}}
	if o := term.outcome(a, tx, payment.SourceAnswer); o.Amount != tx.Amount || !term.agreed(a.Params.result, tx) {
		t.Errorf("both amounts: got %+v", o)
	}
	for name, o := range map[string]payment.Reference{"nothing": {}, "no code": {RRN: "1", Amount: tx.Amount}, "no amount": {RRN: "1", Auth: "2"}} {
		tx.Original = o
		if err := check(defaults(), tx.Request); payment.ReasonOf(err) != payment.ReasonInvalid {
			t.Errorf("completion of %s: got %v", name, err)
		}
	}
}

// TestCashback gives out cash, in both readings of transAmount.
func TestCashback(t *testing.T) {
	for _, tt := range []struct{ way, script, sent string }{
		{CashbackWithin, "approve", "10000"}, {CashbackBeside, "approve+cash-beside", "9300"}, {CashbackWithin, "approve+v1.1.10", "10000"},
	} {
		simulated(t, tt.script, func(s *Settings) { s.Cashback, s.Keypad, s.DiscountPercent = tt.way, KeypadLocked, 10 }, func(w *world) {
			tx := w.tx(payment.Purchase, 10000)
			tx.Cashback = payment.Money{Minor: 700, Currency: "UAH"}
			r, err := w.term.request(tx)
			if p := r.Params; err != nil || r.Method != mCashBack || p.TransAmount != tt.sent || p.CashAmount != "700" || p.DiscountedAmount != "" {
				t.Errorf("%s: request %+v %+v, %v", tt.way, r, r.Params, err)
			}
			o, err := w.do(&tx, nil)
			if err != nil || o.Result != payment.Approved || o.Amount != tx.Amount || !o.Discount.IsZero() || w.sim.Ledger()[0].Amount != tx.Amount {
				t.Errorf("%s: got %+v, %v, ledger %+v", tt.way, o, err, w.sim.Ledger())
			}
			if o, err := w.term.Lookup(context.Background(), tx, time.Second); err != nil || o.Amount != tx.Amount {
				t.Errorf("%s: lookup: got %+v, %v", tt.way, o, err)
			}
			back := w.back(o, 10000)
			if tt.way == CashbackWithin {
				if o, err := w.do(&back, nil); err != nil || o.Result != payment.Approved {
					t.Errorf("reversal: got %+v, %v", o, err)
				}
			}
		})
	}
	// The wrong reading is an amount that was not asked for.
	simulated(t, "approve+cash-beside", func(s *Settings) { s.Cashback = CashbackWithin }, func(w *world) {
		tx := w.tx(payment.Purchase, 10000)
		tx.Cashback = payment.Money{Minor: 700, Currency: "UAH"}
		o, err := w.do(&tx, nil)
		if err != nil || payment.Compare(tx.Amount, o.Discount, o.Amount) != payment.AmountDoubtful {
			t.Errorf("the wrong reading: got %+v, %v", o, err)
		}
	})
	r := payment.Request{Operation: payment.Purchase, Amount: payment.Money{Minor: 2, Currency: "UAH"}, Cashback: payment.Money{Minor: 1, Currency: "UAH"}}
	if err := check(defaults(), r); payment.ReasonOf(err) != payment.ReasonUnsupported {
		t.Errorf("without a profile: got %v", err)
	}
}

// TestBalance: the till is told that it was asked, and no amount.
func TestBalance(t *testing.T) {
	simulated(t, "approve,decline:54", nil, func(w *world) {
		tx := w.tx(payment.Balance, 0)
		tx.Amount = payment.Money{}
		o, err := w.do(&tx, nil)
		if err != nil || o.Result != payment.Approved || !o.Amount.IsZero() || o.Text == "" || len(w.sim.Ledger()) != 0 || w.sim.state.Last.Trn != mBalance {
			t.Errorf("got %+v, %v", o, err)
		}
		again := w.tx(payment.Balance, 0)
		again.Amount = payment.Money{}
		if o, err := w.do(&again, nil); err != nil || o.Result != payment.Declined || o.Response != "54" {
			t.Errorf("declined: got %+v, %v", o, err)
		}
	})
}

// TestMerchants: a terminal with several merchants, of which each has several
// TIDs, has to be told for whom it works.
func TestMerchants(t *testing.T) {
	const script = "approve+merchants:SHOP/CAFE+tids:T1/T2"
	simulated(t, script, func(s *Settings) { s.MerchantID, s.TerminalID = "SHOP", "T1" }, func(w *world) {
		d, err := w.term.Diagnose(context.Background())
		if err != nil || d.Facts["merchants"] != "SHOP, CAFE" || d.Blocked != "" {
			t.Errorf("diagnosis: got %+v, %v", d, err)
		}
		o := w.sell(500)
		if o.Reference.MID != "SHOP" || o.Reference.TID != "T1" {
			t.Errorf("got %+v", o.Reference)
		}
		tx := w.tx(payment.Purchase, 700)
		tx.Merchant = "CAFE@T2"
		cafe, err := w.do(&tx, nil)
		if err != nil || cafe.Reference.MID != "CAFE" || cafe.Reference.TID != "T2" {
			t.Errorf("another merchant: got %+v, %v", cafe, err)
		}
		for _, named := range []string{"CAFE", "BAR@T1", "SHOP@T7"} { // no TID, no such merchant, no such TID
			tx := w.tx(payment.Purchase, 700)
			tx.Merchant = named
			if o, err := w.do(&tx, nil); err != nil || o.Result != payment.Failed {
				t.Errorf("%s: got %+v, %v", named, o, err)
			} else if named == "SHOP@T7" && (o.Vendor.Code != "E09" || o.Vendor.Text != "E09, a field has a wrong format, terminalId, wrong value of terminalId") {
				t.Errorf("%s: the terminal's words are %+v", named, o.Vendor)
			}
		}
		refund := w.tx(payment.Refund, 700)
		refund.Original = original(payment.Purchase, cafe)
		if o, err := w.do(&refund, nil); err != nil || o.Reference.MID != "CAFE" || o.Reference.TID != "T2" {
			t.Errorf("a refund goes to %+v, %v", o.Reference, err)
		}
		first := w.back(o, 500)
		first.Original = original(payment.Purchase, o)
		if o, err := w.do(&first, nil); err != nil || o.Result != payment.Approved {
			t.Errorf("reversal: got %+v, %v", o, err)
		}
		// The batch of one merchant is closed, that of the other stays open.
		z := w.tx(payment.Reconciliation, 0)
		z.Amount, z.Merchant = payment.Money{}, "CAFE@T2"
		if o, err := w.do(&z, nil); err != nil || o.Result != payment.Approved {
			t.Errorf("Z: got %+v, %v", o, err)
		}
		shop := w.sell(900)
		back := w.back(cafe, 700)
		back.Original = original(payment.Purchase, cafe)
		if _, err := w.do(&back, nil); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("after Z: got %v", err)
		}
		back = w.back(shop, 900)
		if o, err := w.do(&back, nil); err != nil || o.Result != payment.Approved {
			t.Errorf("the other merchant after Z: got %+v, %v", o, err)
		}
	})
	simulated(t, script, func(s *Settings) { s.MerchantID = "BAR" }, func(w *world) {
		if d, err := w.term.Diagnose(context.Background()); err != nil || d.Blocked != payment.ReasonBlocked || d.Facts["blocked"] == "" {
			t.Errorf("an unknown merchant: got %+v, %v", d, err)
		}
	})
	simulated(t, "approve", func(s *Settings) { s.MerchantID = "MERCHANT1" }, func(w *world) { // which the terminal pads
		if d, err := w.term.Diagnose(context.Background()); err != nil || d.Blocked != "" {
			t.Errorf("a padded merchant: got %+v, %v", d, err)
		}
	})
	for named, reason := range map[string]payment.Reason{"SHOP": "", "SHOP@T1": "", "@T1": payment.ReasonInvalid, "é": payment.ReasonInvalid, fmt.Sprintf("S@%050d", 1): payment.ReasonInvalid} {
		r := payment.Request{Operation: payment.Purchase, Amount: payment.Money{Minor: 2, Currency: "UAH"}, Merchant: named}
		if err := check(defaults(), r); payment.ReasonOf(err) != reason {
			t.Errorf("%q: got %v", named, err)
		}
	}
}
