package payment

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTextFromOutside(t *testing.T) {
	for _, c := range []struct{ name, got, want string }{
		{"short", Clip("Thẻ", 5), "Thẻ"},
		{"between characters", Clip("Thẻ", 2), "Th"},
		{"within a character", Clip("Thẻ", 4), "Th"},
		{"within the first", Clip("ẻ", 2), ""},
		{"only continuations", Clip("\x80\x80\x80", 2), ""},
		{"excerpt", Excerpt(strings.Repeat("x", 40)), strings.Repeat("x", 40)},
		{"long excerpt", Excerpt(strings.Repeat("x", 41)), strings.Repeat("x", 40) + "…"},
		{"word", Word("APPROVED_1-a b\nẻ"), "APPROVED_1-a?b??"},
		{"long word", Word(strings.Repeat("x", 29)), strings.Repeat("x", 28)},
		{"controls", Printable("a\x1b[31mb\r\nc\u202ed\u0085e\u2028f"), "a [31mb  c d e f"},
		{"letters", Printable("Thẻ 信用卡 Чек №1"), "Thẻ 信用卡 Чек №1"},
		{"card number", MaskNumbers("card 4111111111111111, RRN 012345678901"), "card ************1111, RRN 012345678901"},
		{"groups", MaskNumbers("4111 1111-1111 1111"), "************1111"},
		{"groups of American Express", MaskNumbers("3782 822463 10005"), "************0005"},
		{"known", MaskNumbers("4111111111111111 0123456789012", "0123456789012"), "************1111 0123456789012"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

func TestIsCardNumber(t *testing.T) {
	for number, want := range map[string]bool{
		"4111111111111111": true, "4111 1111-1111 1111": true, "378282246310005": true, "4222222222222": true,
		"4111111111111112": false, "000000000000": false, "00000000000000000000": false, "": false,
	} {
		if got := IsCardNumber(number); got != want {
			t.Errorf("%q: %t, want %t", number, got, want)
		}
	}
}

func FuzzClip(f *testing.F) {
	f.Add("Thẻ 信用卡", 5)
	f.Add("\xff\x80", 1)
	f.Fuzz(func(t *testing.T, s string, most int) {
		most = max(0, most)
		got := Clip(s, most)
		if len(got) > most || !strings.HasPrefix(s, got) || utf8.ValidString(s) && (!utf8.ValidString(got) || len(s) > most && len(got) <= most-utf8.UTFMax) {
			t.Errorf("%q cut to %d bytes is %q", s, most, got)
		}
	})
}
