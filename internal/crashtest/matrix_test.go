package crashtest

import (
	"fmt"
	"iter"
	"os"
	"strconv"
	"testing"
	"time"
)

// moments are before, in and after what a customer does: 200 ms for the card,
// the PIN and the bank each.
var moments = []time.Duration{50 * time.Millisecond, 300 * time.Millisecond, 700 * time.Millisecond, 3 * time.Second, 12 * time.Second}

// cell is what one combination found.
type cell struct {
	name       string
	violations []string
}

// sample is which of the cells are played: so many breaks of each scene, evenly
// spread, and others at each offset; all if breaks is 0. Scenes are always played
// unbroken.
type sample struct{ breaks, offset int }

// has says whether the i-th of n breaks is played.
func (s sample) has(i, n int) bool {
	if s.breaks == 0 || n <= s.breaks {
		return true
	}
	step := (n + s.breaks - 1) / s.breaks
	return i%step == s.offset%step
}

// matrix plays every scene of a subject unbroken; then cut at every durable
// write; then with a disk that fails at every durable write, once and for twenty
// seconds; then with the cable pulled and the process killed while the terminal
// is busy; then with a line that breaks at every operation, before and after it
// took place.
func matrix(t *testing.T, on subject, mut mutation, of sample) iter.Seq[cell] {
	return func(yield func(cell) bool) {
		for _, sc := range on.scenes() {
			found, writes, operations := play(t, on, sc, mut, nil)
			if !yield(cell{sc.String(), found}) {
				return
			}
			all := breaks(writes, operations)
			for i, br := range all {
				if !of.has(i, len(all)) {
					continue
				}
				found, _, _ := play(t, on, sc, mut, br.prepare)
				if !yield(cell{sc.String() + ", " + br.name, found}) {
					return
				}
			}
		}
	}
}

// manyOperations is where a scene goes on with nothing but the same question again
// and again, until the payment must be over: from here each tenth stands for all.
const manyOperations = 200

type breakage struct {
	name    string
	prepare func(*box)
}

// breaks lists all places at which a scene can break.
func breaks(writes, operations int) (all []breakage) {
	add := func(prepare func(*box), format string, a ...any) {
		all = append(all, breakage{fmt.Sprintf(format, a...), prepare})
	}
	for n := 1; n <= writes; n++ {
		add(func(b *box) { b.countdown = n }, "cut at write %d", n)
		for _, sick := range []time.Duration{0, 20 * time.Second} {
			add(func(b *box) { b.sickAt, b.sickFor = n, sick }, "disk broken for %v at write %d", sick, n)
		}
	}
	for _, after := range moments {
		add(func(b *box) { b.later(after, b.unplug) }, "cable pulled after %v", after)
		add(func(b *box) { b.later(after, b.kill) }, "killed after %v", after)
	}
	for n := 1; n <= operations; n++ {
		if n > manyOperations && n%10 != 0 {
			continue
		}
		for _, after := range []bool{false, true} {
			add(func(b *box) { b.line.at, b.line.after = n, after }, "line broken at operation %d (after %v)", n, after)
		}
	}
	return all
}

// How many breaks of each scene a normal run plays, and the search for a planted
// fault.
const (
	quickBreaks    = 3
	mutationBreaks = 40
)

func everything() bool { return os.Getenv("CRASH") == "all" }

// offset moves the sample from run to run: it is the minute, unless CRASH_OFFSET
// repeats a run's.
func offset(t *testing.T) int {
	text := os.Getenv("CRASH_OFFSET")
	if text == "" {
		return int(time.Now().Unix() / 60 % 100_000)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		t.Fatalf("CRASH_OFFSET=%s is no number from 0 on", text)
	}
	return n
}

// TestCrashMatrix is the promise: whatever is cut, wherever, on every driver.
// The whole of it runs with CRASH=all (make crash); a normal run plays every
// scene unbroken and a share of the breaks, another one each time; with -short,
// which is for the race detector, one break of each.
func TestCrashMatrix(t *testing.T) {
	of := sample{quickBreaks, offset(t)}
	if testing.Short() {
		of.breaks = 1
	}
	if everything() {
		of = sample{}
	}
	for _, on := range subjects() {
		t.Run(on.name, func(t *testing.T) {
			t.Parallel()
			cells := 0
			for c := range matrix(t, on, mutation{}, of) {
				cells++
				for _, v := range c.violations {
					t.Errorf("%s: %s", c.name, v)
				}
			}
			share := "every place"
			if of.breaks > 0 {
				share = fmt.Sprintf("%d places each; CRASH_OFFSET=%d repeats it, CRASH=all takes all", of.breaks, of.offset)
			}
			t.Logf("%d cells: every scene unbroken, and broken at %s", cells, share)
		})
	}
}

// A clock that is ten years off after the restart changes nothing.
func TestClockOff(t *testing.T) {
	on := onECRVN()
	sc := scene{saleStory, []string{on.lost}}
	for _, years := range []int{-10, 10} {
		_, writes, _ := play(t, on, sc, mutation{}, nil)
		for n := 1; n <= writes; n++ {
			found, _, _ := play(t, on, sc, mutation{}, func(b *box) {
				b.countdown = n
				b.skew = time.Duration(years) * 365 * 24 * time.Hour
			})
			for _, v := range found {
				t.Errorf("%d years off, cut at write %d: %s", years, n, v)
			}
		}
	}
}
