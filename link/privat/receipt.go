package privat

import (
	"strings"
)

const (
	maxLines = 120 // lines of a receipt that are kept
	maxWidth = 160 // bytes of a line: 48 characters of Cyrillic and some
)

// receiptLines are what the terminal would print for the customer. Card numbers
// that it did not mask are masked here.
func receiptLines(a answer) []string {
	if a.receipt == "" {
		return nil
	}
	var lines []string
	for line := range strings.SplitSeq(maskNumbers(a.receipt, a.rrn, a.rrnExt), "\n") {
		if len(lines) == maxLines {
			break
		}
		lines = append(lines, clip(strings.TrimRight(line, " \r\t"), maxWidth))
	}
	return lines
}

// maskNumbers leaves the last four digits of what can be a card number: 13 to
// 19 digits, blanks and dashes between them allowed, that pass the Luhn check.
// A reference number that was sent as one is none.
func maskNumbers(s string, known ...string) string {
	out := []byte(s)
	for i := 0; i < len(s); {
		n, digits := run(s[i:])
		if n == 0 {
			i++
			continue
		}
		if len(digits) >= 13 && len(digits) <= 19 && luhn(digits) && !contains(known, digits) {
			left := len(digits) - 4
			for j := i; left > 0; j++ {
				if out[j] >= '0' && out[j] <= '9' {
					out[j] = '*'
					left--
				}
			}
		}
		i += n
	}
	return string(out)
}

// run is the number that s begins with: its length, and its digits.
func run(s string) (n int, digits string) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			b.WriteByte(c)
			n = i + 1
		case (c == ' ' || c == '-') && b.Len() > 0 && n == i: // one separator at most
		default:
			return n, b.String()
		}
	}
	return n, b.String()
}

func luhn(digits string) bool {
	sum := 0
	for i := range digits {
		d := int(digits[len(digits)-1-i] - '0')
		if i%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}
