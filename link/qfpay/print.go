package qfpay

import (
	"context"
	"errors"
	"fmt"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Print has the terminal print a payment's slip once more (function 3001) or
// its totals (function 3002).
func (t *terminal) Print(ctx context.Context, p link.Printout) ([]string, error) {
	switch p.Kind {
	case payment.PrintReceipt:
		return nil, t.printReceipt(ctx, p.Of)
	case payment.PrintTotals:
		return nil, t.printed(t.ask(ctx, function(funcPrintTotals), nil))
	}
	return nil, link.ErrUnsupported
}

func (t *terminal) printReceipt(ctx context.Context, of payment.Reference) error {
	if of.Receipt == "" || len(of.Receipt) > maxText || !carried(of.Receipt) {
		return errors.New("print a receipt: the payment has no transaction number")
	}
	return t.printed(t.ask(ctx, printReceipt(of.Receipt), nil))
}

func (t *terminal) printed(a answer, err error) error {
	if err == nil && a.respcd != "6000" {
		err = fmt.Errorf("print: the terminal answers %s", show(a.respcd))
	}
	return err
}
