package qfpay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// ask sends a question and returns its answer. An answer that names an attempt
// and was not asked for is kept; heed may end the question with it. Codes that
// say that this terminal will not serve us at all are an error.
func (t *terminal) ask(ctx context.Context, c content, heed func(heard) bool) (answer, error) {
	op := "function " + c.get("func_type")
	if err := t.reload(); err != nil {
		return answer{}, &link.Error{Op: op, Err: err}
	}
	var got answer
	asked := firstOf(c.get("out_trade_no"), c.get("orderId"))
	sent, err := t.line.exchange(ctx, call{
		content: c,
		within:  t.settings.QueryTimeout,
		take: func(h heard) bool {
			if h.ours || !h.late && h.answer.about(asked) {
				got = h.answer
				got.ours = h.ours
				return true
			}
			t.keep(h.answer)
			return heed != nil && heed(h)
		},
	})
	if c, known := answers[got.respcd]; err == nil && known && c.decision == notDone && !t.settings.absent(got.respcd) {
		err = refused{got.respcd}
	}
	if err != nil {
		return answer{}, &link.Error{Op: op, Sent: sent, Err: err}
	}
	return got, nil
}

// refused is a question that the terminal does not serve.
type refused struct{ respcd string }

func (r refused) Error() string {
	return fmt.Sprintf("the terminal answers %s: %s", r.respcd, answers[r.respcd].text)
}

// loggedOut says whether the terminal is there and only lacks somebody who logs
// in.
func loggedOut(err error) bool {
	r, ok := errors.AsType[refused](err)
	return ok && r.respcd == "4007"
}

// others are the answers that come behind one which was not ours for certain: a
// packet of the terminal's own does not say what it answers, and can be late or
// the repetition of an earlier one. What is asked now is answered within
// settleTime of it.
func (t *terminal) others(ctx context.Context, a answer) ([]answer, error) {
	if a.ours {
		return nil, nil
	}
	timer := time.NewTimer(settleTime)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return nil, &link.Error{Op: "question", Sent: true, Err: ctx.Err()}
	}
	more := t.line.waiting()
	for _, m := range more {
		t.keep(m)
	}
	return more, nil
}

// about says whether an answer can be to a question for an id, ours or QFPay's.
func (a answer) about(id string) bool {
	if len(a.records) != 1 {
		return true
	}
	r := a.records[0]
	name := r.get("out_trade_no")
	return name == "" || name == id || r.get("syssn") == id
}

// Lookup asks what became of tx. A purchase is asked for by our own id, so an
// answer is about it and nothing else:
//
//  1. An answer to tx itself that came late is conclusive, if it is not doubtful.
//  2. A transaction with our id that was approved or declined is conclusive: an
//     id is charged once (QFPay refuses a second one as a duplicate). One that was
//     approved and taken back since, and one that is still open, prove nothing.
//  3. Nothing found: [link.ErrInProgress] until the longest time a payment can
//     take has passed, since the card may still be read. Then the terminal is
//     made to stop, and asked again: [link.ErrNotFound].
//
// A refund has no id of ours. It was done if what can still be refunded of the
// original is less than in the baseline by its amount, and was not if it is the
// same.
func (t *terminal) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	t.collect()
	for i, a := range t.strays {
		if c := judge(a); a.names() == tx.Attempt && (c.decision == done || c.decision == notDone) {
			t.strays = append(t.strays[:i:i], t.strays[i+1:]...)
			return t.outcome(c, a, a.records[0], payment.SourceLookup), nil
		}
	}
	o, err := t.find(ctx, tx)
	switch {
	case err == nil:
		return o, nil
	case quiet <= t.longest && (errors.Is(err, link.ErrNotFound) || errors.Is(err, link.ErrUnproven)):
		return payment.Outcome{}, link.ErrInProgress
	case !errors.Is(err, link.ErrNotFound):
		return payment.Outcome{}, err
	}
	if err := t.stop(ctx); err != nil {
		return payment.Outcome{}, err
	}
	return t.find(ctx, tx)
}

// stop makes the terminal give up whatever it is doing.
func (t *terminal) stop(ctx context.Context) error {
	a, err := t.ask(ctx, function(funcCancel), nil)
	if err != nil {
		return err
	}
	more, err := t.others(ctx, a)
	if err != nil {
		return err
	}
	for _, b := range append(more, a) {
		if stopped := b.respcd == "6000" || b.respcd == "6001" || b.respcd == t.settings.IdleCode; !stopped && len(b.records) == 0 {
			return fmt.Errorf("%w: it does not say that it has stopped, but %s", link.ErrUnproven, show(b.respcd))
		}
	}
	return nil
}

// find looks once. link.ErrNotFound says that there is nothing now.
func (t *terminal) find(ctx context.Context, tx payment.Transaction) (payment.Outcome, error) {
	switch tx.Operation {
	case payment.Purchase:
		return t.findTrade(ctx, tx)
	case payment.Refund:
		return t.findRefund(ctx, tx)
	}
	return payment.Outcome{}, link.ErrUnproven
}

func (t *terminal) findTrade(ctx context.Context, tx payment.Transaction) (payment.Outcome, error) {
	a, err := t.ask(ctx, t.settings.query(t.settings.LookupBy, tx.Attempt), nil)
	if err != nil {
		return payment.Outcome{}, err
	}
	o, err := t.trade(tx, a)
	if !errors.Is(err, link.ErrNotFound) {
		return o, err
	}
	more, late := t.others(ctx, a)
	if late != nil {
		return payment.Outcome{}, late
	}
	for _, b := range more {
		if b.names() == tx.Attempt || len(b.records) > 1 {
			if o, again := t.trade(tx, b); !errors.Is(again, link.ErrNotFound) {
				return o, again
			}
		}
	}
	return payment.Outcome{}, err
}

// trade is what one answer says about a purchase.
func (t *terminal) trade(tx payment.Transaction, a answer) (payment.Outcome, error) {
	r, err := t.pick(a, func(r record) bool {
		name := r.get("out_trade_no") // the document's list for this function does not have it
		return name == tx.Attempt || name == "" && len(a.records) == 1
	})
	if err != nil {
		return payment.Outcome{}, err
	}
	c, back := judgeRecord(r), r.get("cancel") != "" && r.get("cancel") != "0"
	switch {
	case c.decision == doubtful && !back && t.settings.absent(r.get("respcd")):
		return payment.Outcome{}, link.ErrNotFound
	case c.decision == doubtful:
		return payment.Outcome{}, fmt.Errorf("%w: %s", link.ErrUnproven, c.text)
	case c.decision == done && back:
		return payment.Outcome{}, fmt.Errorf("%w: it was approved, and its cancel status is %s", link.ErrUnproven, show(r.get("cancel")))
	}
	return t.outcome(c, a, r, payment.SourceLookup), nil
}

// pick finds the one transaction in an answer to function 4001 that is meant.
// Served with nothing is not found; everything else that is not exactly it
// proves nothing.
func (t *terminal) pick(a answer, meant func(record) bool) (record, error) {
	switch {
	case a.respcd == "6000":
	case t.settings.absent(a.respcd):
		return record{}, link.ErrNotFound
	default:
		return record{}, fmt.Errorf("%w: the terminal answers %s", link.ErrUnproven, show(a.respcd))
	}
	var found []record
	for _, r := range a.records {
		if meant(r) && firstOf(r.get("origssn"), r.get("orig_syssn")) == "" { // a refund names its original
			found = append(found, r)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(a.records) == 0 && a.hollow:
		return record{}, link.ErrNotFound
	}
	return record{}, fmt.Errorf("%w: the answer has %d transactions, %d of them meant", link.ErrUnproven, len(a.records), len(found))
}

// absent says whether a code was promised to mean that there is no payment.
func (s *Settings) absent(respcd string) bool { return slices.Contains(s.AbsentCodes, respcd) }

// verify ends a command that the customer, or we, stopped. 6001 alone does not
// exclude that the bank had approved by then, so the terminal is asked at once.
func (t *terminal) verify(ctx context.Context, tx payment.Transaction, a answer, c code) (payment.Outcome, error) {
	o, err := t.find(ctx, tx)
	switch {
	case err == nil:
		return o, nil
	case errors.Is(err, link.ErrNotFound):
		return t.outcome(c, a, record{}, payment.SourceAnswer), nil
	}
	t.owed = true
	return payment.Outcome{}, &link.Error{Op: string(tx.Operation), Sent: true, Err: c.answered(a, fmt.Errorf("%s; asked at once: %w", c.text, err))}
}

// Diagnose asks whether the terminal's app answers us. The protocol has no word
// for who it is: the key that it knows tells ([profile.identity]). mid and tid are
// those of the last payment on this connection; a tid can be the same on
// several terminals. One whose app nobody is logged in to is blocked.
func (t *terminal) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	a, err := t.ask(ctx, t.settings.query(t.settings.LookupBy, newQuery()), nil)
	d := link.Diagnosis{Identity: t.profile.Load().identity(), Facts: map[string]string{"wire": t.wire, "model": t.settings.Model, "channel": t.settings.Channel}}
	switch {
	case loggedOut(err):
		a.respcd, d.Blocked, d.Facts["blocked"] = "4007", payment.ReasonBlocked, answers["4007"].text
	case err != nil:
		return link.Diagnosis{}, err
	}
	d.Facts["answer"] = a.respcd
	for name, text := range map[string]string{"mid": t.last.MID, "tid": t.last.TID} {
		if text != "" {
			d.Facts[name] = text
		}
	}
	return d, nil
}
