package qfpay

import (
	"strings"

	"tillgate/internal/payment"
)

// outcome puts a judged answer into our words. r may be the zero record.
func (t *terminal) outcome(c code, a answer, r record, source payment.Source) payment.Outcome {
	o := payment.Outcome{Source: source, Condition: c.condition, Vendor: vendor(a, r), Text: c.text}
	switch c.decision {
	case done:
		o.Result, o.Condition, o.Text = payment.Approved, "", ""
		o.Amount = t.money(r, r.get("txamt"))
	case gaveUp:
		o.Result = payment.Cancelled
	default:
		o.Result = payment.Declined
		if len(r.text) == 0 {
			o.Result = payment.Failed // the request was not accepted; no bank was asked
		}
	}
	if respcd := r.get("respcd"); len(respcd) == 2 {
		o.Response = respcd
	}
	o.Reference = reference(r)
	o.Card = payment.Card{PAN: r.card, Scheme: r.get("cardscheme")}
	if card, known := channels[t.settings.Channel]; known && !card && o.Result == payment.Approved {
		o.Card.Entry = payment.EntryQR
		if o.Card.Scheme == "" {
			o.Card.Scheme = t.settings.Channel
		}
	}
	o.Receipt = t.receipt(r, o)
	return o
}

// vendor is the most telling code of an answer: the transaction's, else the
// terminal's.
func vendor(a answer, r record) payment.VendorCode {
	v := payment.VendorCode{Code: r.get("respcd"), Text: firstOf(r.get("resmsg"), r.get("respmsg"), r.get("reserr"), r.get("resperr"))}
	if v.Code == "" {
		v = payment.VendorCode{Code: a.respcd}
	}
	if v.Text == "" {
		v.Text = firstOf(a.message, a.fault)
	}
	return v
}

// reference names a transaction. syssn is what a refund and a receipt are asked
// for by, so it is the receipt number.
func reference(r record) payment.Reference {
	return payment.Reference{
		Receipt: r.get("syssn"), STAN: r.get("clisn"), RRN: r.get("refno"), MID: r.get("userid"), TID: r.get("udid"), Batch: r.get("batchno"),
		Time: firstOf(r.get("paydtm"), r.get("txdtm"), r.get("sysdtm")),
	}
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// money reads an amount of an answer. The zero Money is one that cannot be
// read, or is in another currency.
func (t *terminal) money(r record, text string) payment.Money {
	if c := r.get("txcurrcd"); c != "" && !strings.EqualFold(c, t.currency) {
		if code, ok := payment.CurrencyByNumber(c); !ok || code != t.currency {
			return payment.Money{}
		}
	}
	if t.settings.AnswerAmount == AmountMajor {
		m, err := payment.ParseMoney(text, t.currency)
		if err != nil {
			return payment.Money{}
		}
		return m
	}
	minor, err := payment.ParseMinor(text)
	if err != nil || minor > payment.MaxMinor {
		return payment.Money{}
	}
	return payment.Money{Minor: minor, Currency: t.currency}
}

// receipt is made from the fields: the terminal prints its own and sends none.
func (t *terminal) receipt(r record, o payment.Outcome) []string {
	if o.Result != payment.Approved {
		return nil
	}
	lines := []string{"PURCHASE"}
	if r.get("orig_syssn") != "" {
		lines[0] = "REFUND"
	}
	add := func(label, value string) {
		if value = strings.TrimSpace(value); value != "" {
			lines = append(lines, label+": "+value)
		}
	}
	add("Merchant", r.get("mchntnm"))
	add("Date", o.Reference.Time)
	add("Transaction", o.Reference.Receipt)
	add("Original", r.get("orig_syssn"))
	add("Batch", o.Reference.Batch)
	add("Paid with", strings.TrimSpace(o.Card.PAN.String()+" "+o.Card.Scheme+" "+r.get("cardtype")))
	add("RRN", o.Reference.RRN)
	add("Channel number", r.get("chnlsn"))
	add("Amount", o.Amount.String())
	return lines
}

// major is an amount as a request has it: decimal, without an exponent and
// without closing zeros ("10.1", "100").
func major(m payment.Money) string {
	s := m.Decimal()
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}
