package bpos

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Execute calls the method of tx once and polls until the terminal is done.
//
// When d.Abort is closed it calls Cancel; the terminal then ends with 1001, or
// with an approval that came first. At status 11 it answers with the amount that
// the profile's discounts make of it. An approval is held until Confirm, but for
// a reversal, which has none.
func (t *terminal) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	fail := func(sent bool, err error) (payment.Outcome, error) {
		return payment.Outcome{}, &link.Error{Op: string(tx.Operation), Sent: sent, Err: err}
	}
	method, args, err := t.command(tx)
	if err != nil {
		return fail(false, err)
	}
	if err := t.ready(ctx, tx.Request); err != nil {
		return fail(false, err)
	}
	if m, _ := readMark(tx.Baseline.Fingerprint); m.Taken {
		if o, ok, err := t.taken(ctx, tx); ok || err != nil {
			return o, err
		}
		return fail(false, errors.New("the original was taken back before, and is not any more"))
	}
	t.unconfirmed, t.stalled = "", false
	d.Report(firstStage(tx.Operation), payment.VendorCode{})
	var agreed int64
	a, sent, err := t.run(ctx, watch{
		within: t.longest, abort: d.Abort, offer: t.offer(tx, &agreed),
		status: func(code int64) { t.status = code; report(d, code) },
	}, method, args...)
	t.stalled = a.waited
	if err != nil {
		return fail(sent, err)
	}
	if !sent {
		return fail(false, a.err())
	}
	o, err := t.conclude(ctx, tx, a, agreed)
	if err != nil {
		return fail(true, err)
	}
	return o, nil
}

// firstStage is where an operation begins: reversals, completions and the closing
// of a batch go straight to the bank.
func firstStage(op payment.Operation) payment.Stage {
	if op == payment.Reversal || op == payment.Completion || op == payment.Reconciliation {
		return payment.StageHost
	}
	return payment.StageWaitingCard
}

// command is the method of tx and its arguments.
func (t *terminal) command(tx payment.Transaction) (string, []any, error) {
	if err := check(t.settings, tx.Request); err != nil {
		return "", nil, err
	}
	if !tx.Amount.IsZero() && tx.Amount.Currency != t.currency {
		return "", nil, fmt.Errorf("the terminal takes %s", t.currency)
	}
	who, _ := merchantOf(tx.Request, t.settings.Merchant)
	number, _ := payment.CurrencyNumber(t.currency)
	sum, o := tx.Amount.Minor, tx.Original
	switch tx.Operation {
	case payment.Purchase:
		return "Purchase", []any{sum, 0, who}, nil
	case payment.Refund:
		return "Refund", []any{sum, 0, who, o.RRN}, nil
	case payment.Reversal:
		return "Void", []any{invoiceOf(o), who}, nil
	case payment.Completion:
		return "Completion", []any{who, sum, o.RRN, invoiceOf(o)}, nil
	case payment.CashAdvance:
		return "CashAdvance", []any{who, sum, number, 0}, nil
	case payment.Deposit:
		return "Deposit", []any{who, sum, number, 0}, nil
	case payment.ServicePayment:
		return "PurchaseService", []any{who, sum, tx.Service}, nil
	case payment.Balance:
		return "Balance", []any{who, number, 0}, nil
	case payment.CardAcquisition:
		if t.settings.Scenario > 0 {
			data, _ := t.settings.scenarioData(tx.Request) // check has seen that it is not too long
			return "StartScenario", []any{t.settings.Scenario, data}, nil
		}
		return "IdentifyCard", []any{who, number, 0}, nil
	case payment.Reconciliation:
		if tx.Merchant == "" {
			who = 0 // all of them
		}
		return "Settlement", []any{who}, nil
	}
	return "", nil, fmt.Errorf("the library has no %s", tx.Operation)
}

// ready makes the terminal fit for an operation: the library idle, the display
// its own, and the extra data of the profile set.
func (t *terminal) ready(ctx context.Context, r payment.Request) error {
	if err := t.idle(ctx); err != nil {
		return err
	}
	if err := t.hide(ctx); err != nil {
		return err
	}
	if r.Operation == payment.Reversal {
		return nil // "except Void" (guide, SetExtraPrintData)
	}
	if t.settings.ExtraPrint != "" {
		if err := t.call(ctx, "SetExtraPrintData", t.settings.extraPrint(r)); err != nil {
			return err
		}
	}
	if t.settings.ExtraXML == "" {
		return nil
	}
	data, ok := t.settings.extraXML(r)
	if !ok { // of a refund only, which is worth more than what goes with it: see check
		t.log.Warn("extra_xml is left out: with this id and order it is too long")
		return nil
	}
	return t.call(ctx, "SetExtraXmlData", data)
}

// offer answers a terminal that asks for a corrected amount. agreed is the
// discount that it took.
func (t *terminal) offer(tx payment.Transaction, agreed *int64) func(context.Context) error {
	if tx.Operation != payment.Purchase {
		return nil
	}
	return func(ctx context.Context) error {
		v, err := t.get(ctx, "DiscountName")
		if err != nil {
			return err
		}
		discount := t.settings.discount(v.Text("DiscountName"), tx.Amount.Minor)
		err = t.call(ctx, "CorrectTransaction", tx.Amount.Minor, discount)
		if err == nil {
			*agreed = discount
		}
		return tolerate(err)
	}
}

// discount is what a card of a name pays less, rounded down to the kopeck.
func (s *Settings) discount(name string, sum int64) int64 {
	return sum * int64(s.Discounts[name]) / 100
}

// conclude makes an outcome of what the terminal said, or says why it is none.
func (t *terminal) conclude(ctx context.Context, tx payment.Transaction, a answer, agreed int64) (payment.Outcome, error) {
	switch {
	case !a.said():
		return payment.Outcome{}, a.err()
	case a.result == resultDone && tx.Operation == payment.Reconciliation:
		return t.closed(ctx, tx), nil
	case a.result == resultDone && tx.Operation.ReadsCard():
		return t.readCard(ctx, tx)
	case a.result == resultDone:
		return t.approved(ctx, tx, a, agreed)
	}
	t.logFull = t.logFull || a.code == codeLogFull
	switch v := judge(a.code); {
	case tx.Operation == payment.Reversal:
		return t.unreversed(ctx, tx, a)
	case !tx.Operation.MovesMoney(), v == notDone:
		return t.declined(ctx, a), nil
	case v == ended:
		return t.readBack(ctx, tx, a)
	}
	return payment.Outcome{}, a.doubt()
}

// doubt says why an answer is no outcome.
func (a answer) doubt() error {
	err := fmt.Errorf("the terminal says %d, which does not exclude an approval", a.code)
	said := terminalCodes[a.code]
	return &link.Answered{Condition: said.condition, Vendor: payment.VendorCode{Code: strconv.FormatInt(a.code, 10), Text: said.text}, Err: err}
}

// readCard ends a balance inquiry, an identification or a scenario. It moves no
// money, so nothing has to be durable before it is confirmed.
func (t *terminal) readCard(ctx context.Context, tx payment.Transaction) (payment.Outcome, error) {
	r, err := t.record(ctx)
	if err != nil {
		return payment.Outcome{}, err
	}
	o := t.outcome(tx, r, 0, payment.SourceAnswer)
	o.Signature = false
	switch {
	case tx.Operation == payment.CardAcquisition && t.settings.Scenario > 0:
		v, err := t.get(ctx, "ScenarioData")
		if err != nil {
			return payment.Outcome{}, err
		}
		o.Text = payment.Printable(payment.MaskNumbers(v.Text("ScenarioData")))
	case tx.Operation == payment.CardAcquisition:
		o.Amount, o.Text = payment.Money{}, r.rnk
	}
	if a, err := t.ask(ctx, "Confirm"); err != nil || a.result != resultDone {
		return payment.Outcome{}, errors.Join(err, a.err())
	}
	o.Receipt = t.slip(ctx)
	t.restore(ctx)
	return o, nil
}
