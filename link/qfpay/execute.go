package qfpay

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Execute sends the request of tx once and reads until the terminal answers.
// When d.Abort is closed it sends function 5001 and reads on.
func (t *terminal) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	op := string(tx.Operation)
	req, err := t.request(tx)
	if err == nil {
		err = t.reload()
	}
	if err != nil {
		return payment.Outcome{}, &link.Error{Op: op, Err: err}
	}
	t.hand(d)
	var ours answer
	sent, err := t.line.exchange(ctx, call{
		content: req,
		within:  t.longest,
		abort:   d.Abort,
		wrote:   func() { d.Report(firstStage(tx.Operation), payment.VendorCode{}) },
		take: func(h heard) bool {
			if t.answers(h, tx) {
				ours = h.answer
				return true
			}
			if o, ok := t.stray(h.answer, tx.Attempt); ok {
				d.Stray(o)
			}
			return false
		},
	})
	if r, ok := errors.AsType[rejected](err); ok && r.certain() {
		c := packetErrors[r.code]
		return payment.Outcome{Result: payment.Failed, Source: payment.SourceAnswer, Condition: c.condition, Text: c.text,
			Vendor: payment.VendorCode{Code: fmt.Sprintf("0x%02x", r.code), Text: c.text}}, nil
	}
	if err != nil {
		t.owed = t.owed || sent
		return payment.Outcome{}, &link.Error{Op: op, Sent: sent, Err: unreadable(err)}
	}
	return t.conclude(ctx, tx, ours)
}

// conclude says what the answer to tx means.
func (t *terminal) conclude(ctx context.Context, tx payment.Transaction, a answer) (payment.Outcome, error) {
	c := judge(a)
	var r record
	if len(a.records) == 1 {
		r = a.records[0]
	}
	if c.decision == done && tx.Operation == payment.Refund {
		if orig := firstOf(r.get("orig_syssn"), r.get("origssn")); orig != "" && orig != tx.Original.Receipt {
			c = code{decision: doubtful, text: "the answer names another original"}
		}
	}
	switch c.decision {
	case done, notDone:
		o := t.outcome(c, a, r, payment.SourceAnswer)
		t.last = o.Reference
		return o, nil
	case gaveUp:
		return t.verify(ctx, tx, a, c)
	}
	err := fmt.Errorf("the answer does not say whether it was done: %s", c.text)
	return payment.Outcome{}, &link.Error{Op: string(tx.Operation), Sent: true, Err: c.answered(a, err)}
}

// answered keeps with an error what the terminal said.
func (c code) answered(a answer, err error) error {
	return &link.Answered{Condition: c.condition, Vendor: payment.VendorCode{Code: a.respcd, Text: a.message}, Err: err}
}

// unreadable marks an error about bytes that came and are no answer.
func unreadable(err error) error {
	if errors.Is(err, errCipher) || errors.Is(err, errAnswer) {
		return &link.Answered{Condition: payment.CondMessageFormat, Err: err}
	}
	return err
}

// firstStage is all that is known of the progress: the protocol tells none.
func firstStage(op payment.Operation) payment.Stage {
	if op == payment.Purchase {
		return payment.StageWaitingCard
	}
	return payment.StageHost
}

// request writes tx down in the terminal's language.
func (t *terminal) request(tx payment.Transaction) (content, error) {
	if err := check(t.settings, tx.Request); err != nil {
		return nil, err
	}
	switch {
	case tx.Amount.Currency != t.currency:
		return nil, fmt.Errorf("the terminal takes %s", t.currency)
	case tx.Operation == payment.Refund:
		return t.settings.refund(tx.Original.Receipt, tx.Amount), nil
	case tx.Operation != payment.Purchase:
		return nil, errors.New("the protocol has none of this kind")
	case tx.Attempt == "" || !carried(tx.Attempt):
		return nil, errors.New("the attempt has no id that can be sent")
	}
	return t.settings.trade(tx.Attempt, tx.Amount), nil
}

// names is the attempt that an answer is about, "" if it does not say.
func (a answer) names() string {
	if len(a.records) == 1 {
		return a.records[0].get("out_trade_no")
	}
	return ""
}

// answers says whether an answer is the one to tx. One that names nobody is
// believed if it came as the answer to this request, or if nobody else can be
// meant.
func (t *terminal) answers(h heard, tx payment.Transaction) bool {
	a := h.answer
	if tx.Operation == payment.Purchase && a.names() != "" {
		return a.names() == tx.Attempt
	}
	if h.ours {
		return true
	}
	if h.late || t.owed || h.cancelling && len(a.records) == 0 && a.respcd != "6001" {
		return false
	}
	if a.respcd == "6000" && len(a.records) == 0 {
		return false // the answer to a question that nobody waits for any more
	}
	if tx.Operation == payment.Refund && len(a.records) == 1 {
		return a.records[0].get("orig_syssn") == tx.Original.Receipt
	}
	return true
}

// stray is an answer that names another attempt, as evidence for that one.
func (t *terminal) stray(a answer, ours string) (payment.Outcome, bool) {
	name := a.names()
	c := judge(a)
	if name == "" || name == ours || c.decision != done && c.decision != notDone || !attempt(name) {
		return payment.Outcome{}, false
	}
	o := t.outcome(c, a, a.records[0], payment.SourceAnswer)
	o.Attempt = name
	return o, true
}

// attempt says whether a name can be one of our attempts, which are base 32.
func attempt(name string) bool {
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// hand reports what came in for other attempts while nobody could be told.
func (t *terminal) hand(d link.Dialogue) {
	t.collect()
	for _, a := range t.strays {
		if o, ok := t.stray(a, ""); ok {
			d.Stray(o)
		}
	}
	t.strays = nil
}

// collect takes in late answers; the oldest go when there are too many.
func (t *terminal) collect() {
	for _, a := range t.line.waiting() {
		t.keep(a)
	}
}

func (t *terminal) keep(a answer) {
	if a.names() == "" {
		return
	}
	if len(t.strays) == maxWaiting {
		t.log.Warn("late answer dropped, too many wait")
		t.strays = t.strays[1:]
	}
	t.strays = append(t.strays, a)
}
