package linktest

import (
	"context"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link"
)

// inventory: what a terminal says of itself is the same at every look, before
// and after a payment and on a new connection, once it has told. The gateway
// takes a difference for another terminal, or an update of its software.
func inventory(t *testing.T, s Subject, settings any) {
	in(t, s, settings, []string{s.Approve, s.Decline}, func(b *bench, term link.Terminal) {
		if _, ok := term.(link.Diagnoser); !ok {
			return
		}
		var told payment.Inventory
		look := func(when string, term link.Terminal) {
			t.Helper()
			d, err := term.(link.Diagnoser).Diagnose(context.Background())
			if err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			now := d.Inventory
			now.Identity = d.Identity
			if clean := now.Clean(); clean != now {
				t.Errorf("%s: got %+v, which is not bounded printable text", when, now)
			}
			if differs := now.Differs(told); len(differs) > 0 {
				t.Errorf("%s: %v differ: got %+v, before %+v", when, differs, now, told)
			}
			told = now.Known(told)
		}
		look("at first", term)
		look("again", term)
		for _, when := range []string{"after an approval", "after a decline"} {
			tx := b.purchase()
			if _, err := b.sell(context.Background(), term, &tx, link.Dialogue{}); err != nil {
				t.Fatalf("%s: %v", when, err)
			}
			look(when, term)
		}
		term.Close()
		again := b.mustOpen()
		defer again.Close()
		look("on a new connection", again)
	})
}
