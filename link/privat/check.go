package privat

import (
	"tillgate/internal/payment"
)

// Bounds of what is named by number. The document has none: its examples have 6
// digits of a receipt, 6 of an authorisation code, 12 and 13 of an RRN.
const (
	maxInvoice = 12
	maxAuth    = 12
	maxRRN     = 20
)

// check refuses what the protocol cannot carry (Driver.Check).
func check(_ any, r payment.Request) error {
	switch r.Operation {
	case payment.Purchase, payment.Refund, payment.Reversal, payment.Preauthorization, payment.Completion:
	case payment.Reconciliation, payment.Lookup, payment.Diagnosis:
		return nil
	default:
		return payment.Refuse(payment.ReasonUnsupported, "operation: the terminal's protocol has none of this kind")
	}
	if exp, ok := payment.Exponent(r.Amount.Currency); !r.Amount.IsZero() && (!ok || exp != 2 || r.Amount.Minor <= 0) {
		return payment.Refuse(payment.ReasonInvalid, "amount: the terminal takes amounts with two decimals, more than nought")
	}
	if r.Amount.IsZero() && r.Operation != payment.Reversal {
		return payment.Refuse(payment.ReasonInvalid, "amount: is required")
	}
	o := r.Original
	switch r.Operation {
	case payment.Reversal:
		return number("a receipt number", o.Receipt, maxInvoice)
	case payment.Refund:
		return number("an RRN", o.RRN, maxRRN)
	case payment.Completion:
		if err := number("a receipt number", o.Receipt, maxInvoice); err != nil {
			return err
		}
		if err := number("an RRN", o.RRN, maxRRN); err != nil {
			return err
		}
		if o.Auth == "" || len(o.Auth) > maxAuth || show(o.Auth) != o.Auth {
			return payment.Refuse(payment.ReasonInvalid, "original: an authorisation code has 1 to %d letters and digits", maxAuth)
		}
	}
	return nil
}

func number(what, s string, most int) error {
	if !isNumber(s) || len(s) > most {
		return payment.Refuse(payment.ReasonInvalid, "original: %s has 1 to %d digits", what, most)
	}
	return nil
}

// sameNumber compares receipt numbers: "139" and "000139" are one.
func sameNumber(a, b string) bool {
	return isNumber(a) && isNumber(b) && trimZeros(a) == trimZeros(b)
}

func trimZeros(s string) string {
	for len(s) > 1 && s[0] == '0' {
		s = s[1:]
	}
	return s
}
