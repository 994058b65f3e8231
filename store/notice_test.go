package store

import (
	"fmt"
	"testing"
	"time"

	"tillgate/internal/payment"
)

// What began with a notice is found by its id, told once, and is no payment:
// no walk has it. That holds over a restart, a roll-over, and when its segment
// has expired.
func TestNoticeIsKnownForEver(t *testing.T) {
	s := newBox(t, func(o *Options) { o.MaxSegments = 3 })
	id := payment.External("bank", "T1")
	step := func(key string) payment.Step {
		n := payment.Notice{From: "bank", Key: key, Transaction: "T1", Operation: payment.Purchase, Outcome: payment.Outcome{Result: payment.Approved, Amount: payment.Money{Minor: 1, Currency: "VND"}}}
		return payment.Step{Kind: payment.StepNotified, ID: id, At: s.now, Notice: &n}
	}
	if err := s.Append([]payment.Step{step("1")}, nil); err != nil {
		t.Fatal(err)
	}
	again := func(when string) {
		t.Helper()
		if err := s.Append([]payment.Step{step("1")}, nil); payment.ReasonOf(err) != payment.ReasonConflict {
			t.Errorf("%s: told again: %v", when, err)
		}
		rec, err := s.Find(id)
		if err != nil || rec.State != payment.StateExternal || len(rec.Notices) == 0 {
			t.Errorf("%s: %+v %v", when, rec, err)
		}
		open, err := s.Open()
		if err != nil || len(open) != 0 {
			t.Errorf("%s: open: %v %v", when, open, err)
		}
		for rec, err := range s.Since(time.Time{}) {
			if err != nil || rec.State == payment.StateExternal {
				t.Errorf("%s: a walk has %s: %v", when, rec.ID, err)
			}
		}
	}
	again("at once")
	s.reopen()
	again("after a restart")
	roll := func(segments int) {
		t.Helper()
		s.sellUntil(fmt.Sprintf("p%d-", segments), s.active.number+uint64(segments))
	}
	roll(1)
	again("after a roll-over")
	if err := s.Append([]payment.Step{step("2")}, nil); err != nil { // carried over
		t.Fatal(err)
	}
	s.reopen()
	again("carried over")
	if r, err := s.Verify(t.Context()); err != nil || !r.OK() {
		t.Errorf("verify: %+v %v", r, err)
	}
	roll(4)
	if _, err := s.Find(id); payment.ReasonOf(err) != payment.ReasonExpired {
		t.Errorf("of an expired segment: %v", err)
	}
	if err := s.Append([]payment.Step{step("1")}, nil); payment.ReasonOf(err) != payment.ReasonExpired {
		t.Errorf("told again after its segment expired: %v", err)
	}
}
