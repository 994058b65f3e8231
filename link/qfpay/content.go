package qfpay

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// Functions of chapter 4.
const (
	funcTrade        = 1001
	funcRefund       = 1002
	funcPrintReceipt = 3001
	funcPrintTotals  = 3002
	funcQuery        = 4001
	funcCancel       = 5001
)

// param is one member of a request's content. A number is written bare: its
// text is in the digest and on the wire byte for byte.
type param struct {
	key    string
	text   string
	number bool
}

// content is what a request asks for.
type content []param

func (c *content) add(key, text string)       { *c = append(*c, param{key, text, false}) }
func (c *content) addNumber(key, text string) { *c = append(*c, param{key, text, true}) }

// function is a content that has its func_type.
func function(f int) content {
	return content{{"func_type", strconv.Itoa(f), true}}
}

// sorted has the order of ASCII, in which capital letters come first
// (chapter 3.6, "sorted keys in alphabetical ascending order").
func (c content) sorted() content {
	c = slices.Clone(c)
	slices.SortStableFunc(c, func(a, b param) int { return strings.Compare(a.key, b.key) })
	return c
}

// pairs is what the digest is made of: {amt=100,channel='wx'}
func (c content) pairs() []byte {
	b := []byte{'{'}
	for i, p := range c.sorted() {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, p.key...)
		b = append(b, '=')
		if p.number {
			b = append(b, p.text...)
			continue
		}
		b = append(b, '\'')
		b = append(b, p.text...)
		b = append(b, '\'')
	}
	return append(b, '}')
}

// json writes the same members as JSON, in the same order.
func (c content) json() []byte {
	b := []byte{'{'}
	for i, p := range c.sorted() {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendQuote(b, p.key) // our own keys are plain letters
		b = append(b, ':')
		if p.number {
			b = append(b, p.text...)
		} else {
			b = append(b, quoted(p.text)...)
		}
	}
	return append(b, '}')
}

// quoted is s as a JSON string. encoding/json would escape & < and >, which is
// the same to a decoder and not the same to a digest.
func quoted(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(s) != nil {
		return []byte(`""`) // a string can always be encoded
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}

// digest signs what was formatted: the MD5 of it and the key, in upper case. It
// is a check, not a protection: terminals come with a printed key.
func digest(formatted []byte, k posKey) string {
	h := md5.New()
	h.Write(formatted)
	h.Write([]byte(k.text))
	return strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
}

// render writes a request as it goes into a packet or a body.
//
//	envelope whole, syntax odoo   Base64(AES({content:{k=v,..}, digest:'..'}))
//	envelope whole, syntax json   Base64(AES({"content":{..},"digest":".."}))
//	envelope content, any syntax  {"content":"Base64(AES({..}))","digest":".."}
//	encryption off                the same without Base64 and AES, the content a string (as sampled)
func (p *profile) render(c content) []byte {
	inner := c.json()
	if p.settings.Syntax == SyntaxOdoo {
		inner = c.pairs()
	}
	signed := c.pairs()
	if p.settings.Plain {
		return envelope(quoted(string(inner)), digest(signed, p.key))
	}
	if p.settings.Envelope == EnvelopeContent {
		sealed := p.sealer.seal(inner)
		if p.settings.DigestOver == DigestSealed {
			signed = sealed
		}
		return envelope(quoted(string(sealed)), digest(signed, p.key))
	}
	if p.settings.Syntax == SyntaxOdoo {
		whole := append([]byte("{content:"), inner...)
		whole = append(whole, ", digest:'"+digest(signed, p.key)+"'}"...)
		return p.sealer.seal(whole)
	}
	return p.sealer.seal(envelope(inner, digest(signed, p.key)))
}

// envelope is chapter 3.6's object around a content that is JSON already.
func envelope(content []byte, digest string) []byte {
	b := append([]byte(`{"content":`), content...)
	return append(b, `,"digest":"`+digest+`"}`...)
}
