package payment

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clip keeps the first bytes of s, at most so many, and cuts no character in two.
func Clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most]
}

// Excerpt shortens a text that came from outside before it is quoted back.
func Excerpt(s string) string {
	const most = 40
	if len(s) > most {
		return Clip(s, most) + "…"
	}
	return s
}

// Word makes a word that came from outside fit for an error: at most 28 letters
// and digits, "?" for all else, so that nothing else can hide in it.
func Word(s string) string {
	s = strings.Map(func(c rune) rune {
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '-' {
			return c
		}
		return '?'
	}, s)
	return s[:min(len(s), 28)]
}

// Printable puts blanks for what moves a cursor, turns the direction of writing
// or shows nothing, so that a text from outside can go to a screen, paper or log.
func Printable(s string) string {
	return strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return ' '
	}, s)
}

// cardNumber is what can be a card number in a text: 13 digits and more in one
// piece, or groups as they are printed on a card.
var cardNumber = regexp.MustCompile(`\d{13,}|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{1,7}|\d{4}[ -]\d{6}[ -]\d{4,5}`)

// MaskNumbers leaves the last four digits of what can be a card number in a
// text. Those that are known to be none, like an RRN, stay. Cut the text behind
// it, not before: half a number is not found.
func MaskNumbers(s string, known ...string) string {
	return cardNumber.ReplaceAllStringFunc(s, func(n string) string {
		if slices.Contains(known, n) {
			return n
		}
		return MaskPAN(n).String()
	})
}

// IsCardNumber says whether the digits of s, whatever is between them, are a
// card number by their count and check digit (ISO/IEC 7812-1).
func IsCardNumber(s string) bool {
	sum, n := 0, 0
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] < '0' || s[i] > '9' {
			continue
		}
		d := int(s[i] - '0')
		if n%2 == 1 {
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
		n++
	}
	return n >= 13 && n <= 19 && sum%10 == 0
}
