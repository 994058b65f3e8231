package stream

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// bytewise opens a stream whose messages are bytes.
func bytewise(room int) (s *Stream[byte], far net.Conn) {
	near, far := net.Pipe()
	near.SetReadDeadline(time.Unix(1, 0)) // of who had it before
	return Open(near, room, slog.New(slog.DiscardHandler), func(s *Stream[byte]) error {
		b := make([]byte, 1)
		for {
			if _, err := near.Read(b); err != nil {
				return err
			}
			s.Hand(b[0])
		}
	}), far
}

func bubble(t *testing.T, run func(t *testing.T, s *Stream[byte], far net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, far := bytewise(4)
		defer far.Close()
		defer s.Close()
		run(t, s, far)
	})
}

// TestLate keeps what came while nobody waited: the newest, in their order.
func TestLate(t *testing.T) {
	bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
		far.Write([]byte("abcdefg"))
		synctest.Wait()
		if got := string(s.Late()); got != "defg" {
			t.Errorf("got %q", got)
		}
		if got := s.Late(); got != nil {
			t.Errorf("taken twice: %q", got)
		}
	})
}

// TestWait ends for each of its reasons.
func TestWait(t *testing.T) {
	never := func(byte) bool { return false }
	t.Run("enough", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			far.Write([]byte("ab"))
			if err := s.Wait(t.Context(), time.Minute, func(b byte) bool { return b == 'b' }); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("silence", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			began := time.Now()
			if err := s.Wait(t.Context(), time.Minute, never); !errors.Is(err, ErrSilent) || time.Since(began) != time.Minute {
				t.Errorf("%v after %v", err, time.Since(began))
			}
		})
	})
	t.Run("cancelled", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := s.Wait(ctx, time.Minute, never); !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	})
	t.Run("the end, and what came before it", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			far.Write([]byte("xy"))
			far.Close()
			<-s.Done()
			if err := s.Wait(t.Context(), time.Minute, func(b byte) bool { return b == 'y' }); err != nil {
				t.Error("the last message is lost:", err)
			}
			if err := s.Wait(t.Context(), time.Minute, never); !errors.Is(err, io.EOF) || !errors.Is(s.Err(), io.EOF) {
				t.Errorf("%v, %v", err, s.Err())
			}
		})
	})
}

// TestWrite says whether a byte can have left.
func TestWrite(t *testing.T) {
	t.Run("all", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			go io.ReadFull(far, make([]byte, 3))
			if sent, err := s.Write(t.Context(), []byte("abc"), time.Second); !sent || err != nil {
				t.Error(sent, err)
			}
		})
	})
	t.Run("a part", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			go io.ReadFull(far, make([]byte, 1))
			if sent, err := s.Write(t.Context(), []byte("abc"), time.Second); !sent || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(sent, err)
			}
		})
	})
	t.Run("nothing", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			if sent, err := s.Write(t.Context(), []byte("abc"), time.Second); sent || err == nil {
				t.Error(sent, err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if sent, err := s.Write(ctx, []byte("abc"), time.Second); sent || !errors.Is(err, context.Canceled) {
				t.Error(sent, err)
			}
			far.Close()
			<-s.Done()
			if sent, err := s.Write(t.Context(), []byte("abc"), time.Second); sent || !errors.Is(err, io.EOF) {
				t.Error(sent, err)
			}
		})
	})
	t.Run("two at once do not mix", func(t *testing.T) {
		bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
			var wg sync.WaitGroup
			for _, text := range []string{"aaaa", "bbbb"} {
				wg.Go(func() {
					if _, err := s.Write(t.Context(), []byte(text), time.Second); err != nil {
						t.Error(err)
					}
				})
			}
			got := make([]byte, 8)
			for i := range got {
				if _, err := io.ReadFull(far, got[i:i+1]); err != nil {
					t.Fatal(err)
				}
			}
			wg.Wait()
			if string(got) != "aaaabbbb" && string(got) != "bbbbaaaa" {
				t.Errorf("got %q", got)
			}
		})
	})
}

// TestClose wakes who waits, and comes back although the connection does not end.
func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, s *Stream[byte], far net.Conn) {
		woken := make(chan error, 1)
		go func() { woken <- s.Wait(context.Background(), time.Hour, func(byte) bool { return false }) }()
		synctest.Wait()
		if err := errors.Join(s.Close(), s.Close()); err != nil {
			t.Error(err)
		}
		if err := <-woken; err == nil {
			t.Error("nobody is woken")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		stuck := make(chan struct{})
		s := Open(near, 1, slog.New(slog.DiscardHandler), func(*Stream[byte]) error { <-stuck; return io.EOF })
		synctest.Wait()
		began := time.Now()
		if s.Close(); time.Since(began) != closeTimeout {
			t.Errorf("closed after %v", time.Since(began))
		}
		close(stuck)
	})
}

// TestPatient waits for ever between messages, and not in the middle of one.
func TestPatient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer near.Close()
		defer far.Close()
		idle := time.Duration(0)
		r := Patient(near, func() time.Duration { return idle })
		go func() {
			time.Sleep(time.Hour)
			far.Write([]byte("a"))
			time.Sleep(time.Hour)
			far.Write([]byte("b"))
		}()
		b := make([]byte, 1)
		if _, err := r.Read(b); err != nil || b[0] != 'a' {
			t.Errorf("after an hour: %q, %v", b, err)
		}
		idle = time.Second
		if _, err := r.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("in the middle: %v", err)
		}
		idle = 0
		if _, err := r.Read(b); err != nil || b[0] != 'b' {
			t.Errorf("the deadline stays: %q, %v", b, err)
		}
	})
}
