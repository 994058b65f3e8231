package ssi

import (
	"strings"

	"tillgate/internal/payment"
)

// maxMinor is the largest amount of the document: n(12).
const maxMinor = 999_999_999_999

// check refuses what the protocol cannot carry (Driver.Check).
func check(settings any, r payment.Request) error {
	s, ok := settings.(*Settings)
	if !ok {
		s = defaults()
	}
	invalid := func(format string, a ...any) error { return payment.Refuse(payment.ReasonInvalid, format, a...) }
	switch r.Operation {
	case payment.Purchase, payment.CashAdvance, payment.Deposit, payment.Refund:
		if r.Amount.Minor <= 0 || r.Amount.Minor > maxMinor {
			return invalid("amount: the terminal takes 1 to 12 digits")
		}
		if r.Operation == payment.Purchase && s.DiscountPercent > 0 && s.discounted(r.Amount.Minor) < 1 {
			return invalid("amount: nothing is left of it with the discount")
		}
		if !plain(r.Original.RRN) {
			return invalid("original: the RRN has more than %d characters, or odd ones", maxField)
		}
	case payment.Reversal:
		if n := r.Original.Receipt; len(n) > maxField || strings.Trim(n, "0123456789") != "" {
			return invalid("original: a receipt number has at most %d digits", maxField)
		}
	case payment.Reconciliation, payment.Totals, payment.Lookup, payment.Diagnosis, payment.Abort:
	default:
		return payment.Refuse(payment.ReasonUnsupported, "operation: not carried out by this driver")
	}
	return nil
}

// sameNumber compares receipt numbers: "61" and "000061" are one.
func sameNumber(a, b string) bool {
	return a != "" && b != "" && strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0")
}
