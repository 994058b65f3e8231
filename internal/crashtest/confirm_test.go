package crashtest

import (
	"testing"
	"time"
)

// A reversal whose approval the journal took, although it said that it did not:
// it is neither refunded beside it, nor written down again and again.
func TestDiskAtReversal(t *testing.T) {
	for n := 6; n <= 16; n++ {
		found, _, _ := play(t, onBPOS(), scene{deadlineStory, []string{"approve"}}, mutation{}, func(b *box) { b.sickAt, b.sickFor = n, 20*time.Second })
		for _, v := range found {
			t.Errorf("disk broken at write %d: %s", n, v)
		}
	}
}
