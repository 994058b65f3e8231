package notify

import (
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// Connections beyond the burst are begun at the agreed pace, a rest earns a new
// burst and no more, and whoever waits is woken by Close.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		b := newBounded(l, 1, 0, nil)
		b.every, b.burst = 40*time.Millisecond, 4*time.Second
		count := func(within time.Duration) (n int) {
			for until := time.Now().Add(within); ; n++ {
				if !b.pace() {
					t.Fatal("closed")
				}
				if time.Now().After(until) {
					return n
				}
			}
		}
		for range 2 {
			if n := count(10 * time.Second); n < 345 || n > 355 { // 100 at once, and 25 in each of ten seconds
				t.Errorf("%d connections in ten seconds", n)
			}
			time.Sleep(time.Hour)
		}
		count(5 * time.Second)
		woken := make(chan bool, 1)
		go func() { woken <- b.pace() }()
		b.Close()
		if <-woken {
			t.Error("a closed listener begins a connection")
		}
	})
}
