package zengi

import (
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

// operations are the values of transactionType, in capitals and without signs.
// The field table lists three, the text above it five.
var operations = map[string]payment.Operation{
	"SALE":              payment.Purchase,
	"VOID":              payment.Reversal,
	"PREAUTH":           payment.Preauthorization,
	"PREAUTHCOMPLETE":   payment.Completion,
	"PREAUTHCOMPLETION": payment.Completion,
	"PREAUTHCOMPLETED":  payment.Completion,
	"SALECOMPLETION":    payment.Completion,
	"COMPLETION":        payment.Completion,
	"SETTLEMENT":        payment.Reconciliation,
	"REFUND":            payment.Refund,
}

// silent are those that Zengi does not notify (document, beginning).
var silent = map[string]bool{"LOGON": true, "REVERSAL": true, "BATCHUPLOAD": true}

// wireNames are what the simulator sends for each operation.
var wireNames = map[payment.Operation]string{
	payment.Purchase: "SALE", payment.Reversal: "VOID", payment.Preauthorization: "PRE_AUTH",
	payment.Completion: "PRE_AUTH_COMPLETE", payment.Reconciliation: "SETTLEMENT",
}

func operationOf(word string) (payment.Operation, string) {
	plain := strings.Map(func(c rune) rune {
		if c >= 'A' && c <= 'Z' {
			return c
		}
		return -1
	}, strings.ToUpper(word))
	return operations[plain], plain
}

// entryModes are the values of swipeType: the field table has CL and CLS, the
// table at the end F, C, CTL, M and S, the sample C.
var entryModes = map[string]payment.EntryMode{
	"CL": payment.EntryChip, "C": payment.EntryChip,
	"CLS": payment.EntryContactless, "CTL": payment.EntryContactless,
	"F": payment.EntryFallback, "M": payment.EntryManual, "S": payment.EntryMagstripe,
}

// schemes are the values of cardScheme; the sample has the first digit of the
// card number instead.
var schemes = map[string]string{
	"VISA": "VISA", "MASTER": "MASTERCARD", "MASTERCARD": "MASTERCARD", "JCB": "JCB", "AMEX": "AMEX", "UPI": "UNIONPAY",
	"4": "VISA", "5": "MASTERCARD", "2": "MASTERCARD", "6": "UNIONPAY",
}

// aids are the applications the document lists, by the registered provider: it
// writes the one of Mastercard with a digit too few.
var aids = []struct{ rid, scheme string }{
	{"A000000003", "VISA"},
	{"A000000004", "MASTERCARD"},
	{"A000000065", "JCB"},
	{"A000000333", "UNIONPAY"},
	{"A000000025", "AMEX"},
}

// schemeOf names the card's scheme by cardScheme, by the AID, or by the first
// digits of the card, which are not kept.
func schemeOf(word, aid, card string) string {
	if s := schemes[strings.ToUpper(word)]; s != "" {
		return s
	}
	for _, a := range aids {
		if strings.HasPrefix(strings.ToUpper(aid), a.rid) {
			return a.scheme
		}
	}
	for _, p := range []struct{ digits, scheme string }{{"34", "AMEX"}, {"37", "AMEX"}, {"35", "JCB"}} {
		if word == "3" && strings.HasPrefix(card, p.digits) {
			return p.scheme
		}
	}
	return ""
}

// judge reads isoResponseCode and status: it is paid only if both say so, and
// declined only if both do.
//
//	isoResponseCode              status         result
//	00                           paid           approved
//	declined by ISO 8583 DE 39   not paid       declined
//	anything else                anything else  in-doubt
func (s *Settings) judge(code, status string) (payment.Result, payment.Condition, string) {
	paid := s.paid(status)
	rc := payment.ResponseCodeOf(code)
	switch {
	case code == "00" && paid:
		return payment.Approved, "", ""
	case rc.Decision == payment.DecisionDeclined && status != "" && !paid:
		return payment.Declined, rc.Condition, rc.Text
	}
	return payment.InDoubt, "", fmt.Sprintf("isoResponseCode %q and status %q do not say together whether it was paid", payment.Word(code), payment.Word(status))
}
