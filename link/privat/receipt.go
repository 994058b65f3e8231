package privat

import (
	"strings"

	"tillgate/internal/payment"
)

const (
	maxLines = 120 // lines of a receipt that are kept
	maxWidth = 160 // bytes of a line: 48 characters of Cyrillic and some
)

// receiptLines are what the terminal would print for the customer.
func receiptLines(a answer) []string {
	lines := textLines(a)
	return lines[:min(len(lines), maxLines)]
}

// textLines are the lines of a text that the terminal would print. Card numbers
// that it did not mask are masked here.
func textLines(a answer) []string {
	if a.receipt == "" {
		return nil
	}
	var lines []string
	for line := range strings.SplitSeq(payment.MaskNumbers(a.receipt, a.rrn, a.rrnExt), "\n") {
		lines = append(lines, payment.Clip(strings.TrimRight(line, " \r\t"), maxWidth))
	}
	return lines
}
