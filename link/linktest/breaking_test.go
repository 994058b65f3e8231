package linktest

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"
)

// TestBreakAt breaks at each byte in turn: what stands before it goes through.
func TestBreakAt(t *testing.T) {
	const text = "0123456789"
	for n := range len(text) + 2 {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			go func() { theirs.Write([]byte(text)); theirs.Close() }()
			b := BreakAt(ours, n, CutRead)
			got, err := io.ReadAll(b)
			if want := min(n, len(text)); string(got) != text[:want] || (n <= len(text)) != errors.Is(err, ErrBroken) {
				t.Errorf("read, broken at %d: got %q, %v", n, got, err)
			}
			if _, err := b.Write([]byte("x")); err == nil {
				t.Errorf("broken at %d: a write afterwards has no error", n)
			}
			b.Close()
		})
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			var arrived bytes.Buffer
			done := make(chan struct{})
			go func() { defer close(done); io.Copy(&arrived, theirs) }()
			b := BreakAt(ours, n, CutWrite)
			wrote, err := b.Write([]byte(text))
			b.Close()
			<-done
			if want := min(n, len(text)); wrote != want || arrived.String() != text[:want] || (n < len(text)) != errors.Is(err, ErrBroken) {
				t.Errorf("write, broken at %d: got %d, %v, and %q arrived", n, wrote, err, arrived.String())
			}
		})
	}
}

// TestUnplug pulls the cable while somebody reads: nobody notices, deadlines
// and Close go on working.
func TestUnplug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		b := BreakAt(ours, 3, Unplug)
		var arrived bytes.Buffer
		done := make(chan struct{})
		go func() { defer close(done); io.Copy(&arrived, theirs) }()
		read := make(chan error)
		go func() {
			_, err := b.Read(make([]byte, 1))
			read <- err
		}()
		b.SetReadDeadline(time.Now().Add(time.Minute))
		synctest.Wait()
		if n, err := b.Write([]byte("0123456789")); n != 10 || err != nil {
			t.Errorf("write: got %d, %v", n, err)
		}
		if <-done; arrived.String() != "012" || !b.Reached() {
			t.Errorf("%q arrived, reached %v", arrived.String(), b.Reached())
		}
		if n, err := b.Write([]byte("more")); n != 4 || err != nil {
			t.Errorf("second write: got %d, %v", n, err)
		}
		began := time.Now()
		if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("read: got %v after %v", err, time.Since(began))
		}
		b.SetReadDeadline(time.Time{})
		go func() {
			_, err := b.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		b.Close()
		if err := <-read; err == nil {
			t.Error("a read that Close woke has no error")
		}
		if r, w := b.Bytes(); r != 0 || w != 14 {
			t.Errorf("bytes: got %d and %d", r, w)
		}
	})
}

// TestStall takes three bytes and then no more.
func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		b := BreakAt(ours, 3, Stall)
		var arrived bytes.Buffer
		done := make(chan struct{})
		go func() { defer close(done); io.Copy(&arrived, theirs) }()
		b.SetWriteDeadline(time.Now().Add(time.Minute))
		began := time.Now()
		if n, err := b.Write([]byte("0123456789")); n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(began) != time.Minute {
			t.Errorf("write: got %d, %v after %v", n, err, time.Since(began))
		}
		if <-done; arrived.String() != "012" {
			t.Errorf("%q arrived", arrived.String())
		}
		b.SetWriteDeadline(time.Time{})
		wrote := make(chan error)
		go func() {
			_, err := b.Write([]byte("x"))
			wrote <- err
		}()
		synctest.Wait()
		b.Close()
		if err := <-wrote; err == nil {
			t.Error("a write that Close woke has no error")
		}
	})
}
