package privat

import (
	"strings"
	"unicode"
	"unicode/utf8"

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
	case payment.Purchase, payment.Refund, payment.Reversal, payment.Preauthorization, payment.Completion, payment.ServicePayment:
	case payment.Balance, payment.Reconciliation:
		return checkMerchant(r)
	case payment.Lookup, payment.Diagnosis, payment.Print:
		return nil
	default:
		return payment.Refuse(payment.ReasonUnsupported, "operation: the terminal's protocol has none of this kind")
	}
	for _, m := range []payment.Money{r.Amount, r.Cashback} {
		if exp, ok := payment.Exponent(m.Currency); !m.IsZero() && (!ok || exp != 2 || m.Minor <= 0) {
			return payment.Refuse(payment.ReasonInvalid, "amount: the terminal takes amounts with two decimals, more than nought")
		}
	}
	switch {
	case r.Amount.IsZero() && r.Operation != payment.Reversal:
		return payment.Refuse(payment.ReasonInvalid, "amount: is required")
	case !r.Cashback.IsZero() && (r.Operation != payment.Purchase || r.Cashback.Currency != r.Amount.Currency || r.Cashback.Minor >= r.Amount.Minor):
		return payment.Refuse(payment.ReasonInvalid, "cashback: is a part of a purchase")
	}
	if err := checkMerchant(r); err != nil {
		return err
	}
	return checkOriginal(r)
}

func checkOriginal(r payment.Request) error {
	o := r.Original
	switch r.Operation {
	case payment.ServicePayment:
		return checkService(r)
	case payment.Reversal:
		return number("a receipt number", o.Receipt, maxInvoice)
	case payment.Refund:
		if err := checkService(r); err != nil {
			return err
		}
		if r.Service == "" && o.Operation == payment.ServicePayment {
			return payment.Refuse(payment.ReasonInvalid, "service: %v", errAgreement)
		}
		return number("an RRN", o.RRN, maxRRN)
	case payment.Completion:
		if err := number("an RRN", o.RRN, maxRRN); err != nil {
			return err
		}
		if o.Auth == "" || len(o.Auth) > maxAuth || payment.Word(o.Auth) != o.Auth {
			return payment.Refuse(payment.ReasonInvalid, "original: an authorisation code has 1 to %d letters and digits", maxAuth)
		}
	}
	return nil
}

// checkMerchant: "2", or "2/shop".
func checkMerchant(r payment.Request) error {
	if r.Merchant == "" {
		return nil
	}
	index, sub, _ := strings.Cut(r.Merchant, "/")
	if !isMerchant(index) || !isSubMerchant(sub) {
		return payment.Refuse(payment.ReasonInvalid, "merchant: is a number from 0 to 99 of the terminal's list, or with a sub-merchant behind a slash: 2/shop")
	}
	return nil
}

func isMerchant(s string) bool { return isNumber(s) && len(s) <= 2 }

func isSubMerchant(s string) bool {
	return len(s) <= maxValue && isPlain(s)
}

// isPlain says whether a text can be sent as it is.
func isPlain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(c rune) bool { return !unicode.IsPrint(c) })
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
