package qfpay

import (
	"context"
	"errors"
	"fmt"

	"tillgate/internal/payment"
)

// PrintReceipt has the terminal print a payment's slip once more (function
// 3001).
func (t *terminal) PrintReceipt(ctx context.Context, of payment.Reference) error {
	if of.Receipt == "" || len(of.Receipt) > maxText || !carried(of.Receipt) {
		return errors.New("print a receipt: the payment has no transaction number")
	}
	return t.printed(t.ask(ctx, printReceipt(of.Receipt), nil))
}

// PrintTotals has the terminal print its totals (function 3002).
func (t *terminal) PrintTotals(ctx context.Context) error {
	return t.printed(t.ask(ctx, function(funcPrintTotals), nil))
}

func (t *terminal) printed(a answer, err error) error {
	if err == nil && a.respcd != "6000" {
		err = fmt.Errorf("print: the terminal answers %s", show(a.respcd))
	}
	return err
}
