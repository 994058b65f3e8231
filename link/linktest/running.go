package linktest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// start sells in the background and waits until everybody waits.
func (b *bench) start(ctx context.Context, term link.Terminal, tx *payment.Transaction, d link.Dialogue) (wait func() (payment.Outcome, error)) {
	if err := baseline(term, tx); err != nil {
		b.t.Fatal(err)
	}
	var o payment.Outcome
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		o, err = execute(ctx, term, *tx, d)
	}()
	synctest.Wait()
	return func() (payment.Outcome, error) { <-done; return o, err }
}

// lateAnswers: the line breaks while the customer pays, and the terminal
// answers on the next one. The sale gets its answer, and no other sale does. A
// driver with a connection for each request may go on asking by itself.
func lateAnswers(t *testing.T, s Subject, settings any) {
	t.Run("approved", func(t *testing.T) { lateAnswer(t, s, settings, s.Slow, payment.Approved) })
	t.Run("declined", func(t *testing.T) { lateAnswer(t, s, settings, s.SlowDecline, payment.Declined) })
}

func lateAnswer(t *testing.T, s Subject, settings any, behaviour string, want payment.Result) {
	in(t, s, settings, []string{s.Approve, behaviour, s.Approve}, func(b *bench, term link.Terminal) {
		first := b.purchase()
		if _, err := b.sell(context.Background(), term, &first, link.Dialogue{}); err != nil {
			t.Fatal(err)
		}
		term.Close()
		var line *Breaking
		b.breakAt(&line, -1, CutRead)
		term = b.mustOpen()
		tx := b.purchase()
		wait := b.start(context.Background(), term, &tx, link.Dialogue{})
		line.Break()
		b.wrapNext(nil)
		o, err := wait()
		b.judge("late answer", tx, o, err)
		if followed := s.Apart && err == nil && o.Result == want; !followed && !link.Sent(err) {
			t.Errorf("got %+v, %v, want an error after sending", o, err)
		}
		term.Close()
		again := b.mustOpen()
		defer again.Close()
		for i := 0; ; i++ {
			o, err := b.lookup("lookup", again, tx, time.Minute, true)
			if err == nil && o.Result == want || s.undone(o, err) {
				break
			}
			if i == 20 && s.AnswersOnly && s.blind(settings, err) {
				break // the answer never came, and its place in a journal is no proof here
			}
			if i == 20 {
				t.Fatalf("the answer is never found: %+v, %v", o, err)
			}
			time.Sleep(10 * time.Second)
		}
		next := b.purchase()
		o, err = b.sell(context.Background(), again, &next, link.Dialogue{})
		b.judge("next sale", next, o, err)
		if err != nil || o.Result != payment.Approved {
			t.Errorf("next sale: got %+v, %v", o, err)
		}
	})
}

// strayAnswers: a sale is given up, and its answer comes while the next one
// waits for its own. It is evidence for the first and nothing to the second.
func strayAnswers(t *testing.T, s Subject, settings any) {
	if s.AnswersOnly {
		t.Skip("the protocol's terminals never speak unasked")
	}
	if s.Apart {
		t.Skip("an answer comes on the connection of its own request only")
	}
	in(t, s, settings, []string{s.Slow, s.Approve}, func(b *bench, term link.Terminal) {
		one, two := b.purchase(), b.purchase()
		if err := baseline(term, &two); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		wait := b.start(ctx, term, &one, link.Dialogue{})
		cancel()
		if o, err := wait(); err == nil || !link.Sent(err) {
			t.Errorf("given up: got %+v, %v, want an error after sending", o, err)
		}
		var evidence []payment.Outcome
		o, err := term.Execute(context.Background(), two, link.Dialogue{Evidence: func(o payment.Outcome) { evidence = append(evidence, o) }})
		b.judge("the second", two, o, err)
		if len(evidence) != 1 || evidence[0].Attempt == "" || evidence[0].Attempt != one.Attempt[:len(evidence[0].Attempt)] || evidence[0].Result != payment.Approved {
			t.Errorf("evidence for %s: got %+v", one.Attempt, evidence)
		}
	})
}

// reversal takes one payment back, once.
func reversal(t *testing.T, s Subject, settings any) {
	if !has(s.Driver, payment.Reversal) {
		t.Skip("the protocol has no reversal")
	}
	in(t, s, settings, []string{s.Approve}, func(b *bench, term link.Terminal) {
		tx := b.purchase()
		o, err := b.sell(context.Background(), term, &tx, link.Dialogue{})
		if err != nil {
			t.Fatal(err)
		}
		back := b.purchase()
		back.Operation, back.Original, back.Order, back.Amount = payment.Reversal, o.Reference, "", tx.Amount
		if err := baseline(term, &back); err != nil {
			t.Fatal(err)
		}
		o, err = term.Execute(context.Background(), back, link.Dialogue{})
		if l := b.sim.Ledger(); err != nil || o.Result != payment.Approved || o.Amount != tx.Amount || len(l) != 1 || !l[0].Reversed {
			t.Errorf("got %+v, %v, ledger %+v", o, err, l)
		}
		if o, err = term.Lookup(context.Background(), back, time.Second); err != nil || o.Result != payment.Approved {
			t.Errorf("lookup: got %+v, %v", o, err)
		}
		twice := b.purchase()
		twice.Operation, twice.Original, twice.Order, twice.Amount = payment.Reversal, back.Original, "", tx.Amount
		if err := baseline(term, &twice); !errors.Is(err, link.ErrNotReversible) {
			t.Errorf("once more: got %v, want %v", err, link.ErrNotReversible)
		}
	})
}

// reconciliation closes the batch; what was sold in it can no longer be
// reversed by number.
func reconciliation(t *testing.T, s Subject, settings any) {
	if !has(s.Driver, payment.Reconciliation) {
		t.Skip("the protocol has no reconciliation")
	}
	in(t, s, settings, []string{s.Approve}, func(b *bench, term link.Terminal) {
		tx, batch, next := b.purchase(), b.purchase(), b.purchase()
		if _, err := b.sell(context.Background(), term, &tx, link.Dialogue{}); err != nil {
			t.Fatal(err)
		}
		batch.Operation, batch.Amount, batch.Order = payment.Reconciliation, payment.Money{}, ""
		o, err := b.sell(context.Background(), term, &batch, link.Dialogue{})
		if err != nil || o.Result != payment.Approved {
			t.Errorf("got %+v, %v", o, err)
		}
		if o, err = b.sell(context.Background(), term, &next, link.Dialogue{}); err != nil || o.Result != payment.Approved {
			t.Errorf("sale in the next batch: got %+v, %v", o, err)
		}
		if l := b.sim.Ledger(); len(l) != 2 || l[0].Reversed || l[1].Reversed {
			t.Errorf("ledger: %+v", l)
		}
	})
}

// abort: whatever the terminal makes of it, its answer decides.
func abort(t *testing.T, s Subject, settings any) {
	t.Run("while it asks for the card", func(t *testing.T) { abortAt(t, s, settings, false) })
	t.Run("before it was told", func(t *testing.T) { abortAt(t, s, settings, true) })
}

func abortAt(t *testing.T, s Subject, settings any, before bool) {
	in(t, s, settings, []string{s.Slow}, func(b *bench, term link.Terminal) {
		stop := make(chan struct{})
		if before {
			close(stop)
		}
		tx := b.purchase()
		wait := b.start(context.Background(), term, &tx, link.Dialogue{Abort: stop})
		if !before {
			close(stop)
		}
		o, err := wait()
		b.judge("aborted", tx, o, err)
		if err != nil {
			t.Errorf("got %v, want the terminal's answer", err)
		}
		if !s.Driver.CanAbort && o.Result != payment.Approved {
			t.Errorf("got %+v; the protocol cannot abort, so the customer paid", o)
		}
	})
}

// closing wakes whoever waits, within a second, and is idempotent.
func closing(t *testing.T, s Subject, settings any) {
	in(t, s, settings, []string{s.Slow}, func(b *bench, term link.Terminal) {
		if _, confirmer := term.(link.Confirmer); confirmer != s.Driver.Confirms {
			t.Errorf("the terminal wants confirmations: %v, and the driver says %v", confirmer, s.Driver.Confirms)
		}
		tx := b.purchase()
		wait := b.start(context.Background(), term, &tx, link.Dialogue{})
		began := time.Now()
		term.Close()
		o, err := wait()
		if err == nil || !link.Sent(err) {
			t.Errorf("got %+v, %v, want an error after sending", o, err)
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("close took %v", d)
		}
		if err := term.Close(); err != nil && !errors.Is(err, ErrBroken) {
			t.Logf("the second close says %v", err)
		}
		if o, err := term.Execute(context.Background(), b.purchase(), link.Dialogue{}); err == nil || link.Sent(err) {
			t.Errorf("a sale after close: got %+v, %v, want an error with nothing sent", o, err)
		}
	})
}

// shutdown: a cancelled context ends the wait at once, and nothing is said
// about the money.
func shutdown(t *testing.T, s Subject, settings any) {
	in(t, s, settings, []string{s.Slow, s.Approve}, func(b *bench, term link.Terminal) {
		ctx, cancel := context.WithCancel(context.Background())
		tx := b.purchase()
		wait := b.start(ctx, term, &tx, link.Dialogue{})
		began := time.Now()
		cancel()
		if o, err := wait(); err == nil || !link.Sent(err) || time.Since(began) > time.Second {
			t.Errorf("after %v: got %+v, %v, want an error after sending", time.Since(began), o, err)
		}
		next := b.purchase()
		if o, err := term.Execute(ctx, next, link.Dialogue{}); err == nil || link.Sent(err) {
			t.Errorf("a sale after it: got %+v, %v, want an error with nothing sent", o, err)
		}
	})
}

// injector puts junk before the next bytes that are read.
type injector struct {
	link.Conn
	mu   sync.Mutex
	junk []byte
	left []byte // read already, to be handed over; only Read uses it
}

func (j *injector) inject(junk []byte) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.junk = bytes.Clone(junk)
}

func (j *injector) Read(b []byte) (int, error) {
	if len(j.left) == 0 {
		n, err := j.Conn.Read(b)
		j.mu.Lock()
		junk := j.junk
		if n > 0 {
			j.junk = nil
		}
		j.mu.Unlock()
		if len(junk) == 0 || n == 0 {
			return n, err
		}
		j.left = append(junk, b[:n]...)
	}
	n := copy(b, j.left)
	j.left = j.left[n:]
	return n, nil
}

// hostile sends junk in front of an answer: a megabyte of noise, objects that
// never end, objects nested without end. The sale is not misjudged, and the
// line is of use again afterwards.
func hostile(t *testing.T, s Subject, settings any) {
	junk := append([][]byte{
		bytes.Repeat([]byte{0}, 1<<20), bytes.Repeat([]byte{0xff, '{', '}', '"', '\\'}, 1<<18), bytes.Repeat([]byte("{"), 1<<20),
		[]byte(`{"a":"` + string(bytes.Repeat([]byte("x"), 1<<20))), bytes.Repeat([]byte(`{"a":`), 1<<18), bytes.Repeat([]byte(`{"a":{}}`), 1<<14),
		[]byte("{\""), []byte("\x02\x00\x10\x03"),
	}, s.Junk...)
	for i, j := range junk {
		in(t, s, settings, []string{s.Approve}, func(b *bench, term link.Terminal) {
			term.Close()
			line := &injector{}
			b.wrapNext(func(c link.Conn) link.Conn { line.Conn, line.left = c, nil; return line })
			term = b.mustOpen()
			defer term.Close()
			tx := b.purchase()
			if err := baseline(term, &tx); err != nil {
				t.Fatal(err)
			}
			line.inject(j)
			o, err := execute(context.Background(), term, tx, link.Dialogue{})
			b.judge(fmt.Sprintf("junk %d", i), tx, o, err)
			if s.Apart && err != nil && !link.Sent(err) { // it met the handshake of the sale's own connection
				tx = b.purchase()
				if o, err = b.sell(context.Background(), term, &tx, link.Dialogue{}); err != nil || o.Result != payment.Approved {
					t.Errorf("junk %d: the next sale: got %+v, %v", i, o, err)
				}
			}
			if o, err := b.lookup(fmt.Sprintf("junk %d", i), term, tx, time.Second, false); !s.blind(settings, err) && !s.pending(err) && (err != nil || o.Result != payment.Approved) {
				t.Errorf("junk %d: lookup on the same line: got %+v, %v", i, o, err)
			}
		})
	}
}

func has(d link.Driver, op payment.Operation) bool {
	for _, o := range d.Operations {
		if o == op {
			return true
		}
	}
	return false
}
