package privat

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Print asks for a text that the terminal keeps. It comes to us, or out of the
// terminal with print: paper; the copy of a reconciliation does both (5.19). None
// of them replaces what the terminal shows as its last receipt (5.20).
//
//	receipt          PrintReceiptNum, after the receipt has been seen to be the payment's
//	totals           Audit, the X balance
//	reconciliation   VerifyCopy, the last Z balance
//	journal          PrintBatchJournal, every receipt of the open batch
func (t *terminal) Print(ctx context.Context, p link.Printout) ([]string, error) {
	all := param{"merchantId", "0"}
	flag := param{"prnFlag", "0"}
	if t.settings.Print == PrintPaper {
		flag.value = "1"
	}
	var r request
	switch p.Kind {
	case payment.PrintReceipt:
		if err := t.inBatch(ctx, p.Of); err != nil {
			return nil, err
		}
		r = request{methodPrint, []param{{"invoiceNumber", p.Of.Receipt}, flag}}
	case payment.PrintTotals:
		r = request{methodAudit, []param{all}}
	case payment.PrintReconciliation:
		r = request{methodVerifyCopy, []param{all}}
	case payment.PrintJournal:
		r = request{methodJournal, []param{all, flag}}
	default:
		return nil, link.ErrUnsupported
	}
	within := t.settings.QueryTimeout
	if end, ok := ctx.Deadline(); ok { // paper is slow
		within = max(within, time.Until(end)*9/10)
	}
	a, err := t.askWithin(ctx, r, nil, within)
	switch {
	case errors.Is(err, errUnknownMethod):
		return nil, fmt.Errorf("%w: %w", link.ErrUnsupported, err)
	case err != nil:
		return nil, err
	case a.failed || a.code != codeApproved:
		return nil, fmt.Errorf("print: the terminal answers %s%s", payment.Word(a.code), explained(a))
	case flag.value == "1" && (p.Kind == payment.PrintReceipt || p.Kind == payment.PrintJournal):
		return nil, nil
	}
	return textLines(a), nil
}

// inBatch makes sure that a receipt number still names the payment: the numbers
// of a closed batch are given again.
func (t *terminal) inBatch(ctx context.Context, of payment.Reference) error {
	if number("", of.Receipt, maxInvoice) != nil {
		return errors.New("print a receipt: the payment has no receipt number")
	}
	r, err := t.receipt(ctx, of.Receipt)
	switch {
	case errors.Is(err, errUnknownMethod):
		return fmt.Errorf("%w: %w", link.ErrUnsupported, err)
	case err != nil:
		return err
	case r.kind != kindReceipt || of.RRN != "" && r.rrn != of.RRN:
		return errors.New("print a receipt: it is not in the terminal's open batch any more")
	}
	return nil
}

// explained is what a terminal says beside a code, or nothing.
func explained(a answer) string {
	if text := strings.TrimSpace(payment.Printable(a.text)); text != "" {
		return ", " + text
	}
	return ""
}
