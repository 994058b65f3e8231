package crashtest

import (
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
)

// story is what a controller does, step by step. It returns what went wrong
// from its own point of view.
type story struct {
	name string
	run  func(b *box) []string
}

// price is what everything costs: the first customer pays as much as the second.
const price = 1000

func (b *box) pay(id payment.ID, fulfil time.Duration) payment.Command {
	return payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: id, Order: "order-" + string(id), Amount: b.on.money(price), FulfilWithin: payment.InMillis(fulfil)}}
}

func about(v payment.Verb, id payment.ID) payment.Command {
	return payment.Command{Verb: v, Request: payment.Request{ID: id}}
}

func stuck(b *box, id payment.ID) []string {
	rec, err := b.store.Find(id)
	if err != nil {
		return []string{"stuck: " + string(id) + ": " + err.Error()}
	}
	return []string{"stuck: " + string(id) + " is " + string(rec.State)}
}

var (
	saleStory = story{"sale", func(b *box) []string {
		if r := b.do(b.pay("A1", 0)); r.Status != payment.ReplyAccepted {
			return []string{"sale: " + string(r.Reason)}
		}
		if !b.wait("A1", isFinal) {
			return stuck(b, "A1")
		}
		return nil
	}}

	// doubtStory is a sale that the terminal cannot explain afterwards. Nobody is
	// told anything until a person decides; then the next customer is served.
	doubtStory = story{"doubt", func(b *box) []string {
		b.do(b.pay("A1", 0))
		if !b.wait("A1", func(r payment.Record) bool { return isFinal(r) || r.State == payment.StateInDoubt }) {
			return stuck(b, "A1")
		}
		if rec, _ := b.store.Find("A1"); isFinal(rec) {
			return nil // the break came before the terminal heard of it
		}
		if b.on.fulfil > 0 {
			time.Sleep(time.Minute) // what waits for a confirmation is taken back by then
		}
		result := payment.Failed
		time.Sleep(b.on.lasts()) // a person who comes later knows more
		if _, standing, _ := b.taken(); standing["A1"] > 0 {
			result = payment.Approved // the slip is there, and no second one that takes it back
		}
		resolve := about(payment.VerbResolve, "A1")
		resolve.Result, resolve.By, resolve.Reason, resolve.Force = result, "an", "slip", true
		b.do(resolve)
		if !b.wait("A1", isFinal) {
			return stuck(b, "A1")
		}
		return nil
	}}

	vendStory = story{"vend", func(b *box) []string {
		b.do(b.pay("A1", b.on.within()))
		b.wait("A1", func(r payment.Record) bool { return isFinal(r) || r.State == payment.StateAuthorised })
		b.do(about(payment.VerbDispense, "A1"))
		b.do(about(payment.VerbCommit, "A1"))
		if !b.wait("A1", isFinal) {
			return stuck(b, "A1")
		}
		return nil
	}}

	rollbackStory = story{"rollback", func(b *box) []string {
		b.do(b.pay("A1", b.on.within()))
		b.wait("A1", func(r payment.Record) bool { return isFinal(r) || r.State == payment.StateAuthorised })
		b.do(about(payment.VerbDispense, "A1"))
		b.do(about(payment.VerbRollback, "A1"))
		if !b.wait("A1", isFinal) {
			return stuck(b, "A1")
		}
		return nil
	}}

	deadlineStory = story{"deadline", func(b *box) []string {
		b.do(b.pay("A1", 2*time.Second))
		if !b.wait("A1", isFinal) {
			return stuck(b, "A1")
		}
		b.do(about(payment.VerbDispense, "A1")) // too late, whatever happened
		return nil
	}}

	// reverseStory takes a payment back that was over: by a reversal, or by a
	// refund where the protocol has nothing else.
	reverseStory = story{"reverse", func(b *box) []string {
		b.do(b.pay("A1", 0))
		if !b.wait("A1", isFinal) {
			return stuck(b, "A1")
		}
		if rec, _ := b.store.Find("A1"); rec.Outcome.Result != payment.Approved {
			return nil
		}
		back := payment.Command{Verb: payment.VerbReversal, Request: payment.Request{ID: "R1", Original: payment.Reference{Payment: "A1"}}}
		if !b.on.has(payment.Reversal) {
			back.Verb, back.Amount = payment.VerbRefund, b.on.money(price)
		}
		b.do(back)
		if !b.wait("R1", isFinal) {
			return stuck(b, "R1")
		}
		return nil
	}}
)

// play runs a story on a fresh box and returns every violation. prepare sets
// the break after the first customer was served, so that the terminal has a
// last transaction of the same amount. writes and operations are how many there
// were to break at.
func play(t *testing.T, on subject, sc scene, mut mutation, prepare func(*box)) (violations []string, writes, operations int) {
	synctest.Test(t, func(t *testing.T) {
		b := newBox(t, on, sc.script, mut)
		b.line = &lineBreak{}
		b.start()
		defer b.end()
		if r := b.do(b.pay("A0", 0)); r.Status != payment.ReplyAccepted {
			t.Fatalf("the first customer is refused: %+v", r)
		}
		if !b.wait("A0", isFinal) {
			t.Fatal("the first customer is not served:", stuck(b, "A0"))
		}
		b.before = len(b.sim.Ledger())
		b.mu.Lock()
		b.armed = true
		if prepare != nil {
			prepare(b)
		}
		b.mu.Unlock()
		b.line.begin()
		violations = sc.story.run(b)
		time.Sleep(2 * time.Minute) // what the bank approves late, it has approved by now
		violations = append(violations, b.audit()...)
		b.mu.Lock()
		writes = b.writes
		b.mu.Unlock()
		operations = b.line.count()
	})
	return violations, writes, operations
}
