package zengi

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"

	"tillgate/link"
)

// Errors of what is not genuine. They are for this box's log; the sender is told
// nothing.
var (
	errBody      = errors.New("the body is no JSON object with data")
	errData      = errors.New("data is not written as the setting text says")
	errPadding   = errors.New("it does not decrypt: wrong key, mode, iv or padding")
	errSignature = errors.New("the signature is not right, or missing")
)

// opened is a request that was opened: all of it is genuine.
type opened struct {
	plain []byte
	ipn   object
	bad   error // why plain is no IPN; only with a good signature
}

// open verifies and decrypts. Bad padding, a bad tag and a bad signature take the
// same way: all of it is done, then judged once.
func (p *profile) open(r link.NotifyRequest) (opened, error) {
	envelope, err := parseObject(r.Body)
	data := envelope.get("data")
	if err != nil || data == "" {
		return opened{}, errBody
	}
	sealed, err := fromText(data, p.Text)
	if err != nil {
		return opened{}, errData
	}
	whole, n, good, err := p.decrypt(sealed)
	if err != nil {
		return opened{}, err
	}
	o := opened{plain: whole[:n]}
	o.ipn, o.bad = parseObject(o.plain)
	signed := p.verify(r, envelope, sealed, whole, n, o.ipn)
	switch {
	case good&signed == 1:
		return o, nil
	case good != 1:
		return opened{}, errPadding
	}
	return opened{}, errSignature
}

// verify is 1 if the signature is right. It hashes as many bytes whatever the
// padding said.
func (p *profile) verify(r link.NotifyRequest, envelope object, sealed, whole []byte, n int, ipn object) int {
	if p.Sign == signNone {
		return 1
	}
	var over, rest []byte
	switch p.Sign {
	case signBody:
		over = r.Body
	case signData:
		over = []byte(envelope.get("data"))
	case signCiphertext:
		over = sealed
	case signPlain:
		over, rest = whole[:n], whole[n:]
	case signFields:
		over = p.joined(ipn)
	}
	m := hmac.New(sha256.New, p.sign.bytes)
	m.Write(over)
	want := m.Sum(nil)
	m.Write(rest)
	m.Sum(nil)
	given, err := fromText(p.signature(r.Header, envelope, ipn), p.SignText)
	if err != nil || len(given) != len(want) {
		given = make([]byte, len(want))
		given[0] = ^want[0] // never equal
	}
	return subtle.ConstantTimeCompare(given, want)
}

// signature is the text that claims to be one.
func (p *profile) signature(h http.Header, envelope, ipn object) string {
	switch p.SignIn {
	case inHeader:
		return strings.TrimPrefix(h.Get(p.SignName), "sha256=")
	case inField:
		return envelope.get(p.SignName)
	}
	return ipn.get(p.SignName)
}

// joined is what is signed of a list of fields.
func (p *profile) joined(ipn object) []byte {
	parts := make([]string, len(p.SignFields))
	for i, name := range p.SignFields {
		if parts[i] = ipn.get(name); p.SignForm == formPairs {
			parts[i] = name + "=" + parts[i]
		}
	}
	return []byte(strings.Join(parts, p.SignJoin))
}

// mac signs, for the simulator.
func (p *profile) mac(over []byte) string {
	m := hmac.New(sha256.New, p.sign.bytes)
	m.Write(over)
	as := p.SignText
	if as == asAuto {
		as = asHex
	}
	return toText(m.Sum(nil), as)
}
