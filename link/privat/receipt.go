package privat

import (
	"regexp"
	"slices"
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
	for line := range strings.SplitSeq(maskNumbers(a.receipt, a.rrn, a.rrnExt), "\n") {
		lines = append(lines, clip(strings.TrimRight(line, " \r\t"), maxWidth))
	}
	return lines
}

// cardNumber is what can be a card number in a text: 13 digits and more in one
// piece, or groups as they are printed on a card.
var cardNumber = regexp.MustCompile(`\d{13,}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{4,5}`)

// maskNumbers leaves the last four digits of what can be a card number. A
// reference number that was sent as one is none.
func maskNumbers(s string, known ...string) string {
	return cardNumber.ReplaceAllStringFunc(s, func(n string) string {
		if slices.Contains(known, n) {
			return n
		}
		return payment.MaskPAN(n).String()
	})
}
