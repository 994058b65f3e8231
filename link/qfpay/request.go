package qfpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// request is what a terminal gets to see: the simulator's and Explain's side of
// render.
type request struct {
	content content
	digest  string
	signed  []byte // what the digest can be made of, beside the pairs
	sealed  bool   // it was encrypted
}

// errRequest is wrapped by every error about bytes that are no request.
var errRequest = errors.New("not a request of this protocol")

// parseRequest opens a request in every form that render can write.
func (p *profile) parseRequest(b []byte) (request, error) {
	r := request{}
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		var s string
		if json.Unmarshal(b, &s) == nil {
			b = []byte(s)
		}
	}
	if len(b) > 0 && b[0] != '{' {
		plain, err := p.sealer.open(b)
		if err != nil {
			return r, err
		}
		b, r.sealed = bytes.TrimSpace(plain), true
	}
	if rest, ok := bytes.CutPrefix(b, []byte("{content:")); ok {
		return r, r.odoo(string(rest))
	}
	var e struct {
		Content json.RawMessage `json:"content"`
		Digest  string          `json:"digest"`
	}
	if err := unmarshal(b, &e); err != nil || len(e.Content) == 0 {
		return r, fmt.Errorf("%w: neither {content:{..}, digest:'..'} nor its JSON", errRequest)
	}
	r.digest = e.Digest
	inner := []byte(e.Content)
	if inner[0] == '"' {
		var s string
		if err := json.Unmarshal(inner, &s); err != nil {
			return r, fmt.Errorf("%w: content is no text", errRequest)
		}
		if inner = bytes.TrimSpace([]byte(s)); len(inner) > 0 && inner[0] != '{' {
			r.signed = inner
			plain, err := p.sealer.open(inner)
			if err != nil {
				return r, err
			}
			inner, r.sealed = plain, true
		}
	}
	return r, r.members(inner)
}

// odoo reads what follows "{content:".
func (r *request) odoo(s string) error {
	s, closed := strings.CutSuffix(s, "'}")
	i := strings.LastIndex(s, "}, digest:'")
	if !closed || i < 0 {
		return fmt.Errorf("%w: no digest", errRequest)
	}
	r.digest = s[i+len("}, digest:'"):]
	return r.pairs(s[:i+1])
}

func (r *request) members(b []byte) error {
	var m map[string]any
	if unmarshal(b, &m) != nil {
		return r.pairs(string(b))
	}
	for k, v := range m {
		_, number := v.(json.Number)
		r.content = append(r.content, param{k, value(v), number})
	}
	return nil
}

// pairs reads {k=v,k='v'}. A quote ends a value only before a comma or the end.
func (r *request) pairs(s string) error {
	bad := fmt.Errorf("%w: content is neither JSON nor {key=value}", errRequest)
	s, open := strings.CutPrefix(s, "{")
	s, closed := strings.CutSuffix(s, "}")
	if !open || !closed {
		return bad
	}
	for s != "" {
		key, rest, ok := strings.Cut(s, "=")
		if !ok || key == "" {
			return bad
		}
		p := param{key: key, number: true}
		if text, quoted := strings.CutPrefix(rest, "'"); quoted {
			p.number = false
			i := strings.Index(text, "',")
			switch {
			case i >= 0:
				p.text, s = text[:i], text[i+2:]
			case strings.HasSuffix(text, "'"):
				p.text, s = text[:len(text)-1], ""
			default:
				return bad
			}
		} else {
			p.text, s, _ = strings.Cut(rest, ",")
		}
		if r.content = append(r.content, p); len(r.content) > maxMembers {
			return bad
		}
	}
	return nil
}

// genuine compares the digest, in either case, over the pairs or over what was
// sealed.
func (r request) genuine(k posKey) bool {
	return strings.EqualFold(r.digest, digest(r.content.pairs(), k)) || r.signed != nil && strings.EqualFold(r.digest, digest(r.signed, k))
}
