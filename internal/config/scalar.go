package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// Duration is a length of time. In the file it is a number with a unit, such
// as "300s", "2h30m" or "400d"; a day is 24 hours.
type Duration time.Duration

func (d Duration) Std() time.Duration { return time.Duration(d) }

func (d Duration) String() string {
	if t := time.Duration(d); t >= 48*time.Hour && t%(24*time.Hour) == 0 {
		return strconv.Itoa(int(t/(24*time.Hour))) + "d"
	}
	return time.Duration(d).String()
}

// UnmarshalText reads what [time.ParseDuration] does, and whole days. Less than
// nought is refused.
func (d *Duration) UnmarshalText(b []byte) error {
	t, err := parseDuration(string(b))
	*d = Duration(t)
	return err
}

func parseDuration(s string) (time.Duration, error) {
	bad := fmt.Errorf(`%s is not a duration: write it with a unit, like "300s", "5m" or "30d"`, quote(s))
	if n, ok := strings.CutSuffix(s, "d"); ok {
		days, err := strconv.ParseUint(n, 10, 16)
		if err != nil {
			return 0, bad
		}
		return time.Duration(days) * 24 * time.Hour, nil
	}
	t, err := time.ParseDuration(s)
	if err != nil || t < 0 {
		return 0, bad
	}
	return t, nil
}

const durationPattern = `^([0-9]+d|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+|0)$`

func (Duration) draft() *schema {
	return &schema{Type: "string", Pattern: durationPattern, Examples: []any{"300s", "30d"}}
}

// Bytes is a number of bytes. In the file it is a whole number, with or
// without one of the units KiB, MiB and GiB.
type Bytes int64

func (n *Bytes) UnmarshalText(b []byte) error {
	s, shift := strings.TrimSpace(string(b)), 0
	for unit, bits := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if cut, ok := strings.CutSuffix(s, unit); ok {
			s, shift = strings.TrimSpace(cut), bits
			break
		}
	}
	v, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return fmt.Errorf(`%s is not a size: write it like "16MiB"`, quote(string(b)))
	}
	*n = Bytes(v << shift)
	return nil
}

func (Bytes) draft() *schema {
	return &schema{Pattern: `^[0-9]+ *(KiB|MiB|GiB)?$`, OneOf: []*schema{{Type: "string"}, {Type: "integer"}}, Examples: []any{"16MiB"}}
}

// Amount is a decimal text in the major unit of a currency, "5000000" or
// "10.50". Its value is found with [payment.ParseMoney] once the currency is
// known; it never passes through a float.
type Amount string

func (a *Amount) UnmarshalText(b []byte) error { *a = Amount(b); return nil }

func (Amount) draft() *schema {
	return &schema{Pattern: `^[0-9]+(\.[0-9]+)?$`, OneOf: []*schema{{Type: "string"}, {Type: "integer"}}, Examples: []any{"5000000"}}
}

// Profile is the driver's part of a terminal, kept as it stands until the
// driver is known.
type Profile struct {
	Set  bool
	node ast.Node
}

func (Profile) draft() *schema { return &schema{Type: "object"} }

// Secret is what a secret file holds. It masks itself wherever it is printed;
// only Reveal gives it away.
type Secret struct{ value string }

var errSecret = errors.New("a secret is never written in the configuration")

func (s Secret) Reveal() string               { return s.value }
func (s Secret) IsZero() bool                 { return s.value == "" }
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
func (s Secret) GoString() string             { return "config.Secret{" + s.String() + "}" }

func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return "[secret]"
}
