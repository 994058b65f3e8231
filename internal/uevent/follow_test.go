package uevent

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

// A burst is told when it is over, and one that never ends is told of as well.
func TestFollow(t *testing.T) {
	const device = "/sys/class/mem/null/uevent"
	say := func() error { return os.WriteFile(device, []byte("change"), 0) }
	l, err := Listen()
	if err != nil {
		t.Skipf("this machine does not tell: %v", err)
	}
	if err := say(); err != nil {
		l.Close()
		t.Skipf("only root may ask for an event: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	told, ended := make(chan int), make(chan error, 1)
	go func() {
		ended <- l.Follow(ctx, 50*time.Millisecond, func(burst []Event, _ bool) {
			n := 0
			for _, e := range burst {
				if strings.HasSuffix(e.Path, "/mem/null") && e.Action == "change" {
					n++
				}
			}
			if n > 0 {
				told <- n
			}
		})
	}()
	limit := time.After(time.Minute)
	for n := 1; n > 0; { // what was said before anybody followed
		select {
		case k := <-told:
			n -= k
		case <-limit:
			t.Fatal("the burst is never told")
		}
	}
	// It goes on and on.
	for going := true; going; {
		if err := say(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-told:
			going = false
		case <-limit:
			t.Fatal("a burst that does not end is never told")
		case <-time.After(5 * time.Millisecond):
		}
	}
	go func() { // the last of them
		for range told {
		}
	}()
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Follow ends with %v", err)
	}
	close(told)
	if _, _, err := l.Next(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("afterwards Next gives %v, want os.ErrClosed", err)
	}
}
