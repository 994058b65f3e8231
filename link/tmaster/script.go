package tmaster

import (
	"errors"
	"slices"
	"strconv"
	"time"

	"tillgate/link/simulate"
)

// Behaviour is one entry of a script: an outcome, features, or both, joined by
// '+'. What they do is told in docs/protocols/privat.md, "The simulator".
type Behaviour struct {
	Outcome string
	Arg     string // of "charged": what is said instead

	features []string // of the face
	slow     time.Duration
	after    time.Duration // of a late approval; 0 if it counts questions
	asks     int           // how many
	extra    int64         // minor units: of a wrong amount, and short of a partial one
	code     int           // of decline, ended and taken-back
	discount string        // group of the card; "" is none
	pending  bool
	question bool
}

// Has says whether the behaviour has a feature of the face.
func (b Behaviour) Has(feature string) bool { return slices.Contains(b.features, feature) }

// Grammar is what a script may say to a terminal whose face has further features
// of its own, each a flag; confirms is for one that waits for Confirm.
func Grammar(features []string, confirms bool) simulate.Grammar[Behaviour] {
	type word = simulate.Word[Behaviour]
	g := simulate.Grammar[Behaviour]{
		Begin: func(outcome string) Behaviour { return Behaviour{Outcome: outcome} },
		Outcomes: map[string]word{
			"approve": nil, "cancel": nil, "full": nil, "no-cash": nil, "signature": nil, "busy": nil,
			"lost-answer": nil, "half-answer": nil, "garbage": nil, "reboot": nil, "reboot-before": nil, "mute": nil,
			"swapped": nil, "batch-closed": nil, "hand-sale": nil, "hand-after": nil,
			"charged":       simulate.Text("", func(b *Behaviour, arg string) { b.Arg = arg }),
			"decline":       code("51", hostCode),
			"ended":         code(strconv.Itoa(NoHost), ownCode),
			"taken-back":    code(strconv.Itoa(NoHost), ownCode),
			"wrong-amount":  simulate.Whole(1, func(b *Behaviour, n int64) { b.extra = n }),
			"partial":       simulate.Whole(1, func(b *Behaviour, n int64) { b.extra = n }),
			"late-approval": simulate.Late(func(b *Behaviour, asks int, after time.Duration) { b.asks, b.after = asks, after }),
		},
		Features: map[string]word{
			"slow":     simulate.Duration(3*time.Second, func(b *Behaviour, d time.Duration) { b.slow = d }),
			"discount": simulate.Text("someDiscountGroup", func(b *Behaviour, group string) { b.discount = group }),
			"pending":  simulate.Flag(func(b *Behaviour) { b.pending = true }),
			"continue": simulate.Flag(func(b *Behaviour) { b.question = true }),
		},
	}
	for _, name := range features {
		g.Features[name] = simulate.Flag(func(b *Behaviour) { b.features = append(b.features, name) })
	}
	if confirms {
		g.Outcomes["confirm-lost"], g.Outcomes["confirm-mute"] = nil, nil
	}
	return g
}

// code is a word whose argument is a response code.
func code(usual string, check func(string) error) simulate.Word[Behaviour] {
	return simulate.Checked(usual, check, func(b *Behaviour, arg string) { b.code, _ = strconv.Atoi(arg) })
}

func hostCode(arg string) error {
	if n, err := strconv.Atoi(arg); len(arg) != 2 || err != nil || n < 1 || n == Partial {
		return errors.New("a bank that declines has a code of two digits")
	}
	return nil
}

func ownCode(arg string) error {
	if n, err := strconv.Atoi(arg); err != nil || texts[n] == "" {
		return errors.New("no such code of a terminal")
	}
	return nil
}

// fault is what the wire does under this outcome.
func (b Behaviour) fault() Fault {
	switch b.Outcome {
	case "lost-answer", "mute", "late-approval", "swapped", "batch-closed", "hand-sale", "hand-after":
		return Silent
	case "half-answer":
		return Half
	case "garbage":
		return Garbage
	case "reboot", "reboot-before":
		return HangUp
	case "charged":
		return Says
	}
	return Sound
}
