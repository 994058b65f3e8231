package ecrvn

import (
	"strings"

	"tillgate/internal/payment"
)

// check refuses what the protocol cannot carry (Driver.Check).
func check(settings any, r payment.Request) error {
	s, ok := settings.(*Settings)
	if !ok {
		s = defaults()
	}
	switch r.Operation {
	case payment.Purchase:
		if r.Amount.Minor <= 0 || len(sale("", "", r.Amount.Minor, nil).args[0]) > maxAmount {
			return payment.Refuse(payment.ReasonInvalid, "amount: the terminal takes 1 to %d digits", maxAmount)
		}
		return s.checkFields(r)
	case payment.Reversal:
		if n := r.Original.Receipt; len(n) > maxText || strings.Trim(n, "0123456789") != "" {
			return payment.Refuse(payment.ReasonInvalid, "original: a receipt number has at most %d digits", maxText)
		}
		if o := r.Original.Amount; !o.IsZero() && !r.Amount.IsZero() && r.Amount != o { // a void names no amount
			return payment.Refuse(payment.ReasonInvalid, "amount: the terminal takes a payment back in full only, which is %s", o)
		}
	case payment.Reconciliation, payment.Lookup, payment.Diagnosis:
	default:
		return payment.Refuse(payment.ReasonUnsupported, "operation: the terminal's protocol has none of this kind")
	}
	return nil
}

func (s *Settings) checkFields(r payment.Request) error {
	if s.Fields == 0 {
		return nil
	}
	for _, f := range s.contents() {
		text := map[string]string{"order": r.Order, "id": string(r.ID)}[f]
		if len(text) > maxText {
			return payment.Refuse(payment.ReasonInvalid, "%s: the terminal takes at most %d characters", f, maxText)
		}
		if !carried(text) {
			return payment.Refuse(payment.ReasonInvalid, "%s: the terminal takes letters, digits and marks of ASCII, without blanks and | & = %% # + \" < > \\ { } `", f)
		}
	}
	return nil
}

// fields are F1 to F5. Empty ones keep their bars.
func (s *Settings) fields(tx payment.Transaction) []string {
	if s.Fields == 0 {
		return nil
	}
	out := make([]string, 0, 5)
	for _, f := range s.contents() {
		out = append(out, map[string]string{"order": tx.Order, "id": string(tx.ID), "attempt": s.wireID(tx.Attempt)}[f])
	}
	return out
}

// receiptNo is a receipt number as a void wants it.
func (s *Settings) receiptNo(n string) string {
	if s.KeepZeros {
		return n
	}
	if short := strings.TrimLeft(n, "0"); short != "" {
		return short
	}
	return "0"
}

// sameNumber compares receipt and batch numbers: "61" and "000061" are one.
func sameNumber(a, b string) bool {
	return a != "" && b != "" && strings.TrimLeft(a, "0") == strings.TrimLeft(b, "0")
}
