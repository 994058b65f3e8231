package linktest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Run puts a driver through the suite.
func Run(t *testing.T, s Subject) {
	t.Run("answers", func(t *testing.T) { s.profiles(t, answers) })
	t.Run("lost answers", func(t *testing.T) { s.profiles(t, lostAnswers) })
	t.Run("dead commands", func(t *testing.T) { s.profiles(t, deadCommands) })
	t.Run("late approvals", func(t *testing.T) { s.profiles(t, lateApprovals) })
	t.Run("foreign evidence", func(t *testing.T) { s.profiles(t, foreignEvidence) })
	t.Run("late answers", func(t *testing.T) { s.profiles(t, lateAnswers) })
	t.Run("stray answers", func(t *testing.T) { s.profiles(t, strayAnswers) })
	t.Run("reversal", func(t *testing.T) { s.profiles(t, reversal) })
	t.Run("reconciliation", func(t *testing.T) { s.profiles(t, reconciliation) })
	t.Run("abort", func(t *testing.T) { s.profiles(t, abort) })
	t.Run("inventory", func(t *testing.T) { s.profiles(t, inventory) })
	t.Run("close", func(t *testing.T) { s.profiles(t, closing) })
	t.Run("shutdown", func(t *testing.T) { s.profiles(t, shutdown) })
	t.Run("hostile line", func(t *testing.T) { s.profiles(t, hostile) })
	t.Run("broken line", func(t *testing.T) { s.profiles(t, broken) })
	t.Run("broken line at a reversal", func(t *testing.T) { s.profiles(t, brokenReversal) })
	t.Run("check", s.check)
	t.Run("explain", s.explain)
	t.Run("pseudo-terminal", s.pty)
	t.Run("loopback TCP", s.tcp)
}

// profiles runs f with the driver's own settings and with the subject's.
func (s Subject) profiles(t *testing.T, f func(*testing.T, Subject, any)) {
	var own any
	if s.Driver.Settings != nil {
		own = s.Driver.Settings()
	}
	t.Run("default profile", func(t *testing.T) { f(t, s, own) })
	if s.Settings != nil {
		t.Run("telling profile", func(t *testing.T) { f(t, s, s.Settings()) })
	}
}

// in runs f in a bubble, with a simulator that behaves like script, and closes
// everything: what is left over then is a leak, and fails.
func in(t *testing.T, s Subject, settings any, script []string, f func(*bench, link.Terminal)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, s, settings, script...)
		term := b.mustOpen()
		defer func() { b.close(term) }()
		f(b, term)
	})
}

// answers: what the terminal says is what the driver says.
func answers(t *testing.T, s Subject, settings any) {
	in(t, s, settings, []string{s.Approve, s.Decline, s.Approve}, func(b *bench, term link.Terminal) {
		for i, want := range []payment.Result{payment.Approved, payment.Declined, payment.Approved} {
			var stages []payment.Stage
			tx := b.purchase()
			o, err := b.sell(context.Background(), term, &tx, link.Dialogue{
				Progress: func(s payment.Stage, _ payment.VendorCode) { stages = append(stages, s) },
				Evidence: func(o payment.Outcome) { t.Errorf("sale %d: stray evidence %+v", i, o) },
			})
			if err != nil || o.Result != want || o.Source != payment.SourceAnswer {
				t.Errorf("sale %d: got %+v, %v, want %s", i, o, err, want)
			}
			b.judge(fmt.Sprintf("sale %d", i), tx, o, err)
			if !slices.Contains(stages, payment.StageWaitingCard) {
				t.Errorf("sale %d: the customer is never told to present a card: %v", i, stages)
			}
		}
	})
	if s.Cancel == "" {
		return
	}
	in(t, s, settings, []string{s.Cancel}, func(b *bench, term link.Terminal) {
		tx := b.purchase()
		o, err := b.sell(context.Background(), term, &tx, link.Dialogue{})
		b.judge("cancel", tx, o, err)
		if err == nil && o.Result != payment.Cancelled || err != nil && !link.Sent(err) {
			t.Errorf("cancel: got %+v, %v, want %s, or an error after sending", o, err, payment.Cancelled)
		}
	})
}

// lostAnswers: the bank has approved and the answer does not say so. The driver
// says that it does not know, or has looked it up at once; and a lookup on a new
// connection finds it, however often it is asked.
func lostAnswers(t *testing.T, s Subject, settings any) {
	for _, name := range s.Charged {
		t.Run(name, func(t *testing.T) {
			in(t, s, settings, []string{s.Approve, name, s.Approve}, func(b *bench, term link.Terminal) {
				first, tx := b.purchase(), b.purchase()
				if o, err := b.sell(context.Background(), term, &first, link.Dialogue{}); err != nil || o.Result != payment.Approved {
					t.Fatalf("sale before: got %+v, %v", o, err)
				}
				o, err := b.sell(context.Background(), term, &tx, link.Dialogue{})
				found := err == nil && o.Result == payment.Approved && o.Source == payment.SourceLookup
				if !found && !link.Sent(err) {
					t.Errorf("got %+v, %v, want an error after sending, or an approval that was looked up", o, err)
				}
				term.Close()
				again := b.mustOpen()
				defer again.Close()
				for _, quiet := range []time.Duration{time.Second, time.Second, longest + time.Second} {
					if o, err := b.lookup("lookup", again, tx, quiet, false); s.blind(settings, err) || quiet <= longest && s.pending(err) {
						continue
					} else if err != nil || o.Result != payment.Approved || o.Source != payment.SourceLookup {
						t.Errorf("lookup after %v: got %+v, %v, want approved", quiet, o, err)
					}
				}
				if len(b.charged(tx)) != 1 {
					t.Errorf("the bank charged %d times, want once", len(b.charged(tx)))
				}
			})
		})
	}
}

// unanswered makes a sale, then one without an answer, and connects again.
func (b *bench) unanswered(term link.Terminal) (tx payment.Transaction, again link.Terminal) {
	b.t.Helper()
	first, tx := b.purchase(), b.purchase()
	if _, err := b.sell(context.Background(), term, &first, link.Dialogue{}); err != nil {
		b.t.Fatal(err)
	}
	if o, err := b.sell(context.Background(), term, &tx, link.Dialogue{}); err == nil || !link.Sent(err) {
		b.t.Errorf("got %+v, %v, want an error after sending", o, err)
	}
	term.Close()
	return tx, b.mustOpen()
}

// deadCommands: the bank was never asked. While it still could be, the driver
// may not say so.
func deadCommands(t *testing.T, s Subject, settings any) {
	for _, name := range s.Dead {
		t.Run(name, func(t *testing.T) {
			in(t, s, settings, []string{s.Approve, name, s.Approve}, func(b *bench, term link.Terminal) {
				tx, again := b.unanswered(term)
				defer again.Close()
				next := b.purchase()
				if o, err := b.lookup("early lookup", again, tx, time.Second, false); !errors.Is(err, link.ErrInProgress) {
					t.Errorf("early lookup: got %+v, %v, want %v", o, err, link.ErrInProgress)
				}
				o, err := b.lookup("late lookup", again, tx, longest+time.Second, false)
				if !errors.Is(err, link.ErrNotFound) && !errors.Is(err, link.ErrUnproven) {
					t.Errorf("late lookup: got %+v, %v, want %v or %v", o, err, link.ErrNotFound, link.ErrUnproven)
				}
				if o, err := b.sell(context.Background(), again, &next, link.Dialogue{}); err != nil || o.Result != payment.Approved {
					t.Errorf("next sale: got %+v, %v", o, err)
				}
				if o, err := b.lookup("lookup after the next sale", again, tx, longest+time.Second, false); err == nil || errors.Is(err, link.ErrNotFound) && !s.ByID {
					t.Errorf("lookup after the next sale: got %+v, %v, want no answer", o, err)
				}
			})
		})
	}
}

// lateApprovals: "nothing yet" is not "nothing".
func lateApprovals(t *testing.T, s Subject, settings any) {
	for _, name := range s.Late {
		t.Run(name, func(t *testing.T) {
			in(t, s, settings, []string{s.Approve, name, s.Approve}, func(b *bench, term link.Terminal) {
				first, tx := b.purchase(), b.purchase()
				if _, err := b.sell(context.Background(), term, &first, link.Dialogue{}); err != nil {
					t.Fatal(err)
				}
				if err := baseline(term, &tx); err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
				defer cancel()
				if o, err := term.Execute(ctx, tx, link.Dialogue{}); err == nil || !link.Sent(err) {
					t.Errorf("got %+v, %v, want an error after sending", o, err)
				}
				term.Close()
				again := b.mustOpen()
				defer again.Close()
				for i := range 20 {
					o, err := b.lookup("lookup", again, tx, time.Minute, true)
					if err == nil {
						if o.Result != payment.Approved && !s.undone(o, err) {
							t.Errorf("lookup %d: got %+v, want approved", i, o)
						}
						return
					}
					if !errors.Is(err, link.ErrInProgress) {
						t.Errorf("lookup %d: got %v, want %v", i, err, link.ErrInProgress)
					}
					time.Sleep(10 * time.Second)
				}
				if _, err := b.lookup("lookup", again, tx, time.Minute, true); !s.blind(settings, err) && !s.pending(err) {
					t.Error("the approval is never found")
				}
			})
		})
	}
}

// foreignEvidence: what the terminal shows is somebody else's.
func foreignEvidence(t *testing.T, s Subject, settings any) {
	for _, name := range s.Foreign {
		t.Run(name, func(t *testing.T) {
			in(t, s, settings, []string{s.Approve, name, s.Approve}, func(b *bench, term link.Terminal) {
				tx, again := b.unanswered(term)
				defer again.Close()
				for _, quiet := range []time.Duration{time.Second, longest + time.Second} {
					o, err := b.lookup("lookup", again, tx, quiet, false)
					if err == nil || errors.Is(err, link.ErrNotFound) {
						t.Errorf("lookup after %v: got %+v, %v, want no answer", quiet, o, err)
					}
					if name == s.Swapped && !errors.Is(err, link.ErrSwapped) {
						t.Errorf("lookup after %v: got %v, want %v", quiet, err, link.ErrSwapped)
					}
				}
			})
		})
	}
}

func (s Subject) check(t *testing.T) {
	for name, r := range s.Uncarried {
		if err := s.Driver.Check(s.anySettings(), r); payment.ReasonOf(err) == "" {
			t.Errorf("%s: got %v, want a refusal", name, err)
		}
	}
	b := &bench{t: t, s: s}
	if err := s.Driver.Check(s.anySettings(), b.purchase().Request); err != nil {
		t.Errorf("a plain purchase: %v", err)
	}
	for _, op := range payment.Operations() {
		err := s.Driver.Check(s.anySettings(), payment.Request{ID: "x", Operation: op, Amount: payment.Money{Minor: 1, Currency: s.Currency}})
		if slices.Contains(s.Driver.Operations, op) != (payment.ReasonOf(err) != payment.ReasonUnsupported) {
			t.Errorf("%s: got %v, and the driver's list says %v", op, err, slices.Contains(s.Driver.Operations, op))
		}
	}
}

func (s Subject) anySettings() any {
	if s.Driver.Settings == nil {
		return nil
	}
	return s.Driver.Settings()
}

func (s Subject) explain(t *testing.T) {
	for i, b := range s.Valid {
		if err := s.Driver.Explain(io.Discard, b); err != nil {
			t.Errorf("valid capture %d: %v", i, err)
		}
	}
	for i, b := range append([][]byte{nil, []byte("\x00\xff"), []byte("hello")}, s.Invalid...) {
		if err := s.Driver.Explain(io.Discard, b); err == nil {
			t.Errorf("invalid capture %d: no error", i)
		}
	}
}
