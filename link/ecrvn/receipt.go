package ecrvn

import (
	"strings"

	"tillgate/internal/payment"
)

// receipt renders what may be printed for the customer. The terminal prints its
// own slip and sends none, so this is made from the fields; card holder and
// expiry date were never kept. At most 15 lines, each at most 80 bytes.
func receipt(f info, o payment.Outcome) []string {
	title := map[string]string{typeSale: "PURCHASE", typeVoid: "REVERSAL", typeSettle: "SETTLEMENT"}[f.transType]
	lines := []string{title}
	add := func(label, value string) {
		if value = strings.TrimSpace(value); value != "" {
			lines = append(lines, label+": "+value)
		}
	}
	add("MID", f.mid)
	add("TID", f.tid)
	add("Date", date(f.time))
	add("Batch", f.batchNo)
	add("Receipt", f.receiptNo)
	add("Card", strings.TrimSpace(o.Card.PAN.String()+" "+f.cardType))
	add("Application", f.emvAppName)
	add("AID", f.emvAID)
	add("TC", f.emvTC)
	add("Entry", string(o.Card.Entry))
	add("RRN", f.refNo)
	add("Approval", f.approvalCode)
	add("Amount", o.Amount.String())
	return lines
}

// date turns YYYYMMDDhhmmss into 2018-02-27 18:25:08, and leaves anything else
// as it is.
func date(s string) string {
	if len(s) != 14 || strings.Trim(s, "0123456789") != "" {
		return s
	}
	return s[:4] + "-" + s[4:6] + "-" + s[6:8] + " " + s[8:10] + ":" + s[10:12] + ":" + s[12:]
}
