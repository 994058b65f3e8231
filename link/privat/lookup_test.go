package privat

import (
	"context"
	"errors"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// TestLookup loses the answer in many ways and looks the sale up.
func TestLookup(t *testing.T) {
	open, locked := KeypadOpen, KeypadLocked
	for _, c := range []struct {
		script, keypad string
		within, after  error // of a lookup while a payment can still be running, and afterwards
	}{
		{"lost-answer", locked, nil, nil}, {"charged:1004", locked, nil, nil}, {"charged:0068", locked, nil, nil}, {"half-answer", locked, nil, nil},
		{"lost-answer", open, link.ErrInProgress, link.ErrUnproven}, {"charged:1001", open, link.ErrInProgress, link.ErrUnproven},
		{"mute", open, link.ErrInProgress, link.ErrNotFound}, {"mute", locked, link.ErrInProgress, link.ErrNotFound},
		{"reboot-before", open, link.ErrInProgress, link.ErrNotFound},
		{"hand-sale", open, link.ErrInProgress, link.ErrUnproven}, {"hand-after", open, link.ErrInProgress, link.ErrUnproven},
		{"wrong-amount+slow:400s", locked, link.ErrInProgress, link.ErrInProgress}, // it is still busy
		{"batch-closed", locked, link.ErrInProgress, link.ErrUnproven}, {"swapped", locked, link.ErrSwapped, link.ErrSwapped},
		{"late-approval:10m", locked, link.ErrInProgress, link.ErrInProgress},
	} {
		t.Run(c.script+" "+c.keypad, func(t *testing.T) {
			story(t, []string{"approve", c.script, "approve"}, func(t *testing.T, r *rig, term *terminal) {
				r.settings.Keypad = c.keypad
				r.do(term, payment.Purchase, 1000, none, payment.Approved)
				tx := r.begin(term, payment.Purchase, 1000, none)
				if o, err := term.Execute(t.Context(), tx, link.Dialogue{}); err == nil && o.Source != payment.SourceLookup || err != nil && !link.Sent(err) {
					t.Fatalf("got %+v, %v, want an error after sending", o, err)
				}
				term.Close()
				term = r.open()
				for i, want := range []error{c.within, c.after} {
					quiet := time.Second + time.Duration(i)*link.DefaultLongest
					o, err := term.Lookup(t.Context(), tx, quiet)
					if !errors.Is(err, want) || want == nil && (err != nil || o.Result != payment.Approved || o.Amount != tx.Amount || o.Reference.RRN == "") {
						t.Errorf("after %v: got %+v, %v, want %v", quiet, o, err, want)
					}
				}
			})
		})
	}
}

// TestReceiptOfAnother: the receipt of a later sale for the same amount is no
// evidence for an earlier one.
func TestReceiptOfAnother(t *testing.T) {
	story(t, []string{"approve", "mute", "approve"}, func(t *testing.T, r *rig, term *terminal) {
		r.settings.Keypad = KeypadLocked
		r.do(term, payment.Purchase, 1000, none, payment.Approved)
		tx := r.begin(term, payment.Purchase, 1000, none)
		if _, err := term.Execute(t.Context(), tx, link.Dialogue{}); !link.Sent(err) {
			t.Fatal(err)
		}
		next := r.begin(term, payment.Purchase, 1000, none)
		if _, err := term.Execute(t.Context(), next, link.Dialogue{}); err != nil {
			t.Fatal(err)
		}
		if o, err := term.Lookup(t.Context(), tx, time.Hour); !errors.Is(err, link.ErrUnproven) {
			t.Errorf("got %+v, %v, want %v", o, err, link.ErrUnproven)
		}
		if o, err := term.Lookup(t.Context(), next, time.Hour); err != nil || o.Result != payment.Approved {
			t.Errorf("the later one: got %+v, %v", o, err)
		}
	})
}

// TestLateAnswer: the line breaks and the terminal answers on the next one,
// with an open keypad. Only an answer that can be ours counts.
func TestLateAnswer(t *testing.T) {
	for script, want := range map[string]payment.Result{"approve+slow:30s": payment.Approved, "decline:05+slow:30s": payment.Declined, "wrong-amount+slow:30s": ""} {
		story(t, []string{"approve", script}, func(t *testing.T, r *rig, term *terminal) {
			r.do(term, payment.Purchase, 1000, none, payment.Approved)
			tx := r.begin(term, payment.Purchase, 1000, none)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if _, err := term.Execute(ctx, tx, link.Dialogue{}); !link.Sent(err) {
				t.Fatal(err)
			}
			term.Close()
			term = r.open()
			if o, err := term.Lookup(t.Context(), tx, time.Second); !errors.Is(err, link.ErrInProgress) {
				t.Errorf("%s: while it is busy: got %+v, %v", script, o, err)
			}
			time.Sleep(time.Minute)
			o, err := term.Lookup(t.Context(), tx, time.Minute)
			if o.Result != want || (err == nil) != (want != "") {
				t.Errorf("%s: got %+v, %v, want %q", script, o, err, want)
			}
		})
	}
}

// TestReconciliationLookup: an empty batch that was not empty has been closed.
func TestReconciliationLookup(t *testing.T) {
	for script, want := range map[string]error{"lost-answer": nil, "mute": link.ErrNotFound} {
		story(t, []string{"approve", script}, func(t *testing.T, r *rig, term *terminal) {
			r.do(term, payment.Purchase, 1000, none, payment.Approved)
			tx := r.begin(term, payment.Reconciliation, 0, none)
			if _, err := term.Execute(t.Context(), tx, link.Dialogue{}); !link.Sent(err) {
				t.Fatal(err)
			}
			if o, err := term.Lookup(t.Context(), tx, time.Hour); !errors.Is(err, want) || want == nil && (err != nil || o.Result != payment.Approved) {
				t.Errorf("%s: got %+v, %v, want %v", script, o, err, want)
			}
		})
	}
}
