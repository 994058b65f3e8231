package qfpay

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tillgate/link/simulate"
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
	again     bool
	lateAck   bool
	noAck     bool
	otherAck  bool
	marks     bool
	nameless  bool
	list      bool
	vague     string // the code of "not found"; "" is 6000 without data
	loggedOut bool
	key       string
}

func grammar() simulate.Grammar[behaviour] {
	argument := func(b *behaviour, arg string) { b.arg = arg }
	return simulate.Grammar[behaviour]{
		Begin: func(outcome string) behaviour { return behaviour{outcome: outcome, way: "own"} },
		Outcomes: map[string]simulate.Word[behaviour]{
			"approve": nil, "cancel": nil, "cancel-charged": nil, "lost-answer": nil, "half-answer": nil, "garbage": nil, "reboot": nil,
			"reboot-before": nil, "busy": nil, "mute": nil, "foreign-query": nil, "hand-sale": nil, "hand-after": nil, "swapped": nil,
			"decline":       simulate.Text("1201", argument),
			"charged":       simulate.Text("", argument),
			"wrong-amount":  simulate.Whole(1, func(b *behaviour, n int64) { b.extra = n }),
			"late-approval": simulate.Late(func(b *behaviour, asks int, after time.Duration) { b.asks, b.after = asks, after }),
		},
		Features: map[string]simulate.Word[behaviour]{
			"slow":         simulate.Duration(3*time.Second, func(b *behaviour, d time.Duration) { b.slow = d }),
			"way":          simulate.Checked("own", checkWay, func(b *behaviour, way string) { b.way = way }),
			"error":        simulate.Checked("30", checkErrorType, func(b *behaviour, code string) { b.reject = codeIn([]byte(code)) }),
			"split":        simulate.Checked("50", checkPart, func(b *behaviour, n string) { b.split, _ = strconv.Atoi(n) }),
			"key":          simulate.Checked("", checkKey, func(b *behaviour, key string) { b.key = key }),
			"plain":        simulate.Flag(func(b *behaviour) { b.plain = true }),
			"duplicate":    simulate.Flag(func(b *behaviour) { b.duplicate = true }),
			"again":        simulate.Flag(func(b *behaviour) { b.again = true }),
			"late-ack":     simulate.Flag(func(b *behaviour) { b.lateAck = true }),
			"no-ack":       simulate.Flag(func(b *behaviour) { b.noAck = true }),
			"wrong-number": simulate.Flag(func(b *behaviour) { b.otherAck = true }),
			"marks":        simulate.Flag(func(b *behaviour) { b.marks = true }),
			"nameless":     simulate.Flag(func(b *behaviour) { b.nameless = true }),
			"list":         simulate.Flag(func(b *behaviour) { b.list = true }),
			"vague":        simulate.Checked("6002", checkCode, func(b *behaviour, code string) { b.vague = code }),
			"logged-out":   simulate.Flag(func(b *behaviour) { b.loggedOut = true }),
		},
	}
}

func checkWay(arg string) error {
	if arg != "own" && arg != "ack" && arg != "second" {
		return errors.New("it is own, ack or second")
	}
	return nil
}

func checkErrorType(arg string) error {
	if len(arg) != 2 || arg < "30" || arg > "35" {
		return errors.New("it is 30 to 35")
	}
	return nil
}

func checkCode(arg string) error {
	if len(arg) != 4 || !digits(arg) {
		return errors.New("it is four digits")
	}
	return nil
}

func checkPart(arg string) error {
	if n, err := strconv.Atoi(arg); err != nil || n < 1 || n > maxPart {
		return fmt.Errorf("it is 1 to %d bytes", maxPart)
	}
	return nil
}

func checkKey(arg string) error {
	if raw, err := hex.DecodeString(arg); err != nil || len(raw) != keyLength/2 {
		return fmt.Errorf("it is %d hexadecimal digits", keyLength)
	}
	return nil
}
