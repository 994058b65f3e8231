package ecrvn

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"tillgate/internal/payment"
)

const (
	maxKeys  = 64 // members of one object
	maxDepth = 8  // objects and arrays in one another
	maxKept  = 64 // bytes of a value that are kept
)

// parser reads JSON as these terminals write it, which is almost JSON: raw line
// breaks stand inside strings and keys. It keeps the first error and from then
// on reads nothing. encoding/json is of no use here: it refuses the line
// breaks, takes a key that comes twice, and copies the card holder's name.
type parser struct {
	b     []byte
	i     int
	depth int
	err   error
}

func (p *parser) fail(text string) {
	if p.err == nil {
		p.err = errors.New(text)
	}
}

// peek is the next character that is no blank, or 0.
func (p *parser) peek() byte {
	for p.err == nil && p.i < len(p.b) {
		switch c := p.b[p.i]; c {
		case ' ', '\t', '\r', '\n':
			p.i++
		default:
			return c
		}
	}
	return 0
}

func (p *parser) take(c byte) bool {
	if p.peek() != c {
		return false
	}
	p.i++
	return true
}

func (p *parser) end() {
	if p.peek() != 0 {
		p.fail("something stands behind the object")
	}
}

// object reads {"key":value,...}; member has to read the value.
func (p *parser) object(member func(key string)) {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	if !p.take('{') {
		p.fail("no object")
		return
	}
	if p.take('}') {
		return
	}
	var seen [maxKeys]string
	for n := 0; p.err == nil; n++ {
		if p.peek() != '"' {
			p.fail("no key")
			return
		}
		key := p.text()
		switch {
		case n == maxKeys:
			p.fail("too many keys")
		case slices.Contains(seen[:n], key):
			p.fail("a key comes twice")
		case !p.take(':'):
			p.fail("no value")
		}
		if p.err != nil {
			return
		}
		seen[n] = key
		member(key)
		if p.take('}') {
			return
		}
		if !p.take(',') {
			p.fail("neither a comma nor an end")
		}
	}
}

// text reads a string, or a number or word as its text, of which it keeps at
// most [maxKept] bytes: no value that means something is longer. null is "".
func (p *parser) text() string {
	if p.peek() != '"' {
		if c := p.peek(); c == '{' || c == '[' {
			p.skip()
			return ""
		}
		if w := p.word(); w != "null" {
			return payment.Clip(w, maxKept)
		}
		return ""
	}
	raw := p.raw()
	if !needsCare(raw) {
		return payment.Clip(string(raw), maxKept)
	}
	return p.careful(raw)
}

// raw reads a string as it stands between its quotes.
func (p *parser) raw() []byte {
	p.i++
	for j := p.i; j < len(p.b); j++ {
		switch p.b[j] {
		case '\\':
			j++
		case '"':
			raw := p.b[p.i:j]
			p.i = j + 1
			return raw
		}
	}
	p.fail("a string without an end")
	return nil
}

func needsCare(raw []byte) bool {
	for _, c := range raw {
		if c < ' ' || c == '\\' || c >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// careful drops CR and LF, makes other control characters blanks, resolves
// escapes, and replaces broken UTF-8.
func (p *parser) careful(raw []byte) string {
	b := make([]byte, 0, len(raw)+2)
	b = append(b, '"')
	for _, c := range raw {
		switch {
		case c == '\r' || c == '\n':
		case c < ' ':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	var s string
	if json.Unmarshal(append(b, '"'), &s) != nil {
		p.fail("an escape that does not exist")
		return ""
	}
	s = strings.Map(func(c rune) rune { // an escape can be a control character as well
		switch {
		case c == '\r' || c == '\n':
			return -1
		case c < ' ' || c == 0x7f:
			return ' '
		}
		return c
	}, s)
	return payment.Clip(s, maxKept)
}

// word reads a number, true, false or null.
func (p *parser) word() string {
	j := p.i
	for j < len(p.b) && strings.IndexByte(",}] \t\r\n\":{[", p.b[j]) < 0 {
		j++
	}
	w := p.b[p.i:j]
	if !json.Valid(w) {
		p.fail("a value that is no JSON")
		return ""
	}
	p.i = j
	return string(w)
}

// skip reads a value and keeps nothing of it. Of a string it wants no more than
// the end: an odd card holder's name must not cost the answer.
func (p *parser) skip() {
	switch p.peek() {
	case '{':
		p.object(func(string) { p.skip() })
	case '[':
		p.array()
	case '"':
		p.raw()
	default:
		p.word()
	}
}

func (p *parser) array() {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested too deeply")
	}
	defer func() { p.depth-- }()
	p.i++
	if p.take(']') {
		return
	}
	for p.err == nil {
		p.skip()
		if p.take(']') {
			return
		}
		if !p.take(',') {
			p.fail("neither a comma nor an end")
		}
	}
}
