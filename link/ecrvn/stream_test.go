package ecrvn

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/link/stream"
)

// talk is a stream whose other end is in the hands of the test.
func talk(t *testing.T) (s serial, far net.Conn) {
	near, far := net.Pipe()
	s = newSerial(near, 500*time.Millisecond, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { s.Close(); far.Close() })
	return s, far
}

func say(id string) string {
	return fmt.Sprintf(`{"requestId":"%s","status":"DONE","command":"sale"}`, id)
}

// TestSlowLine: bytes that come slower than the idle gap make no answer, and
// the next good one is read.
func TestSlowLine(t *testing.T) {
	for name, c := range map[string]struct {
		send string
		pace time.Duration
		want string
	}{
		"one byte a second": {say("A"), time.Second, ""},
		"half an answer":    {say("A")[:20], 0, ""},
		"a slow answer":     {say("A"), 400 * time.Millisecond, "A"},
		"noise":             {strings.Repeat("\x00{", 5000), 0, ""},
		"a string too long": {`{"` + strings.Repeat("x", 3*maxAnswer), 0, ""},
		"not of this world": {`{"a":1}`, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, far := talk(t)
				if c.pace == 0 {
					far.Write([]byte(c.send))
				}
				for i := 0; c.pace > 0 && i < len(c.send); i++ {
					far.Write([]byte{c.send[i]})
					time.Sleep(c.pace)
				}
				time.Sleep(time.Second)
				far.Write([]byte(say("B")))
				synctest.Wait()
				got := ""
				for _, a := range s.Late() {
					got += a.requestID
				}
				if got != c.want+"B" {
					t.Errorf("got %q, want %q", got, c.want+"B")
				}
			})
		})
	}
}

// TestManyLate keeps the newest answers when nobody takes them.
func TestManyLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := talk(t)
		for i := range 3 * maxLate {
			far.Write([]byte(say(fmt.Sprint(i))))
		}
		synctest.Wait()
		all := s.Late()
		if len(all) != maxLate || all[maxLate-1].requestID != fmt.Sprint(3*maxLate-1) {
			t.Errorf("got %d, the last of them %+v", len(all), all[len(all)-1])
		}
	})
}

// TestAnswerBeforeTheEnd: an answer and then the end of the line is an answer.
func TestAnswerBeforeTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := talk(t)
		go func() {
			far.Read(make([]byte, 100))
			far.Write([]byte(say("A")))
			far.Close()
		}()
		sent, err := s.exchange(t.Context(), call{query: "x", within: time.Minute, take: func(a answer) bool { return a.requestID == "A" }})
		if !sent || err != nil {
			t.Errorf("got %v, %v", sent, err)
		}
		if sent, err := s.exchange(t.Context(), call{query: "x", within: time.Minute}); sent || err == nil {
			t.Errorf("after the end: got %v, %v", sent, err)
		}
	})
}

// TestSilence: an exchange ends in time, whatever others are answered.
func TestSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, far := talk(t)
		stop := make(chan struct{})
		defer close(stop)
		go func() {
			far.Read(make([]byte, 100))
			for {
				far.Write([]byte(say("OTHER")))
				select {
				case <-stop:
					return
				case <-time.After(time.Second):
				}
			}
		}()
		began := time.Now()
		sent, err := s.exchange(t.Context(), call{query: "x", within: time.Minute, take: func(a answer) bool { return false }})
		if !sent || !errors.Is(err, stream.ErrSilent) || time.Since(began) != time.Minute {
			t.Errorf("got %v, %v after %v", sent, err, time.Since(began))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if sent, err := s.exchange(ctx, call{query: "x"}); sent || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before: got %v, %v", sent, err)
		}
	})
}
