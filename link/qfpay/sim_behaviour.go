package qfpay

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// behaviour is one entry of a script: an outcome, features, or both, joined by
// '+'. What they do is told in docs/protocols/qfpay.md, "The simulator".
type behaviour struct {
	outcome string
	arg     string
	slow    time.Duration
	after   time.Duration // of a late approval; 0 if it counts questions
	asks    int           // how many
	extra   int64         // of a wrong amount

	way       string // in which results come: own, ack, second
	reject    byte   // error packet instead of an acknowledgement
	split     int    // bytes in each packet of an answer; 0: all
	plain     bool
	duplicate bool
	lateAck   bool
	noAck     bool
	otherAck  bool
	marks     bool
	nameless  bool
	list      bool
	vague     bool
	key       string
}

var outcomes = map[string]bool{ // true: may have an argument
	"approve": false, "decline": true, "cancel": false, "cancel-charged": false, "charged": true, "lost-answer": false, "half-answer": false,
	"garbage": false, "reboot": false, "reboot-before": false, "wrong-amount": true, "busy": false, "late-approval": true, "mute": false,
	"foreign-query": false,
}

// features have an argument or none; docs/protocols/qfpay.md lists them.
var features = map[string]func(b *behaviour, arg string) error{
	"slow": func(b *behaviour, arg string) (err error) {
		b.slow, err = durationOr(arg, 3*time.Second)
		return err
	},
	"way": func(b *behaviour, arg string) error {
		if arg != "own" && arg != "ack" && arg != "second" {
			return fmt.Errorf("way: own, ack or second")
		}
		b.way = arg
		return nil
	},
	"error": func(b *behaviour, arg string) error {
		n, err := strconv.ParseUint(arg, 16, 8)
		if err != nil || n < errUnknown || n > errSplit {
			return fmt.Errorf("error: 30 to 35")
		}
		b.reject = byte(n)
		return nil
	},
	"split": func(b *behaviour, arg string) (err error) {
		b.split, err = strconv.Atoi(arg)
		if err != nil || b.split < 1 || b.split > maxPart {
			return fmt.Errorf("split: 1 to %d bytes", maxPart)
		}
		return nil
	},
	"key": func(b *behaviour, arg string) error {
		if raw, err := hex.DecodeString(arg); err != nil || len(raw) != keyLength/2 {
			return fmt.Errorf("key: %d hexadecimal digits", keyLength)
		}
		b.key = arg
		return nil
	},
	"plain":        flag(func(b *behaviour) { b.plain = true }),
	"duplicate":    flag(func(b *behaviour) { b.duplicate = true }),
	"late-ack":     flag(func(b *behaviour) { b.lateAck = true }),
	"no-ack":       flag(func(b *behaviour) { b.noAck = true }),
	"wrong-number": flag(func(b *behaviour) { b.otherAck = true }),
	"marks":        flag(func(b *behaviour) { b.marks = true }),
	"nameless":     flag(func(b *behaviour) { b.nameless = true }),
	"list":         flag(func(b *behaviour) { b.list = true }),
	"vague":        flag(func(b *behaviour) { b.vague = true }),
}

func flag(set func(*behaviour)) func(*behaviour, string) error {
	return func(b *behaviour, arg string) error {
		if arg != "" {
			return fmt.Errorf("it takes no argument")
		}
		set(b)
		return nil
	}
}

func parseScript(script []string) ([]behaviour, error) {
	if len(script) == 0 {
		script = []string{"approve"}
	}
	out := make([]behaviour, len(script))
	for i, text := range script {
		var err error
		if out[i], err = parseBehaviour(text); err != nil {
			return nil, fmt.Errorf("script %d: %w", i+1, err)
		}
	}
	return out, nil
}

func parseBehaviour(text string) (b behaviour, err error) {
	b.outcome, b.way = "approve", "own"
	named := false
	for part := range strings.SplitSeq(text, "+") {
		name, arg, hasArg := strings.Cut(part, ":")
		takes, known := outcomes[name]
		set, feature := features[name]
		switch {
		case known && (named || hasArg && !takes):
			return b, fmt.Errorf("behaviour %q: one outcome, and only some with an argument", text)
		case known:
			named = true
			b.outcome, b.arg = name, arg
			err = b.setArgument()
		case feature:
			err = set(&b, arg)
		default:
			err = fmt.Errorf("no such behaviour: %q", name)
		}
		if err != nil {
			return b, fmt.Errorf("behaviour %q: %w", text, err)
		}
	}
	return b, nil
}

func (b *behaviour) setArgument() (err error) {
	switch b.outcome {
	case "decline":
		if b.arg == "" {
			b.arg = "1201"
		}
	case "wrong-amount":
		b.extra = 1
		if b.arg != "" {
			b.extra, err = strconv.ParseInt(b.arg, 10, 64)
		}
	case "late-approval":
		b.asks = 1
		if n, bad := strconv.Atoi(b.arg); bad == nil && n > 0 {
			b.asks = n
		} else {
			b.after, err = durationOr(b.arg, 0)
		}
	}
	return err
}

func durationOr(arg string, d time.Duration) (time.Duration, error) {
	if arg == "" {
		return d, nil
	}
	return time.ParseDuration(arg)
}
