package ssi

import (
	"encoding/json"
	"regexp"
	"strings"

	"tillgate/internal/payment"
)

// maxNames bounds a list of names, maxLines a receipt.
const (
	maxNames = 32
	maxLines = 400
)

// names is a list of ids. What is no list of values is empty: GetMerchantList
// of some firmware has objects in it, of which nothing is known.
type names []string

func (n *names) UnmarshalJSON(b []byte) error {
	*n = nil
	var all []text
	if b[0] != '[' || json.Unmarshal(b, &all) != nil {
		return nil
	}
	for _, s := range all {
		if s != "" && len(*n) < maxNames {
			*n = append(*n, string(s))
		}
	}
	return nil
}

// app is a part of a terminal's software.
type app struct {
	Name    text `json:"name"`
	Version text `json:"versionName"`
}

// UnmarshalJSON takes what is no object for nothing.
func (a *app) UnmarshalJSON(b []byte) error {
	type plain app
	if b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, (*plain)(a))
}

// apps are named "MonoBank 1.2.0.010".
type apps []string

func (a *apps) UnmarshalJSON(b []byte) error {
	*a = nil
	var all []app
	if b[0] != '[' || json.Unmarshal(b, &all) != nil {
		return nil
	}
	for _, x := range all[:min(len(all), maxNames)] {
		*a = append(*a, strings.TrimSpace(string(x.Name+" "+x.Version)))
	}
	return nil
}

// paper is a receipt: text, or on some Android terminals a list of images, of
// which only that is kept.
type paper struct {
	lines  []string
	images bool
}

func (p *paper) UnmarshalJSON(b []byte) error {
	*p = paper{}
	if b[0] != '"' {
		p.images = b[0] == '[' || b[0] == '{'
		return nil
	}
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	for line := range strings.SplitSeq(strings.Trim(s, "\n"), "\n") {
		if len(p.lines) == maxLines {
			break
		}
		p.lines = append(p.lines, payment.Clip(withoutCard(indented(line)), maxText))
	}
	if s == "" {
		p.lines = nil
	}
	return nil
}

// indented is one line of a receipt, whose leading blanks place it.
func indented(s string) string {
	t := oneLine(s)
	indent := len(s) - len(strings.TrimLeft(s, " "))
	if t == "" {
		return ""
	}
	return strings.Repeat(" ", min(indent, 40)) + t
}

// cardNumber is what may be a card number, with what a track has behind it. None
// begins with 0.
var cardNumber = regexp.MustCompile(`[1-9][0-9]{12,18}([=D][0-9]*)?|[1-9][0-9]{3}([ -][0-9]{4}){3}([ -]?[0-9]{1,3})?`)

// withoutCard replaces what can be a card number by "***". A receipt has ids
// with as many digits, which must stay legible: they fail the check digit nine
// times out of ten.
func withoutCard(s string) string {
	return cardNumber.ReplaceAllStringFunc(s, func(n string) string {
		if strings.ContainsAny(n, "=D") || payment.IsCardNumber(n) {
			return "***"
		}
		return n
	})
}
