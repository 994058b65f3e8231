package crashtest

import (
	"fmt"
	"iter"
	"os"
	"strings"
	"testing"
	"time"
)

// scene is a story with what the terminal does about each money command of it.
type scene struct {
	story  story
	script []string
}

// scenes: in most the terminal can prove in the end what became of the payment;
// the doubt stories end with a person.
func scenes() []scene {
	var out []scene
	for _, behaviour := range []string{"swapped", "batch-closed", "hand-sale", "hand-after", "lost-answer+no-inner-ids", "wrong-amount"} {
		out = append(out, scene{doubtStory, []string{behaviour, "approve"}})
	}
	for _, behaviour := range []string{
		"approve", "decline:51", "cancel", "cancel-charged", "charged:08", "charged:", "lost-answer", "half-answer", "garbage",
		"reboot", "reboot-before", "mute", "busy", "late-approval", "late-approval:2", "late-approval:3", "late-approval:5s", "late-approval:25s", "approve+echo", "approve+linebreaks",
	} {
		out = append(out, scene{saleStory, []string{behaviour, "approve"}})
	}
	for _, s := range []story{vendStory, rollbackStory, deadlineStory, reverseStory} {
		out = append(out, scene{s, []string{"approve"}}, scene{s, []string{"lost-answer", "approve"}})
	}
	return append(out,
		scene{rollbackStory, []string{"approve", "lost-answer", "approve"}},
		scene{rollbackStory, []string{"approve", "reboot-before", "approve"}},
		scene{reverseStory, []string{"approve", "half-answer", "approve"}},
	)
}

// moments are before, in and after what a customer does: 200 ms for the card,
// the PIN and the bank each.
var moments = []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second, 12 * time.Second}

// cell is what one combination found.
type cell struct {
	name       string
	violations []string
}

// matrix plays every scene unbroken; then cut at every durable write; then with
// a disk that fails at every durable write, once and for twenty seconds; then
// with the cable pulled and the process killed while the terminal is busy; then
// with a line that breaks at every operation, before and after it took place.
// quick takes only each sixth write and operation.
func matrix(t *testing.T, mut mutation, quick bool) iter.Seq[cell] {
	return func(yield func(cell) bool) {
		stride := 1
		if quick {
			stride = 6
		}
		for i, sc := range scenes() {
			first := 1 + i%stride // so that all scenes together meet every place
			name := sc.story.name + " " + strings.Join(sc.script, ",")
			found, writes, operations := play(t, sc.story, sc.script, mut, nil)
			if !yield(cell{name, found}) {
				return
			}
			for n := first; n <= writes; n += stride {
				found, _, _ := play(t, sc.story, sc.script, mut, func(b *box) { b.countdown = n })
				if !yield(cell{fmt.Sprintf("%s, cut at write %d", name, n), found}) {
					return
				}
				for _, sick := range []time.Duration{0, 20 * time.Second} {
					found, _, _ := play(t, sc.story, sc.script, mut, func(b *box) { b.sickAt, b.sickFor = n, sick })
					if !yield(cell{fmt.Sprintf("%s, disk broken for %v at write %d", name, sick, n), found}) {
						return
					}
				}
			}
			for _, after := range moments {
				found, _, _ := play(t, sc.story, sc.script, mut, func(b *box) { b.later(after, b.unplug) })
				if !yield(cell{fmt.Sprintf("%s, cable pulled after %v", name, after), found}) {
					return
				}
				found, _, _ = play(t, sc.story, sc.script, mut, func(b *box) { b.later(after, b.kill) })
				if !yield(cell{fmt.Sprintf("%s, killed after %v", name, after), found}) {
					return
				}
			}
			for n := first; n <= operations; n += stride {
				for _, after := range []bool{false, true} {
					found, _, _ := play(t, sc.story, sc.script, mut, func(b *box) { b.line.at, b.line.after = n, after })
					if !yield(cell{fmt.Sprintf("%s, line broken at operation %d (after %v)", name, n, after), found}) {
						return
					}
				}
			}
		}
	}
}

// TestCrashMatrix is the promise: whatever is cut, wherever. The whole of it
// runs with CRASH=all (make crash); the normal run takes each sixth write and operation.
func TestCrashMatrix(t *testing.T) {
	t.Parallel()
	cells := 0
	for c := range matrix(t, mutation{}, os.Getenv("CRASH") != "all") {
		cells++
		for _, v := range c.violations {
			t.Errorf("%s: %s", c.name, v)
		}
	}
	t.Logf("%d cells", cells)
}

// A clock that is ten years off after the restart changes nothing.
func TestClockOff(t *testing.T) {
	for _, years := range []int{-10, 10} {
		_, writes, _ := play(t, saleStory, []string{"lost-answer"}, mutation{}, nil)
		for n := 1; n <= writes; n++ {
			found, _, _ := play(t, saleStory, []string{"lost-answer"}, mutation{}, func(b *box) {
				b.countdown = n
				b.skew = time.Duration(years) * 365 * 24 * time.Hour
			})
			for _, v := range found {
				t.Errorf("%d years off, cut at write %d: %s", years, n, v)
			}
		}
	}
}
