package bpos

import (
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// CorrectTransaction at status 11 offers the discount that the profile has for the
// card; both sides agree on the amount before the card is charged.
func TestDiscount(t *testing.T) {
	for name, want := range map[string]int64{"CLUB": 9505, "OTHER": 10005} {
		inWorld(t, []string{"slow:3s+discount:" + name}, func(s *Settings) { s.Discounts = map[string]int{"CLUB": 5} }, func(t *testing.T, w *world) {
			tx := w.sale(10005)
			o, err := sellAndConfirm(t, w.term, &tx)
			if err != nil || o.Amount != uah(want) || payment.Compare(tx.Amount, o.Discount, o.Amount) != payment.AmountAgreed {
				t.Errorf("%s: got %+v, %v, want %d", name, o, err, want)
			}
			if again, err := w.term.Lookup(t.Context(), tx, time.Hour); err != nil || again.Amount != o.Amount || again.Result != payment.Approved {
				t.Errorf("%s: lookup: got %+v, %v", name, again, err)
			}
		})
	}
	// A discount that nobody agreed on: the amount is not known.
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, get: func(name string, v any) any {
				if name == "AddAmount" {
					return int64(5)
				}
				return v
			}}
		}
		w.open()
		tx := w.sale(100)
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err != nil || payment.Compare(tx.Amount, o.Discount, o.Amount) != payment.AmountDoubtful {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

// Cancel is a wish; what the terminal says decides.
func TestCancel(t *testing.T) {
	inWorld(t, []string{"slow:30s"}, nil, func(t *testing.T, w *world) {
		stop := make(chan struct{})
		tx := w.sale(100)
		time.AfterFunc(5*time.Second, func() { close(stop) })
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop})
		if err != nil || o.Result != payment.Cancelled || o.Vendor.Code != "1001" || len(w.sim.Ledger()) != 0 {
			t.Errorf("got %+v, %v", o, err)
		}
	})
	inWorld(t, []string{"slow:30s"}, nil, func(t *testing.T, w *world) { // a library that loses the wish is asked again, a while
		cancels, checks := 0, 0
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				switch method {
				case "Cancel":
					cancels++
					return 0, true, nil
				case "CheckTerminal":
					checks++
				}
				return 0, false, nil
			}}
		}
		w.set.CheckAfter = 4 * time.Second
		w.open()
		stop := make(chan struct{})
		close(stop)
		tx := w.sale(100)
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop}); err != nil || o.Result != payment.Approved || cancels != maxCancels || checks < 3 {
			t.Errorf("got %+v, %v after %d cancels and %d checks", o, err, cancels, checks)
		}
	})
}

// Cancel is for LastResult 2 only: an approval that came before the wish stands.
func TestCancelTooLate(t *testing.T) {
	inWorld(t, []string{"slow:3s"}, nil, func(t *testing.T, w *world) {
		stop, cancels, looked := make(chan struct{}), 0, make(chan struct{})
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				if method == "Cancel" {
					cancels++
				}
				return 0, false, nil
			}, get: func(name string, v any) any {
				if name == "LastResult" && v == int64(resultWorking) {
					select {
					case looked <- struct{}{}:
					default:
					}
				}
				return v
			}}
		}
		w.set.Poll = 5 * time.Second // the terminal is done long before it is looked at again
		w.open()
		tx := w.sale(100)
		go func() {
			<-looked
			time.Sleep(4 * time.Second)
			close(stop)
		}()
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop})
		if err != nil || o.Result != payment.Approved || cancels != 0 {
			t.Errorf("got %+v, %v after %d cancels", o, err, cancels)
		}
	})
}

// After a decline the terminal may ask whether to continue: the next sale waits
// for a key, and a person is told.
func TestQuestion(t *testing.T) {
	inWorld(t, []string{"decline:51+continue", "slow:3s"}, nil, func(t *testing.T, w *world) {
		first := w.sale(100)
		if o, err := w.term.Execute(t.Context(), first, link.Dialogue{}); err != nil || o.Result != payment.Declined || o.Response != "51" {
			t.Fatalf("got %+v, %v", o, err)
		}
		stop := make(chan struct{})
		time.AfterFunc(10*time.Second, func() { close(stop) })
		tx := w.sale(200)
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop})
		if err != nil || o.Result != payment.Cancelled || !strings.Contains(o.Text, "green") {
			t.Errorf("got %+v, %v", o, err)
		}
		if d, err := w.term.Diagnose(t.Context()); err != nil || d.Facts["advice"] != question {
			t.Errorf("got %+v, %v", d, err)
		}
		w.mustSell(300)
		if d, _ := w.term.Diagnose(t.Context()); d.Facts["advice"] != "" {
			t.Error("the hint stays for ever")
		}
	})
	inWorld(t, []string{"decline:51+continue", "approve"}, nil, func(t *testing.T, w *world) {
		first := w.sale(100)
		if _, err := w.term.Execute(t.Context(), first, link.Dialogue{}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(3*time.Second, func() { w.sim.term.Press(true) })
		w.mustSell(200)
		if d, _ := w.term.Diagnose(t.Context()); d.Facts["advice"] == "" {
			t.Error("the sale waited for a key, and nobody is told")
		}
	})
}
