package ssi

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

var errNoReport = errors.New("the terminal's report cannot be read")

// reportRequest asks for a report of one merchant, "" is the profile's own.
func (t *terminal) reportRequest(method, merchant string, detail bool) request {
	mid, tid := t.settings.merchant(merchant)
	return request{Method: method, Params: &requestParams{MerchantID: mid, TerminalID: tid, IsDetailReport: &detail}}
}

// lastReport reads the report buffer.
func (t *terminal) lastReport(ctx context.Context) (answer, error) {
	return t.ask(ctx, request{Method: mGetLastReport})
}

// fingerprint tells one report from another, as far as it can be told.
func (a answer) fingerprint() string {
	p := a.Params.report
	return strings.Join([]string{
		a.code(), string(p.Batch), a.Params.response(), strconv.FormatBool(p.Empty.is), string(p.SaleCount), string(p.SaleAmount), string(p.RefundCount), string(p.RefundAmount), string(p.VoidCount), string(p.VoidAmount),
	}, "|")
}

// readReport is the end of a reconciliation: the report buffer, which the
// accepted command has overwritten.
func (t *terminal) readReport(ctx context.Context) (o payment.Outcome, finished bool, err error) {
	a, err := t.lastReport(ctx)
	if err != nil {
		return o, false, err
	}
	if a.code() == "E06" {
		return o, false, nil
	}
	t.xLast = false
	o, err = reconciled(a, payment.SourceAnswer)
	return o, true, err
}

// reconciled reads a report as the outcome of a reconciliation. Response code
// 95 says that the totals of terminal and bank differ: the document excepts it
// from the errors, the batch is closed and the totals are valid (5.5.4).
func reconciled(a answer, source payment.Source) (payment.Outcome, error) {
	response := a.Params.response()
	o := payment.Outcome{
		Result: payment.Approved, Response: response, Source: source, Reference: payment.Reference{Batch: string(a.Params.Batch)},
		Vendor: payment.VendorCode{Code: a.code(), Text: a.why()},
	}
	switch {
	case response == "95":
		o.Text = "closed; the totals of terminal and bank differ"
	case a.failed():
		code, known := errorCodes[a.code()]
		if !known || code.result != notDone && !code.refused {
			return payment.Outcome{}, fmt.Errorf("%w: %s", errNoReport, a.why())
		}
		o.Result, o.Condition, o.Text = payment.Failed, code.condition, code.text
	}
	return o, nil
}

// lookupReport asks what became of a reconciliation. A report that differs from
// the one before is ours: nothing else is sent in between. The same one proves
// nothing, since an X and a Z report of one batch look alike.
func (t *terminal) lookupReport(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	if err := t.same(ctx, tx); err != nil {
		return payment.Outcome{}, err
	}
	a, err := t.lastReport(ctx)
	if err != nil {
		return payment.Outcome{}, err
	}
	if a.fingerprint() != markOf(tx.Baseline).Report {
		return reconciled(a, payment.SourceLookup)
	}
	if quiet <= t.longest {
		return payment.Outcome{}, link.ErrInProgress
	}
	return payment.Outcome{}, link.ErrUnproven
}

// xReport makes the terminal sum up its open batch, and reads it. It does not
// touch the result buffer.
func (t *terminal) xReport(ctx context.Context, merchant string, detail bool) (report, error) {
	t.xLast = true
	if _, err := t.tell(ctx, t.reportRequest(mXReport, merchant, detail)); err != nil {
		return report{}, err
	}
	if err := t.untilIdle(ctx, mXReport); err != nil {
		return report{}, err
	}
	a, err := t.tell(ctx, request{Method: mGetLastReport})
	return a.Params.report, err
}

// Totals reads the open batch by an X report.
func (t *terminal) Totals(ctx context.Context) ([]link.Total, error) {
	p, err := t.xReport(ctx, "", false)
	if err != nil {
		return nil, err
	}
	var all []link.Total
	for _, line := range []struct {
		op            payment.Operation
		count, amount text
	}{
		{payment.Purchase, p.SaleCount, p.SaleAmount}, {payment.Completion, p.FinCount, p.FinAmount}, {payment.Refund, p.RefundCount, p.RefundAmount},
		{payment.CashAdvance, p.CashCount, p.CashAmount}, {payment.Deposit, p.PaymentCount, p.PaymentAmount}, {payment.Reversal, p.VoidCount, p.VoidAmount},
	} {
		if line.count == "" && line.amount == "" {
			continue
		}
		n, err := strconv.Atoi(string(line.count))
		m := t.money(line.amount)
		if err != nil || n < 0 || m.IsZero() {
			return nil, fmt.Errorf("%w: a total is no number", errNoReport)
		}
		all = append(all, link.Total{Operation: line.op, Count: n, Amount: m})
	}
	return all, nil
}

// reversible finds the original of tx on the terminal and returns its amount. A
// void names a receipt number, which begins again with each batch, so number
// and RRN have to be those of the original: in the last result, or else in a
// detailed X report of the open batch.
//
// A void of a part that has been sent once is not sent again: it would take
// away twice.
func (t *terminal) reversible(ctx context.Context, last answer, tx payment.Transaction) (int64, error) {
	o := tx.Original
	no := func(why string) (int64, error) { return 0, fmt.Errorf("%w: %s", link.ErrNotReversible, why) }
	was := markOf(tx.Baseline).Original
	switch {
	case o.Receipt == "" || o.RRN == "":
		return no("the original has no receipt number, or no RRN")
	case o.Serial != "" && t.identity.serial != "" && o.Serial != t.identity.serial:
		return 0, fmt.Errorf("%w: %w", link.ErrNotReversible, link.ErrSwapped)
	case was > 0 && tx.Amount.Minor < was:
		return no("a part of it may have been taken back already")
	}
	r := last.Params.result
	if judge(last) == done && sameNumber(string(r.Invoice), o.Receipt) && string(r.RRN) == o.RRN {
		if strings.EqualFold(string(r.Trn), mVoid) || strings.EqualFold(string(r.Trn), mVoidPreauth) {
			return no("that receipt has been voided already")
		}
		if voidable(r, o) {
			return t.enough(r, tx)
		}
	}
	mid, tid := t.merchantOf(tx)
	if tid != "" {
		mid += "@" + tid
	}
	p, err := t.xReport(ctx, mid, true)
	if err != nil {
		return 0, err
	}
	for _, r := range p.Rows {
		if voidable(r, o) && sameNumber(string(r.Invoice), o.Receipt) && string(r.RRN) == o.RRN {
			return t.enough(r, tx)
		}
	}
	return no("it is not in the terminal's open batch")
}

// voidable says whether r is what the original was: a payment, or the
// preauthorization that is to be released, and not itself a reversal.
func voidable(r result, original payment.Reference) bool {
	for op, m := range methods {
		if strings.EqualFold(string(r.Trn), m) || op == payment.Purchase && strings.EqualFold(string(r.Trn), mCashBack) {
			return op != payment.Balance && (original.Operation == "" || (op == payment.Preauthorization) == (original.Operation == payment.Preauthorization))
		}
	}
	return false
}

// enough returns the amount of the original, which must cover that of tx.
func (t *terminal) enough(r result, tx payment.Transaction) (int64, error) {
	m := t.money(r.Amount)
	if m.Minor <= 0 || tx.Amount.Minor > m.Minor || tx.Original.Operation == payment.Preauthorization && tx.Amount != m {
		return 0, fmt.Errorf("%w: its amount is another one", link.ErrNotReversible)
	}
	return m.Minor, nil
}

// reversalOf is Void, VoidPreauth for a preauthorization, or PartialVoid for
// less than the whole: its amount is the one that is taken away (5.2.12).
func (t *terminal) reversalOf(tx payment.Transaction, uid string) (request, error) {
	original := markOf(tx.Baseline).Original
	if original == 0 || tx.Original.Receipt == "" {
		return request{}, fmt.Errorf("the original was not read before")
	}
	p := &requestParams{InvoiceNum: tx.Original.Receipt, TransactionUid: uid}
	r := request{Method: t.method(tx), Params: p}
	switch {
	case tx.Amount.Minor <= 0 || tx.Amount.Minor > original:
		return request{}, fmt.Errorf("the original has another amount")
	case r.Method == mPartialVoid:
		p.TransAmount = digits(tx.Amount.Minor)
	}
	return r, nil
}
