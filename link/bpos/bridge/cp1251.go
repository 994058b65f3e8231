package bridge

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// upper1251 are the characters of the bytes 80 to FF of Windows-1251. 98 is none.
const upper1251 = "" +
	"ЂЃ‚ѓ„…†‡€‰Љ‹ЊЌЋЏђ‘’“”•–—\ufffd™љ›њќћџ" +
	"\u00a0ЎўЈ¤Ґ¦§Ё©Є«¬\u00ad®Ї°±Ііґµ¶·ё№є»јЅѕї" +
	"АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ" +
	"абвгдежзийклмнопрстуфхцчшщъыьэюя"

// Decode1251 reads a text of the library, which is in Windows-1251 (guide,
// get_Receipt). A byte that is no character becomes U+FFFD.
func Decode1251(b []byte) string {
	upper := []rune(upper1251)
	var s strings.Builder
	s.Grow(len(b))
	for _, c := range b {
		if c < 0x80 {
			s.WriteByte(c)
		} else {
			s.WriteRune(upper[c-0x80])
		}
	}
	return s.String()
}

// Encode1251 writes a text for the library. A character that Windows-1251 does
// not have is an error.
func Encode1251(s string) ([]byte, error) {
	b := make([]byte, 0, len(s))
	for i, r := range s {
		switch n := position1251(r); {
		case r < 0x80:
			b = append(b, byte(r))
		case n >= 0 && r != utf8.RuneError:
			b = append(b, byte(0x80+n))
		default:
			return nil, fmt.Errorf("the character at byte %d is not in Windows-1251", i)
		}
	}
	return b, nil
}

func position1251(r rune) int {
	n := 0
	for _, c := range upper1251 {
		if c == r {
			return n
		}
		n++
	}
	return -1
}

// Widened reads a text that COM handed over as UTF-16. A library that widened its
// bytes one by one, without regard to their encoding, leaves no character above
// U+00FF: such a text is read as Windows-1251.
func Widened(s string) string {
	raw := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return s
		}
		raw = append(raw, byte(r))
	}
	return Decode1251(raw)
}
