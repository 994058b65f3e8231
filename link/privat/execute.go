package privat

import (
	"context"
	"errors"
	"fmt"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// Execute sends the command of tx once and reads until the terminal answers.
//
// When d.Abort is closed it sends interrupt; the terminal then answers the
// command with 1001, or with an approval that came first. An answer by which
// the terminal ended the command itself counts only if its last receipt is what
// it was before: see [terminal.readBack].
func (t *terminal) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	fail := func(sent bool, err error) (payment.Outcome, error) {
		return payment.Outcome{}, &link.Error{Op: string(tx.Operation), Sent: sent, Err: err}
	}
	req, err := t.request(tx)
	if err != nil {
		return fail(false, err)
	}
	if err := t.drain(ctx); err != nil {
		return fail(false, err)
	}
	t.hand(d)
	sent, err := t.line.Write(ctx, req.frame(), stream.WriteTimeout)
	if err != nil {
		return fail(sent, err)
	}
	if moves(req.method) {
		t.unanswered.attempt, t.unanswered.method = tx.Attempt, req.method
	}
	d.Report(firstStage(tx.Operation), payment.VendorCode{})
	s := serving{t: t, tx: tx, req: req, d: d}
	a, err := s.run(ctx)
	if err != nil {
		return fail(true, err)
	}
	t.unanswered.attempt, t.unanswered.method = "", ""
	o, err := t.conclude(ctx, tx, a)
	if err != nil {
		return fail(true, err)
	}
	if o.Result == payment.Approved && !s.agreed.IsZero() {
		o.Discount = s.agreed
	}
	if s.waited && o.Result == payment.Cancelled {
		o.Text += "; " + waitsForKey
	}
	return o, nil
}

// drain waits for the answer to a command that was given up on this connection.
// Until it has come the terminal would refuse another, and an answer could be
// taken for the wrong one.
func (t *terminal) drain(ctx context.Context) error {
	t.collect()
	if t.unanswered.method == "" || ctx.Err() != nil {
		return ctx.Err()
	}
	err := t.line.Wait(ctx, t.longest, func(a answer) bool {
		if moves(a.method) {
			t.keep(a)
		}
		return t.unanswered.method == ""
	})
	if err != nil {
		return fmt.Errorf("an earlier command is not answered yet: %w", err)
	}
	return nil
}

// firstStage is where a command begins. A refund may ask for a card too; voids
// and the closing of a batch go straight to the bank.
func firstStage(op payment.Operation) payment.Stage {
	if op == payment.Reversal || op == payment.Reconciliation {
		return payment.StageHost
	}
	return payment.StageWaitingCard
}

// conclude makes an outcome of the answer to tx, or says why it is none.
func (t *terminal) conclude(ctx context.Context, tx payment.Transaction, a answer) (payment.Outcome, error) {
	if a.method == methodService { // refused before it began (document, 3. and 6.3)
		o := payment.Outcome{Result: payment.Failed, Condition: payment.CondBusy, Source: payment.SourceAnswer, Vendor: payment.VendorCode{Code: a.msgType}, Text: errBusy.Error()}
		if a.msgType == msgNotImplemented {
			o.Condition, o.Text = payment.CondNotAllowed, errUnknownMethod.Error()
		}
		return o, nil
	}
	switch tx.Operation {
	case payment.Reconciliation:
		return t.closed(tx, a), nil
	case payment.Balance:
		return t.inquired(a), nil
	}
	t.noteFull(ctx, a)
	switch v := judge(a); v {
	case done:
		return t.approved(ctx, tx, a)
	case notDone:
		return t.outcome(a, notDone, payment.SourceAnswer), nil
	default:
		return t.readBack(ctx, tx, a, v)
	}
}

// inquired is the outcome of GetBalance (5.10), by which no money moves.
func (t *terminal) inquired(a answer) payment.Outcome {
	o := t.outcome(a, notDone, payment.SourceAnswer)
	switch v := judge(a); {
	case !a.failed && a.code == codeApproved && !t.money(a.balance).IsZero():
		o.Result, o.Condition, o.Amount = payment.Approved, "", t.money(a.balance)
	case v == ended, v == notDone && a.code != codeFailed:
	default:
		o.Result, o.Text = payment.Failed, "the terminal does not tell the balance"
		if o.Condition == "" {
			o.Condition = payment.CondRefusal
		}
	}
	return o
}

// closed is the outcome of Verify. A batch without receipts is as closed as it
// can be (5.18.3).
func (t *terminal) closed(tx payment.Transaction, a answer) payment.Outcome {
	o := t.outcome(a, doubtful, payment.SourceAnswer)
	switch {
	case !a.failed && a.code == codeApproved:
		o.Result, o.Condition, o.Text = payment.Approved, "", ""
		t.forget(tx)
	case a.failed && saysEmpty(a.text):
		o.Result, o.Condition, o.Text = payment.Approved, "", "there was nothing in the batch"
		t.forget(tx) // somebody else has closed it
	default:
		o.Result = payment.Failed
		if o.Condition == "" {
			o.Condition = payment.CondRefusal
		}
	}
	return o
}

// forget drops what is known of a batch that tx has closed; one merchant's is not
// all of it.
func (t *terminal) forget(tx payment.Transaction) {
	t.full = nil
	if tx.Merchant == "" {
		clear(t.seen)
	}
}

// approved completes the answer to a command that was done. A terminal that
// prints its receipts itself sends nothing but the code (5.1.2); the last
// receipt then has the rest.
func (t *terminal) approved(ctx context.Context, tx payment.Transaction, a answer) (payment.Outcome, error) {
	if a.amount == "" {
		if r, err := t.receipt(ctx, ""); err == nil && r.kind == kindReceipt && judge(r.as(a.method)) == done &&
			!sameReceipt(r.mark(), readMark(tx.Baseline.Fingerprint)) && isType(r.txnType, tx) {
			a = r.as(a.method)
		}
	}
	if tx.Operation == payment.Reversal && !tx.Amount.IsZero() && a.amount != "" && t.money(a.amount) != tx.Amount {
		return payment.Outcome{}, errors.New("the answer to the reversal names another amount")
	}
	if err := t.checkCash(tx, a); err != nil {
		return payment.Outcome{}, err
	}
	t.claim(a, tx.Attempt)
	o := t.outcome(a, done, payment.SourceAnswer)
	o.Text += told(a)
	if tx.Operation == payment.Reversal && o.Amount.IsZero() {
		o.Amount = tx.Amount // a void that was done took back what it was asked to
	}
	return o, nil
}

// checkCash refuses an answer that contradicts itself about the cash: it was not
// given, and yet the card was charged with it (5.16.2).
func (t *terminal) checkCash(tx payment.Transaction, a answer) error {
	if !tx.Cashback.IsZero() && a.cashGiven == "false" && t.money(a.amount) == tx.Amount {
		return errors.New("the terminal says that no cash was given, and names the amount with the cash")
	}
	return nil
}

// told is what else a person may want to know about an approval.
func told(a answer) string {
	text := ""
	if a.cashGiven == "false" {
		text += ", no cash was given"
	}
	if a.agreement != "" {
		text += ", agreement " + payment.Word(a.agreement)
	}
	return text
}
