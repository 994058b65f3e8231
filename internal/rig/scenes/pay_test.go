package scenes

import (
	"fmt"
	"strings"
	"testing"

	"tillgate/internal/payment"
)

// payOnce takes one payment by the command line.
func (b *box) payOnce(t *testing.T, x *terminal) {
	t.Helper()
	for n := 1; ; n++ {
		b.sellable(t, x)
		id := fmt.Sprintf("%s-%d", x.name, n)
		code, out := b.pay(t, x, id, "5000")
		refused := strings.Contains(out, `"status":"refused"`)
		if !refused {
			r := b.final(t, id)
			b.judge(t, x, r)
			if code == 0 && r.Outcome.Result == payment.Approved {
				break
			}
		}
		// A starved machine tears a request apart, which no terminal answers: the
		// sale is refused, or it fails, and nothing was charged for it.
		if n == 8 || code == 0 {
			t.Fatalf("exit status %d: %s\nthe bank: %+v", code, out, x.sim.Ledger())
		}
		t.Logf("not approved, again: exit status %d: %s", code, out)
	}
	t.Logf("approved over %s, %d units moved since it was plugged in", x.address, x.moved(t))
}
