package ecrvn

import (
	"time"

	"tillgate/link/simulate"
)

// behaviour is one entry of a script. What it does is told in
// docs/protocols/ecrvn.md, "The simulator".
type behaviour struct {
	outcome                                  string
	arg                                      string
	slow                                     time.Duration
	after                                    time.Duration // of a late approval; 0 if it counts questions
	asks                                     int           // how many
	extra                                    int64         // of a wrong amount
	noInnerIDs, echo, breaks, mojibake, x100 bool
}

func grammar() simulate.Grammar[behaviour] {
	argument := func(b *behaviour, arg string) { b.arg = arg }
	return simulate.Grammar[behaviour]{
		Begin: func(outcome string) behaviour { return behaviour{outcome: outcome} },
		Outcomes: map[string]simulate.Word[behaviour]{
			"approve": nil, "cancel": nil, "lost-answer": nil, "half-answer": nil, "garbage": nil, "reboot": nil, "reboot-before": nil,
			"busy": nil, "swapped": nil, "batch-closed": nil, "hand-sale": nil, "hand-after": nil, "mute": nil,
			"decline":        simulate.Text("51", argument),
			"charged":        simulate.Text("", argument),
			"cancel-charged": simulate.Flag(func(b *behaviour) { b.outcome, b.arg = "charged", statusCanceled }),
			"wrong-amount":   simulate.Whole(1, func(b *behaviour, n int64) { b.extra = n }),
			"late-approval":  simulate.Late(func(b *behaviour, asks int, after time.Duration) { b.asks, b.after = asks, after }),
		},
		Features: map[string]simulate.Word[behaviour]{
			"slow":         simulate.Duration(3*time.Second, func(b *behaviour, d time.Duration) { b.slow = d }),
			"no-inner-ids": simulate.Flag(func(b *behaviour) { b.noInnerIDs = true }),
			"echo":         simulate.Flag(func(b *behaviour) { b.echo = true }),
			"linebreaks":   simulate.Flag(func(b *behaviour) { b.breaks = true }),
			"mojibake":     simulate.Flag(func(b *behaviour) { b.mojibake = true }),
			"x100":         simulate.Flag(func(b *behaviour) { b.x100 = true }),
		},
	}
}
