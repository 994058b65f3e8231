package ssi

import (
	"strings"

	"tillgate/internal/payment"
)

// receipt renders what may be printed for the customer: driven by a till the
// terminal prints nothing by itself. It is made from the fields, of which card
// holder and track were never kept. At most 11 lines.
func receipt(r result, o payment.Outcome) []string {
	lines := []string{strings.ToUpper(string(r.Trn))}
	add := func(label, value string) {
		if value = strings.TrimSpace(value); value != "" {
			lines = append(lines, label+": "+value)
		}
	}
	add("Bank", string(r.Bank))
	add("MID", string(r.MID))
	add("TID", string(r.TID))
	add("Date", r.when())
	add("Receipt", string(r.Invoice))
	add("Card", strings.TrimSpace(o.Card.PAN.String()+" "+string(r.Bin)))
	add("Entry", string(o.Card.Entry))
	add("RRN", string(r.RRN))
	add("Approval", string(r.Auth))
	if !o.Amount.IsZero() {
		add("Amount", o.Amount.String())
	}
	return lines
}
