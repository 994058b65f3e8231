package ssi

import (
	"slices"
	"strings"
	"time"

	"tillgate/link/simulate"
)

// behaviour is one entry of a script. What it does is told in
// docs/protocols/ssi.md, "The simulator".
type behaviour struct {
	outcome string
	arg     string
	slow    time.Duration
	after   time.Duration // of a late approval
	extra   int64         // of a wrong amount

	old, linux, odd, z, shred, oneShot, stuck, hopeless, images, noPaper, cashBeside bool

	merchants []string // of the terminal; none: one that need not be named
	tids      []string // of each merchant
	serial    string   // "" is made from the name
}

func grammar() simulate.Grammar[behaviour] {
	argument := func(b *behaviour, arg string) { b.arg = arg }
	flag := func(of func(*behaviour) *bool) simulate.Word[behaviour] {
		return simulate.Flag(func(b *behaviour) { *of(b) = true })
	}
	return simulate.Grammar[behaviour]{
		Begin: func(outcome string) behaviour { return behaviour{outcome: outcome} },
		Outcomes: map[string]simulate.Word[behaviour]{
			"approve": nil, "cancel": nil, "mute": nil, "lost-refusal": nil, "half-ack": nil, "bad-lrc": nil, "bad-json": nil, "bad-length": nil,
			"garbage": nil, "reboot": nil, "reboot-before": nil, "discount": nil, "swapped": nil, "batch-closed": nil, "hand-sale": nil, "hand-after": nil,
			"decline":       simulate.Text("51", argument),
			"charged":       simulate.Text("FAILED/E21", argument),
			"result":        simulate.Text("FAILED/E21", argument),
			"refuse":        simulate.Text("E00", argument),
			"lost-ack":      simulate.Text("", argument),
			"wrong-amount":  simulate.Whole(1, func(b *behaviour, n int64) { b.extra = n }),
			"late-approval": simulate.Duration(90*time.Second, func(b *behaviour, d time.Duration) { b.after = d }),
		},
		Features: map[string]simulate.Word[behaviour]{
			"slow":        simulate.Duration(3*time.Second, func(b *behaviour, d time.Duration) { b.slow = d }),
			"v1.1.10":     flag(func(b *behaviour) *bool { return &b.old }),
			"linux":       flag(func(b *behaviour) *bool { return &b.linux }),
			"odd-status":  flag(func(b *behaviour) *bool { return &b.odd }),
			"needs-z":     flag(func(b *behaviour) *bool { return &b.z }),
			"fragments":   flag(func(b *behaviour) *bool { return &b.shred }),
			"one-shot":    flag(func(b *behaviour) *bool { return &b.oneShot }),
			"stuck":       flag(func(b *behaviour) *bool { return &b.stuck }),
			"hopeless":    simulate.Flag(func(b *behaviour) { b.stuck, b.hopeless = true, true }),
			"images":      flag(func(b *behaviour) *bool { return &b.images }),
			"no-paper":    flag(func(b *behaviour) *bool { return &b.noPaper }),
			"cash-beside": flag(func(b *behaviour) *bool { return &b.cashBeside }),
			"merchants":   simulate.Text("SHOP/CAFE", func(b *behaviour, arg string) { b.merchants = strings.Split(arg, "/") }),
			"tids":        simulate.Text("T0000001/T0000002", func(b *behaviour, arg string) { b.tids = strings.Split(arg, "/") }),
			"serial":      simulate.Text("V1E0207420", func(b *behaviour, arg string) { b.serial = arg }),
		},
	}
}

// firstMerchant is paid where a command names nobody. Ids of some terminals are
// padded with blanks.
const firstMerchant = "MERCHANT1      "

func (b behaviour) merchantList() []string {
	if len(b.merchants) > 0 {
		return b.merchants
	}
	return []string{firstMerchant}
}

func (b behaviour) hasMerchant(id string) bool {
	return slices.ContainsFunc(b.merchantList(), func(m string) bool { return strings.TrimSpace(m) == strings.TrimSpace(id) })
}

func (b behaviour) hasTID(id string) bool { return len(b.tids) == 0 || slices.Contains(b.tids, id) }
