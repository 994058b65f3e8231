package bpos

import (
	"fmt"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// An unattended terminal shows our lines while it is idle, and gives its display
// back for a payment.
func TestUnattended(t *testing.T) {
	inWorld(t, []string{"approve+readers-failed", "approve+close-batch", "slow:5s"}, func(s *Settings) {
		s.Unattended, s.Lines, s.Screen = true, []string{"Вітаємо", "Оберіть товар"}, 4
	}, func(t *testing.T, w *world) {
		shown := func() string {
			w.sim.unit.Lock()
			defer w.sim.unit.Unlock()
			return fmt.Sprint(w.sim.ctrl.on, w.sim.ctrl.shown, w.sim.ctrl.screen)
		}
		const idle = "true [Вітаємо Оберіть товар] 4"
		if got := shown(); got != idle {
			t.Errorf("after opening: %s", got)
		}
		for _, want := range []payment.Reason{payment.ReasonBlocked, payment.ReasonReconcile} {
			w.mustSell(100)
			if got := shown(); got != idle {
				t.Errorf("after a sale: %s", got)
			}
			if d, err := w.term.Diagnose(t.Context()); err != nil || d.Blocked != want || d.Facts["term_status"] == "" {
				t.Errorf("got %+v, %v, want %s", d, err, want)
			}
		}
		tx := w.sale(100)
		var during string
		w.term.Execute(t.Context(), tx, link.Dialogue{Progress: func(s payment.Stage, _ payment.VendorCode) { during = shown() }})
		if !strings.HasPrefix(during, "false") {
			t.Errorf("while a customer pays: %s", during)
		}
	})
}

// Statuses are exchanged in control mode only, so the display is taken for that,
// and given back where nothing of ours is shown. A terminal that does not do it
// sells all the same.
func TestExchangeStatuses(t *testing.T) {
	inWorld(t, []string{"approve+readers-failed"}, func(s *Settings) { s.Unattended = true }, func(t *testing.T, w *world) {
		if d, err := w.term.Diagnose(t.Context()); err != nil || d.Blocked != payment.ReasonBlocked {
			t.Errorf("got %+v, %v", d, err)
		}
		if w.sim.ctrl.on || w.term.control {
			t.Error("the display is not given back")
		}
	})
	for _, method := range []string{"SetControlMode", "ExchangeStatuses"} {
		for what, refuse := range map[string]func() (int, error){
			"absent": func() (int, error) { return 0, bridge.ErrAbsent }, "not of the unattended kind": func() (int, error) { return 0, nil },
		} {
			inWorld(t, nil, func(s *Settings) { s.Unattended = true }, func(t *testing.T, w *world) {
				var asked string
				w.wrap = func(l bridge.Library) bridge.Library {
					return altered{Library: l, call: func(name string, _ []any) (int, bool, error) {
						if asked = name; name != method {
							return 0, false, nil
						}
						code, err := refuse()
						return code, true, err
					}, get: func(name string, v any) any {
						if n, ok := map[string]int64{"LastResult": resultError, "LastErrorCode": faultTerminal, "ResponseCode": codeGeneral}[name]; ok && asked == method {
							return n
						}
						return v
					}}
				}
				w.open()
				d, err := w.term.Diagnose(t.Context())
				if err != nil || d.Blocked != "" || !strings.HasPrefix(d.Facts["term_status"], "not told: ") || d.Facts["info"] == "" {
					t.Errorf("%s %s: got %+v, %v", method, what, d, err)
				}
				w.mustSell(100)
			})
		}
	}
}
