package privat

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// behaviour is one entry of a script: an outcome, features, or both, joined by
// '+'. What they do is told in docs/protocols/privat.md, "The simulator".
type behaviour struct {
	outcome                      string
	arg                          string
	slow                         time.Duration
	after                        time.Duration // of a late approval; 0 if it counts questions
	asks                         int           // how many
	extra                        int64         // minor units: of a wrong amount, and short of a partial one
	typos, comma, codeOnly, echo bool
}

var outcomes = map[string]bool{ // true: may have an argument
	"approve": false, "decline": true, "cancel": false, "ended": true, "charged": true, "lost-answer": false,
	"half-answer": false, "garbage": false, "reboot": false, "reboot-before": false, "wrong-amount": true, "partial": true, "signature": false,
	"busy": false, "late-approval": true, "swapped": false, "batch-closed": false, "hand-sale": false, "hand-after": false, "mute": false,
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
	b.outcome = "approve"
	named := false
	for part := range strings.SplitSeq(text, "+") {
		name, arg, hasArg := strings.Cut(part, ":")
		takes, known := outcomes[name]
		switch {
		case known && (named || hasArg && !takes):
			return b, fmt.Errorf("behaviour %q: one outcome, and only some with an argument", text)
		case known:
			named = true
			b.outcome, b.arg = name, arg
			err = b.setArgument()
		case name == "slow":
			b.slow, err = durationOr(arg, 3*time.Second)
		case hasArg:
			err = fmt.Errorf("%q takes no argument", name)
		default:
			err = b.setFeature(name)
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
			b.arg = "51"
		}
		if len(b.arg) != 2 || !isNumber(b.arg) {
			err = fmt.Errorf("a bank's code has two digits")
		}
	case "ended":
		if b.arg == "" {
			b.arg = "1004"
		}
		if _, ok := terminalCodes[b.arg]; !ok {
			err = fmt.Errorf("no such code of a terminal")
		}
	case "wrong-amount", "partial":
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

func (b *behaviour) setFeature(name string) error {
	switch name {
	case "typos":
		b.typos = true
	case "comma":
		b.comma = true
	case "code-only":
		b.codeOnly = true
	case "echo":
		b.echo = true
	default:
		return fmt.Errorf("no such behaviour: %q", name)
	}
	return nil
}

func durationOr(arg string, d time.Duration) (time.Duration, error) {
	if arg == "" {
		return d, nil
	}
	return time.ParseDuration(arg)
}
