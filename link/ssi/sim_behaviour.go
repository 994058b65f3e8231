package ssi

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// behaviour is one entry of a script: an outcome, features, or both, joined by
// '+'. What they do is told in docs/protocols/ssi.md, "The simulator".
type behaviour struct {
	outcome string
	arg     string
	slow    time.Duration
	after   time.Duration // of a late approval
	extra   int64         // of a wrong amount
	old     bool          // firmware of the document: no transactionUid, no GetResultByUid
	linux   bool          // GetTerminalInfo of a Linux terminal
	odd     bool          // a status the document does not have
	z       bool          // the terminal wants its batch closed
	shred   bool          // answers come byte by byte
	oneShot bool          // the terminal ends the connection after each answer
}

var outcomes = map[string]bool{ // true: may have an argument
	"approve": false, "decline": true, "cancel": false, "charged": true, "result": true, "refuse": true, "mute": false, "lost-ack": true,
	"half-ack": false, "bad-lrc": false, "bad-json": false, "bad-length": false, "garbage": false, "reboot": false, "reboot-before": false,
	"wrong-amount": true, "discount": false, "late-approval": true, "swapped": false, "batch-closed": false, "hand-sale": false, "hand-after": false,
}

var features = map[string]bool{"slow": true, "v1.1.10": true, "linux": true, "odd-status": true, "needs-z": true, "fragments": true, "one-shot": true}

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
	case "refuse":
		if b.arg == "" {
			b.arg = "E00"
		}
	case "wrong-amount":
		b.extra = 1
		if b.arg != "" {
			b.extra, err = strconv.ParseInt(b.arg, 10, 64)
		}
	case "late-approval":
		b.after, err = durationOr(b.arg, 90*time.Second)
	}
	return err
}

func (b *behaviour) setFeature(name string) error {
	switch name {
	case "v1.1.10":
		b.old = true
	case "linux":
		b.linux = true
	case "odd-status":
		b.odd = true
	case "needs-z":
		b.z = true
	case "fragments":
		b.shred = true
	case "one-shot":
		b.oneShot = true
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
