package ecrvn

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// behaviours is what a script may name. One entry stands for each money command
// and settlement, the last one stays. An entry is an outcome, or features, or
// both, joined by '+': "lost-answer+no-inner-ids".
//
//	approve            the bank approves (also: no outcome named)
//	decline[:NN]       the bank declines with NN, 51 if none is named
//	cancel             the customer presses the red key: CANCELED, nothing charged
//	cancel-charged     the bank approves, the terminal says CANCELED
//	charged:X          the bank approves, the terminal says X: two digits are a
//	                   returnCode, a word is a status, nothing is DONE without a code
//	lost-answer        the bank approves, nothing is said
//	half-answer        the bank approves, the answer stops in the middle
//	garbage            the bank approves, the answer is noise
//	reboot             the bank approves, the terminal restarts: the line breaks
//	reboot-before      the terminal restarts before the bank is asked
//	wrong-amount[:N]   the bank charges N minor units more, 1 if none is named
//	busy               status BUSY, nothing charged
//	late-approval[:X]  the bank approves after the X-th last_trans from then on, the
//	                   first if none is named, or after a time such as 90s
//	swapped            the bank approves, the answer is lost, and from then on
//	                   another terminal answers
//	batch-closed       the bank approves, the answer is lost, and the bank closes
//	                   the batch: nothing is left to read
//	hand-sale          the command is lost, and somebody sells for the same amount
//	                   on the keypad
//	hand-after         the bank approves, the answer is lost, and somebody sells for
//	                   the same amount on the keypad afterwards
//	mute               the command is lost
//
//	slow[:D]           takes D longer, 3s if none is named
//	no-inner-ids       firmware of 2015: no ids inside transInfo, and silence about
//	                   itself while it has no transaction
//	echo               the request is sent back before the answer
//	linebreaks         a line break every 92 characters, as the document prints
//	mojibake           text that is no UTF-8
//	x100               amounts are answered with two more zeros, as Techcombank does
//
// Features stay until the next money command.
type behaviour struct {
	outcome                                  string
	arg                                      string
	slow                                     time.Duration
	after                                    time.Duration // of a late approval; 0 if it counts questions
	asks                                     int           // how many
	extra                                    int64         // of a wrong amount
	noInnerIDs, echo, breaks, mojibake, x100 bool
}

var outcomes = map[string]bool{ // true: may have an argument
	"approve": false, "decline": true, "cancel": false, "cancel-charged": false, "charged": true, "lost-answer": false,
	"half-answer": false, "garbage": false, "reboot": false, "reboot-before": false, "wrong-amount": true, "busy": false,
	"late-approval": true, "swapped": false, "batch-closed": false, "hand-sale": false, "hand-after": false, "mute": false,
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
	case "cancel-charged":
		b.outcome, b.arg = "charged", statusCanceled
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

func (b *behaviour) setFeature(name string) error {
	switch name {
	case "no-inner-ids":
		b.noInnerIDs = true
	case "echo":
		b.echo = true
	case "linebreaks":
		b.breaks = true
	case "mojibake":
		b.mojibake = true
	case "x100":
		b.x100 = true
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
