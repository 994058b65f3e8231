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
	if mid, tid := s.merchant(r.Merchant); !plain(mid) || !plain(tid) || r.Merchant != "" && mid == "" {
		return invalid("merchant: want MERCHANT or MERCHANT@TID, each of at most %d plain characters", maxField)
	}
	switch r.Operation {
	case payment.Purchase, payment.CashAdvance, payment.Deposit, payment.Refund, payment.Preauthorization, payment.Completion:
		if r.Amount.Minor <= 0 || r.Amount.Minor > maxMinor {
			return invalid("amount: the terminal takes 1 to 12 digits")
		}
		return checkOf(s, r, invalid)
	case payment.Reversal:
		if n := r.Original.Receipt; len(n) > maxField || strings.Trim(n, "0123456789") != "" {
			return invalid("original: a receipt number has at most %d digits", maxField)
		}
		if whole := r.Original.Amount; r.Original.Operation == payment.Preauthorization && !whole.IsZero() && !r.Amount.IsZero() && r.Amount != whole {
			return invalid("amount: the terminal releases a preauthorization as a whole, %s", whole)
		}
	case payment.Balance, payment.Reconciliation, payment.Totals, payment.Lookup, payment.Diagnosis, payment.Abort, payment.Print:
	default:
		return payment.Refuse(payment.ReasonUnsupported, "operation: not carried out by this driver")
	}
	return nil
}

// checkOf checks what belongs to one operation.
func checkOf(s *Settings, r payment.Request, invalid func(string, ...any) error) error {
	if !plain(r.Original.RRN) || !plain(r.Original.Auth) {
		return invalid("original: RRN or authorisation code have more than %d characters, or odd ones", maxField)
	}
	switch r.Operation {
	case payment.Completion:
		if o := r.Original; o.RRN == "" || o.Auth == "" || o.Amount.Minor <= 0 {
			return invalid("original: a completion needs amount, RRN and authorisation code of its preauthorization")
		}
	case payment.Purchase:
		switch cash := !r.Cashback.IsZero(); {
		case cash && s.Cashback == "":
			return payment.Refuse(payment.ReasonUnsupported, "cashback: set cashback in the terminal's profile to within or beside; the document does not say which is right, try it with a small amount")
		case !cash && s.DiscountPercent > 0 && s.discounted(r.Amount.Minor) < 1:
			return invalid("amount: nothing is left of it with the discount")
		}
	}
	return nil
}

// sameNumber compares receipt numbers: "61" and "000061" are one.
func sameNumber(a, b string) bool {
	return a != "" && b != "" && strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0")
}
