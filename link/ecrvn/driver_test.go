package ecrvn

import (
	"context"
	"errors"
	"io"
	"net"
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
}

func newRig(t *testing.T, script ...string) *rig {
	t.Helper()
	sim, err := NewSimulator(link.SimulatorConfig{Script: script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	return &rig{t, sim, defaults()}
}

func (r *rig) config() link.Config {
	return link.Config{Name: "pos1", Currency: "VND", Settings: r.settings, Dial: func(context.Context) (link.Conn, error) {
		ours, theirs := net.Pipe()
		go r.sim.Serve(context.Background(), theirs)
		return ours, nil
	}}
}

func (r *rig) open() *terminal {
	r.t.Helper()
	term, err := Open(context.Background(), r.config())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { term.Close() })
	return term.(*terminal)
}

// purchase is a transaction with a fresh attempt and the terminal's baseline.
func (r *rig) purchase(term *terminal, attempt string) payment.Transaction {
	r.t.Helper()
	tx := payment.Transaction{
		Request: payment.Request{ID: payment.ID("id-" + attempt), Order: "42", Operation: payment.Purchase, Amount: payment.Money{Minor: 123456, Currency: "VND"}},
		Attempt: attempt + strings.Repeat("A", maxText-len(attempt)),
	}
	return r.based(term, tx)
}

func (r *rig) based(term *terminal, tx payment.Transaction) payment.Transaction {
	r.t.Helper()
	b, err := term.Baseline(context.Background(), tx)
	if err != nil {
		r.t.Fatal(err)
	}
	tx.Baseline = b
	return tx
}

func TestPurchaseVoidSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		term := r.open()
		var stages []payment.Stage
		tx := r.purchase(term, "P1")
		o, err := term.Execute(t.Context(), tx, link.Dialogue{Progress: func(s payment.Stage, _ payment.VendorCode) { stages = append(stages, s) }})
		if err != nil || o.Result != payment.Approved || o.Amount != tx.Amount || o.Card.PAN.Last4() != "5184" {
			t.Fatalf("sale: got %+v, %v", o, err)
		}
		if len(stages) != 1 || stages[0] != payment.StageWaitingCard {
			t.Errorf("progress: got %v", stages)
		}
		rev := payment.Transaction{
			Request: payment.Request{ID: "r", Operation: payment.Reversal, Original: o.Reference, Amount: tx.Amount},
			Attempt: "R1" + strings.Repeat("A", 18),
		}
		rev = r.based(term, rev)
		if o, err = term.Execute(t.Context(), rev, link.Dialogue{}); err != nil || o.Result != payment.Approved || o.Amount != tx.Amount {
			t.Fatalf("void: got %+v, %v", o, err)
		}
		if _, err := term.Baseline(t.Context(), rev); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("a second void: got %v, want %v", err, link.ErrNotReversible)
		}
		batch := payment.Transaction{Request: payment.Request{ID: "s", Operation: payment.Reconciliation}, Attempt: "S1" + strings.Repeat("A", 18)}
		if o, err = term.Execute(t.Context(), r.based(term, batch), link.Dialogue{}); err != nil || o.Result != payment.Approved {
			t.Fatalf("settle: got %+v, %v", o, err)
		}
		if l := r.sim.Ledger(); len(l) != 1 || !l[0].Charged || !l[0].Reversed || l[0].Order != "42" || l[0].Attempt != tx.Attempt {
			t.Errorf("ledger: %+v", l)
		}
	})
}

// TestLookup loses the answer in many ways and looks the sale up.
func TestLookup(t *testing.T) {
	for _, c := range []struct {
		script  string
		profile func(*Settings)
		within  error // of a lookup while a payment can still be running
		after   error // and of one afterwards
	}{
		{script: "lost-answer"}, {script: "half-answer"}, {script: "garbage"}, {script: "reboot"},
		{script: "charged:68"}, {script: "charged:"}, {script: "charged:WHAT"}, {script: "lost-answer+linebreaks+mojibake+echo"},
		{script: "mute", within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "mute", profile: func(s *Settings) { s.SilentWhenBusy = true }, within: link.ErrInProgress, after: link.ErrNotFound},
		{script: "reboot-before", profile: func(s *Settings) { s.SilentWhenBusy = true }, within: link.ErrInProgress, after: link.ErrNotFound},
		{script: "lost-answer+no-inner-ids", within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "lost-answer+no-inner-ids", profile: func(s *Settings) { s.Keypad = KeypadLocked }},
		{script: "late-approval"}, // opening the terminal is the first question
		{script: "late-approval:2", within: link.ErrInProgress},
		{script: "late-approval:10m", within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "hand-sale", within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "hand-after", within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "batch-closed", within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "swapped", within: link.ErrSwapped, after: link.ErrSwapped},
		{script: "hand-sale", profile: func(s *Settings) { s.SilentWhenBusy = true }, within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "batch-closed", profile: func(s *Settings) { s.SilentWhenBusy = true }, within: link.ErrInProgress, after: link.ErrUnproven},
		{script: "swapped", profile: func(s *Settings) { s.SilentWhenBusy = true }, within: link.ErrSwapped, after: link.ErrSwapped},
	} {
		t.Run(c.script, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, "approve", c.script, "approve")
				if c.profile != nil {
					c.profile(r.settings)
				}
				term := r.open()
				if _, err := term.Execute(t.Context(), r.purchase(term, "P1"), link.Dialogue{}); err != nil {
					t.Fatal(err)
				}
				tx := r.purchase(term, "P2")
				if o, err := term.Execute(t.Context(), tx, link.Dialogue{}); !link.Sent(err) {
					t.Fatalf("got %+v, %v, want an error after sending", o, err)
				}
				term.Close()
				term = r.open()
				for i, want := range []error{c.within, c.after} {
					quiet := time.Second + time.Duration(i)*link.DefaultLongest
					o, err := term.Lookup(t.Context(), tx, quiet)
					if !errors.Is(err, want) {
						t.Errorf("after %v: got %v, want %v", quiet, err, want)
					}
					if want == nil && (o.Result != payment.Approved || o.Amount != tx.Amount) {
						t.Errorf("after %v: got %+v", quiet, o)
					}
				}
			})
		})
	}
}

// TestGaveUp: CANCELED alone says nothing; with what the terminal shows at once
// it does.
func TestGaveUp(t *testing.T) {
	for _, c := range []struct {
		script []string
		want   payment.Result // "": doubtful
	}{
		{[]string{"approve", "cancel"}, payment.Cancelled},
		{[]string{"cancel"}, payment.Cancelled}, // the first sale of all
		{[]string{"approve+no-inner-ids", "cancel+no-inner-ids"}, payment.Cancelled},
		{[]string{"approve", "cancel-charged"}, payment.Approved},
		{[]string{"cancel-charged"}, payment.Approved},
		{[]string{"approve", "cancel-charged+no-inner-ids"}, ""}, // a keypad sale would look the same
	} {
		t.Run(strings.Join(c.script, ","), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, append(c.script, "approve")...)
				term := r.open()
				defer term.Close()
				for range len(c.script) - 1 {
					if _, err := term.Execute(t.Context(), r.purchase(term, "P1"), link.Dialogue{}); err != nil {
						t.Fatal(err)
					}
				}
				o, err := term.Execute(t.Context(), r.purchase(term, "P2"), link.Dialogue{})
				if (err == nil) != (c.want != "") || o.Result != c.want || (err != nil && !link.Sent(err)) {
					t.Errorf("got %s, %v, want %q", o.Result, err, c.want)
				}
			})
		})
	}
}

// TestGaveUpBroken: whatever happens to the question after CANCELED, the sale
// itself was sent.
func TestGaveUpBroken(t *testing.T) {
	for n := range 2 {
		synctest.Test(t, func(t *testing.T) {
			r := newRig(t, "cancel-charged")
			term := r.open()
			defer term.Close()
			tx := r.purchase(term, "P1")
			real := term.line
			term.line = &breakingLine{line: real, ok: 1, sent: n == 1}
			if o, err := term.Execute(t.Context(), tx, link.Dialogue{}); err == nil || !link.Sent(err) {
				t.Errorf("got %+v, %v, want an error after sending", o, err)
			}
		})
	}
}

// breakingLine breaks after ok exchanges.
type breakingLine struct {
	line
	ok   int
	sent bool
}

func (l *breakingLine) exchange(ctx context.Context, c call) (bool, error) {
	if l.ok--; l.ok < 0 {
		return l.sent, io.ErrClosedPipe
	}
	return l.line.exchange(ctx, c)
}

// TestInventory: what the terminal says of itself is the serial number and the
// TID of its answers; this protocol has no word for the software.
func TestInventory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "approve")
		term := r.open()
		tx := r.purchase(term, "B")
		o, err := term.Execute(t.Context(), tx, link.Dialogue{})
		if err != nil || o.Result != payment.Approved {
			t.Fatalf("got %+v, %v", o, err)
		}
		d, err := term.Diagnose(t.Context())
		want := payment.Inventory{Serial: o.Reference.Serial, TID: o.Reference.TID}
		if err != nil || want.Serial == "" || want.TID == "" || d.Inventory != want {
			t.Errorf("got %+v, %v, want %+v", d.Inventory, err, want)
		}
		term.Close()
		r.sim.Close()
		synctest.Wait()
	})
}
