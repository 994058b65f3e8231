package tmaster

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/link"
)

// TestRandom has a terminal do whatever there is to do in any order, with power
// cuts, and looks at its books after each step: nothing goes back that was not
// charged, or twice, and nothing that was taken back stays with the shop longer
// than until the batch is closed.
func TestRandom(t *testing.T) {
	script := []string{
		"approve", "decline:51", "cancel", "ended", "taken-back", "taken-back:1002+pending", "approve+pending", "partial:7", "no-cash", "wrong-amount", "signature",
		"charged:", "lost-answer", "reboot", "mute", "hand-sale", "hand-after", "late-approval", "late-approval:5s", "batch-closed", "swapped", "full", "busy",
		"confirm-lost", "confirm-mute", "approve+continue", "approve+discount", "approve+slow:2s", "approve",
	}
	dir := t.TempDir()
	for seed := range uint64(5) {
		synctest.Test(t, func(t *testing.T) {
			dice := rand.New(rand.NewPCG(seed, 1))
			c := Config{SimulatorConfig: link.SimulatorConfig{Ledger: filepath.Join(dir, fmt.Sprint(seed)), Script: script}, ConfirmWithin: 30 * time.Second, Batch: 12}
			dice.Shuffle(len(script), func(i, j int) { script[i], script[j] = script[j], script[i] })
			r := newRig(t, c)
			for step := range 120 {
				r = r.anything(dice, c)
				r.audit(seed, step)
			}
			r.Close()
		})
	}
}

// anything does one thing.
func (r *rig) anything(dice *rand.Rand, c Config) *rig {
	invoice, rrn := 0, ""
	if slips := r.Slips(); len(slips) > 0 {
		s := slips[dice.IntN(len(slips))]
		invoice, rrn = s.Invoice, s.RRN
	}
	minor := 1 + dice.Int64N(300)
	all := []Command{
		buy(minor), buy(minor), {Operation: Purchase, Amount: minor, Cash: 50}, {Operation: Purchase, Amount: minor, Discount: minor / 3},
		{Operation: Refund, Amount: minor, RRN: rrn}, {Operation: Void, Invoice: invoice}, {Operation: VoidPartly, Invoice: invoice, Amount: minor},
		{Operation: Preauthorization, Amount: minor}, {Operation: Completion, Amount: minor, RRN: rrn}, {Operation: Service, Amount: minor}, {Operation: Balance},
		{Operation: CashAdvance, Amount: minor}, {Operation: Deposit, Amount: minor}, {Operation: Settlement},
	}
	r.Begin(all[dice.IntN(len(all))], nil)
	switch dice.IntN(8) {
	case 0, 1, 2, 3:
		synctest.Wait()
		r.Confirm()
	case 4:
		r.Cancel()
	case 5:
		time.Sleep(time.Duration(dice.IntN(60)) * time.Second)
	case 6:
		r.Close()
		return newRig(r.t, c, c.Script...)
	}
	synctest.Wait()
	r.Press(dice.IntN(2) == 0)
	r.Correct(minor, minor/2)
	return r
}

// audit looks at the books.
func (r *rig) audit(seed uint64, step int) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	st := r.state
	if err := st.Check(); err != nil {
		r.t.Fatalf("seed %d, step %d: %v", seed, step, err)
	}
	for i, l := range st.Lines {
		e := st.Entries[i]
		if l.Back < 0 || l.Back > e.Amount.Minor || !e.Charged || e.Amount.Minor <= 0 || l.Pending && (e.Reversed || l.Back > 0) || l.Back == e.Amount.Minor && !e.Reversed {
			r.t.Fatalf("seed %d, step %d: entry %d: %+v %+v", seed, step, i, e, l)
		}
	}
	for i, s := range st.Slips {
		if s.Left < 0 || s.Left > s.Amount || s.Entry >= 0 && s.Status == StatusCanceled && !st.Lines[s.Entry].Pending {
			r.t.Fatalf("seed %d, step %d: receipt %d: %+v", seed, step, i, s)
		}
	}
	if len(st.Slips) == 0 {
		for i, l := range st.Lines {
			if l.Pending && st.Unit == 0 {
				r.t.Fatalf("seed %d, step %d: entry %d is pending in an empty batch", seed, step, i)
			}
		}
	}
}
