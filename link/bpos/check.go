package bpos

import (
	"regexp"
	"slices"
	"strconv"

	"tillgate/internal/payment"
	"tillgate/link/bpos/bridge"
)

// operations of the library. It has none that makes a preauthorization: a
// terminal that works in two passes makes one of a purchase.
var operations = []payment.Operation{
	payment.Purchase, payment.Refund, payment.Reversal, payment.Completion, payment.CashAdvance, payment.Deposit, payment.ServicePayment,
	payment.Balance, payment.CardAcquisition, payment.Reconciliation, payment.Totals, payment.Diagnosis, payment.Lookup, payment.Print,
}

// service is what PurchaseService takes: number of four digits, nominal,
// parameters, each after a slash (guide, PurchaseService).
var service = regexp.MustCompile(`^[0-9]{4}/[^/]*(/[^/]*)*$`)

// check refuses what the library cannot carry (Driver.Check).
func check(settings any, r payment.Request) error {
	if !slices.Contains(operations, r.Operation) {
		return payment.Refuse(payment.ReasonUnsupported, "operation: the terminal's library has none of this kind")
	}
	invalid := func(format string, a ...any) error { return payment.Refuse(payment.ReasonInvalid, format, a...) }
	if exp, ok := payment.Exponent(r.Amount.Currency); !r.Amount.IsZero() && (!ok || exp != 2 || r.Amount.Minor <= 0 || r.Amount.Minor > bridge.MaxNumber) {
		return invalid("amount: the terminal takes amounts with two decimals, more than nought and at most %d.%02d", bridge.MaxNumber/100, bridge.MaxNumber%100)
	}
	if r.Amount.IsZero() && r.Operation.MovesMoney() && r.Operation != payment.Reversal {
		return invalid("amount: is required")
	}
	if _, ok := merchantOf(r, 0); !ok {
		return invalid("merchant: the index of a merchant is a number from 0 to 255")
	}
	if s, ok := settings.(*Settings); ok {
		if err := s.checkXML(r); err != nil {
			return err
		}
	}
	o := r.Original
	switch r.Operation {
	case payment.Reversal:
		if invoiceOf(o) == 0 {
			return invalid("original: an invoice number has 1 to 10 digits")
		}
		if !o.Amount.IsZero() && !r.Amount.IsZero() && o.Amount != r.Amount {
			return invalid("amount: the terminal takes a payment back in full; use a refund for a part")
		}
	case payment.Refund:
		return reference("an RRN", o.RRN)
	case payment.Completion:
		if invoiceOf(o) == 0 {
			return invalid("original: an invoice number has 1 to 10 digits")
		}
		if !o.Amount.IsZero() && r.Amount.Minor > o.Amount.Minor {
			return invalid("amount: a completion is at most what was reserved, %s", o.Amount)
		}
		return reference("an RRN", o.RRN)
	case payment.ServicePayment:
		if b, err := bridge.Encode1251(r.Service); err != nil || len(b) > 256 || !service.MatchString(r.Service) {
			return invalid("service: write number/nominal/parameters, with four digits of the number: 0109//1/5")
		}
	}
	return nil
}

// checkXML refuses an id or order with which the profile's XML is too long for the
// terminal. What gives money back is not refused for that: a refund goes without,
// and a reversal has none.
func (s *Settings) checkXML(r payment.Request) error {
	if _, ok := s.extraXML(r); !ok && r.Operation != payment.Refund && r.Operation != payment.Reversal {
		return payment.Refuse(payment.ReasonInvalid, "order: with it the profile's extra_xml has more than %d characters", maxExtraXML)
	}
	if _, ok := s.scenarioData(r); !ok && r.Operation == payment.CardAcquisition {
		return payment.Refuse(payment.ReasonInvalid, "order: with it the profile's scenario_data has more than %d characters", maxScenario)
	}
	return nil
}

var rrnText = regexp.MustCompile(`^[0-9A-Za-z]{1,32}$`)

func reference(what, s string) error {
	if !rrnText.MatchString(s) {
		return payment.Refuse(payment.ReasonInvalid, "original: %s has 1 to 32 letters and digits", what)
	}
	return nil
}

// merchantOf is the merchant that a request names, or the profile's own.
func merchantOf(r payment.Request, own int) (int, bool) {
	if r.Merchant == "" {
		return own, true
	}
	n, err := strconv.ParseUint(r.Merchant, 10, 8)
	return int(n), err == nil
}
