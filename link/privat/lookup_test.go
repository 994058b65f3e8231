package privat

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
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

// repeats is a line on which an answer of the terminal can be heard once more.
type repeats struct {
	net.Conn
	mu    sync.Mutex
	said  []byte // the last answer to a Purchase with a receipt
	again bool   // say it again after the next Purchase is sent
	due   []byte
}

func (r *repeats) Write(b []byte) (int, error) {
	n, err := r.Conn.Write(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.again && bytes.Contains(b, []byte(`"method":"Purchase"`)) {
		r.again, r.due = false, r.said
	}
	return n, err
}

// Read hands the repetition over before what comes next.
func (r *repeats) Read(b []byte) (int, error) {
	r.mu.Lock()
	if n := copy(b, r.due); n > 0 {
		r.due = r.due[n:]
		r.mu.Unlock()
		return n, nil
	}
	r.mu.Unlock()
	n, err := r.Conn.Read(b)
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.due) > 0 {
		r.due = append(r.due, b[:n]...)
		n = copy(b, r.due)
		r.due = r.due[n:]
		return n, err
	}
	if bytes.Contains(b[:n], []byte(`"method":"Purchase"`)) && bytes.Contains(b[:n], []byte(`"receipt"`)) {
		r.said = bytes.Clone(b[:n])
	}
	return n, err
}

// repeat has what was said of the last sale said again during the next.
func (r *repeats) repeat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.again = true
}

// TestRepeatedAnswer: an answer that comes twice is not the answer to the next
// sale: not on its own connection, of a decline neither, not on another one, where
// only the baseline knows it, and not where the next sale was given up.
func TestRepeatedAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "approve", "decline:51+slow:5s", "approve+slow:5s", "approve+slow:5s", "mute", "approve")
		line := &repeats{}
		open := func() *terminal {
			term, err := Open(t.Context(), link.Config{Name: "pos1", Settings: r.settings, Dial: func(context.Context) (link.Conn, error) {
				ours, theirs := net.Pipe()
				go r.sim.Serve(context.Background(), theirs)
				line = &repeats{Conn: ours, said: line.said}
				return line, nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			return term.(*terminal)
		}
		term := open()
		defer func() { term.Close() }()
		var evidence []payment.Outcome
		sell := func(want payment.Result) payment.Transaction {
			t.Helper()
			tx := r.begin(term, payment.Purchase, 1000, none)
			before := len(r.sim.Ledger())
			o, err := term.Execute(t.Context(), tx, link.Dialogue{Evidence: func(o payment.Outcome) { evidence = append(evidence, o) }})
			if after := len(r.sim.Ledger()); err != nil || o.Result != want || (after > before) != (want == payment.Approved) {
				t.Errorf("want %s, got %+v, %v, and the bank has %d sales after %d", want, o, err, after, before)
			}
			return tx
		}
		first := sell(payment.Approved)
		line.repeat()
		sell(payment.Declined)
		if len(evidence) != 1 || evidence[0].Attempt != first.Attempt || evidence[0].Result != payment.Approved {
			t.Errorf("evidence: got %+v", evidence)
		}
		line.repeat()
		sell(payment.Approved)
		term.Close()
		term = open()
		line.repeat()
		sell(payment.Approved)

		tx := r.begin(term, payment.Purchase, 1000, none)
		if o, err := term.Execute(t.Context(), tx, link.Dialogue{}); !link.Sent(err) {
			t.Errorf("a sale that is lost: got %+v, %v", o, err)
		}
		line.mu.Lock()
		line.due = line.said
		line.mu.Unlock()
		if o, err := term.Lookup(t.Context(), tx, time.Hour); !errors.Is(err, link.ErrNotFound) {
			t.Errorf("its lookup: got %+v, %v", o, err)
		}
	})
}
