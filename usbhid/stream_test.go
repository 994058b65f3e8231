package usbhid

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// device is the far side of two bulk pipes. Each value sent to in is what one
// IN transfer brings; each value received from out is what one OUT transfer
// took, at most packet bytes of it.
type device struct {
	in     chan transfer
	out    chan []byte
	packet int

	onCancel transfer // what a cancelled IN transfer carries
	stuck    bool     // cancelled transfers do not come back until freed
	freed    chan struct{}
	released atomic.Bool
	asked    atomic.Int64 // IN transfers begun
}

type transfer struct {
	data []byte
	err  error
}

var errCancelled = errors.New("transfer was cancelled")

func newDevice() *device {
	return &device{in: make(chan transfer), out: make(chan []byte), packet: transferSize, freed: make(chan struct{})}
}

func (d *device) open() *Stream {
	return newStream("usb test", d, d, func() { d.released.Store(true) })
}

func (d *device) ReadContext(ctx context.Context, b []byte) (int, error) {
	d.asked.Add(1)
	select {
	case t := <-d.in:
		return copy(b, t.data), t.err
	case <-ctx.Done():
		if d.stuck {
			<-d.freed
		}
		return copy(b, d.onCancel.data), errCancelled
	}
}

func (d *device) WriteContext(ctx context.Context, b []byte) (int, error) {
	n := min(len(b), d.packet)
	select {
	case d.out <- bytes.Clone(b[:n]):
		return n, nil
	case <-ctx.Done():
		if d.stuck {
			<-d.freed
		}
		return 0, errCancelled
	}
}

func TestBytesPassBothWays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		d.packet = 64 // the device takes less than it is given
		s := d.open()
		sent := make([]byte, 3*ringSize+17) // round the rings a few times
		for i := range sent {
			sent[i] = byte(i * 7 >> 3)
		}
		var sides sync.WaitGroup
		sides.Go(func() {
			if n, err := s.Write(sent); n != len(sent) || err != nil {
				t.Errorf("write gave %d, %v", n, err)
			}
		})
		sides.Go(func() { // the device sends back what it gets
			for n := 0; n < len(sent); {
				b := <-d.out
				n += len(b)
				d.in <- transfer{data: b}
				d.in <- transfer{} // an empty packet is no end of file
			}
		})
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("read something else, %v", err)
		}
		sides.Wait()
		if err := s.Close(); err != nil || !d.released.Load() {
			t.Errorf("close: %v, device released: %v", err, d.released.Load())
		}
	})
}

func TestDeadlinesCancelNoTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		s := d.open()
		defer s.Close()
		b := make([]byte, 8)
		for range 3 {
			s.SetReadDeadline(time.Now().Add(time.Second))
			start := time.Now()
			if n, err := s.Read(b); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != time.Second {
				t.Errorf("read gave %d, %v after %v, want a deadline after 1s", n, err, time.Since(start))
			}
		}
		if n := d.asked.Load(); n != 1 {
			t.Errorf("%d transfers for three deadlines, want one that goes on", n)
		}
		d.in <- transfer{data: []byte("late")}
		synctest.Wait()
		if _, err := s.Read(b); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read after its deadline gave %v, want a deadline", err)
		}
		s.SetReadDeadline(time.Time{})
		if n, err := s.Read(b); err != nil || string(b[:n]) != "late" {
			t.Errorf("read gave %q, %v, want late", b[:n], err)
		}

		s.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := s.Write(make([]byte, 2*ringSize))
		if !errors.Is(err, os.ErrDeadlineExceeded) || n != ringSize+transferSize {
			t.Errorf("write gave %d, %v, want a full ring, one transfer and a deadline", n, err)
		}
		if len(<-d.out) != transferSize {
			t.Error("the transfer was cut short by the deadline")
		}

		// A deadline set while a call waits ends it.
		ended := make(chan error)
		go func() { _, err := s.Read(b); ended <- err }()
		synctest.Wait()
		s.SetReadDeadline(time.Now().Add(-1))
		if err := <-ended; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read gave %v, want a deadline", err)
		}
	})
}

// A full ring makes the device wait; nothing is asked for without room for a
// whole transfer, and so nothing that came is lost.
func TestInIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		s := d.open()
		defer s.Close()
		var sent []byte
		for full := false; !full; synctest.Wait() {
			some := bytes.Repeat([]byte{byte(len(sent) >> 8)}, transferSize-100)
			select {
			case d.in <- transfer{data: some}:
				sent = append(sent, some...)
			case <-time.After(time.Hour):
				full = true
			}
		}
		if len(sent) > ringSize || len(sent) <= ringSize-transferSize {
			t.Errorf("the device could send %d bytes that nobody reads, want about %d", len(sent), ringSize)
		}
		got := make([]byte, len(sent))
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, sent) {
			t.Errorf("read something else, %v", err)
		}
		d.in <- transfer{data: []byte("next")} // there is room again
	})
}

// What a transfer brought stays readable, even if the other direction failed
// while it ran.
func TestRingKeepsAfterItsEnd(t *testing.T) {
	r := newRing(8)
	gone := errors.New("gone")
	r.finish(gone)
	r.keep([]byte("last"))
	b := make([]byte, 8)
	if n, err := r.get(b); err != nil || string(b[:n]) != "last" {
		t.Errorf("got %q, %v, want last", b[:n], err)
	}
	if _, err := r.get(b); err != gone {
		t.Errorf("got %v, want the reason of the end", err)
	}
	if n, err := r.put([]byte("more")); n != 0 || err != gone {
		t.Errorf("put gave %d, %v, want the reason of the end", n, err)
	}
}

func TestUnplug(t *testing.T) {
	for _, side := range []string{"in", "out"} {
		t.Run(side, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDevice()
				s := d.open()
				gone := errors.New("libusb: no device")
				d.in <- transfer{data: []byte("heard ")}
				if side == "in" {
					d.in <- transfer{data: []byte("before"), err: gone}
				} else {
					d.packet = 0 // takes nothing any more
					d.in <- transfer{data: []byte("before")}
					s.Write([]byte("x"))
					<-d.out
				}
				synctest.Wait()
				if n, err := s.Write([]byte("x")); n != 0 || !errors.Is(err, ErrUnplugged) || errors.Is(err, os.ErrClosed) {
					t.Errorf("write gave %d, %v, want ErrUnplugged", n, err)
				}
				got := make([]byte, 12)
				if _, err := io.ReadFull(s, got); err != nil || string(got) != "heard before" {
					t.Errorf("read %q, %v, want what came before", got, err)
				}
				for range 2 {
					if n, err := s.Read(got); n != 0 || !errors.Is(err, ErrUnplugged) {
						t.Errorf("read gave %d, %v, want ErrUnplugged", n, err)
					}
				}
				if err := s.Close(); err != nil || !d.released.Load() {
					t.Errorf("close: %v, device released: %v", err, d.released.Load())
				}
				if _, err := s.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
					t.Errorf("write after close gave %v, want os.ErrClosed", err)
				}
			})
		})
	}
}

func TestCloseWakesBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		s := d.open()
		reading, writing := make(chan error, 1), make(chan error, 1)
		go func() { _, err := s.Read(make([]byte, 8)); reading <- err }()
		go func() { _, err := s.Write(make([]byte, 2*ringSize)); writing <- err }()
		synctest.Wait()
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		for _, err := range []error{<-reading, <-writing, s.SetReadDeadline(time.Time{}), s.SetWriteDeadline(time.Time{}), s.Close()} {
			if err != nil && !errors.Is(err, os.ErrClosed) {
				t.Errorf("got %v, want os.ErrClosed", err)
			}
		}
	})
}

// Only Close cancels, and then what the transfer had brought is not lost to
// the ring before the ring itself is: the pump puts it there.
func TestCancelledTransferKeepsItsBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		d.onCancel.data = []byte("tail")
		s := d.open()
		synctest.Wait()
		s.cancel() // as Close does, but the rings live
		if got, err := io.ReadAll(s); string(got) != "tail" || !errors.Is(err, ErrUnplugged) {
			t.Errorf("read %q, %v, want the bytes of the cancelled transfer", got, err)
		}
		s.Close()
	})
}

func TestStuckDeviceIsDeclaredLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		d.stuck = true
		s := d.open()
		synctest.Wait()
		start := time.Now()
		err := s.Close()
		if !errors.Is(err, ErrUnplugged) || time.Since(start) != CloseLimit {
			t.Errorf("close gave %v after %v, want ErrUnplugged after %v", err, time.Since(start), CloseLimit)
		}
		if again := s.Close(); again != err {
			t.Errorf("second close gave %v, want %v", again, err)
		}
		if d.released.Load() {
			t.Error("released while the stack has its buffers")
		}
		close(d.freed) // when the stack lets go
		synctest.Wait()
		if !d.released.Load() {
			t.Error("never released")
		}
	})
}

func TestLineCoding(t *testing.T) {
	for _, c := range []struct {
		line LineCoding
		want string
	}{
		{LineCoding{}, "\x00\xc2\x01\x00\x00\x00\x08"}, // 115200 8N1
		{LineCoding{Baud: 9600, DataBits: 7, Parity: 2, StopBits: 2}, "\x80\x25\x00\x00\x02\x02\x07"},
	} {
		if got := c.line.encode(); string(got) != c.want {
			t.Errorf("%+v is % x, want % x", c.line, got, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		o  Options
		ok bool
	}{
		{Options{}, false},
		{Options{Vendor: 1}, false},
		{Options{Serial: "1"}, false},
		{Options{Port: "1-1"}, true},
		{Options{Vendor: 1, Product: 2, Serial: "1"}, true},
		{Options{Port: "1-1", Line: LineCoding{DataBits: 9}}, false},
		{Options{Port: "1-1", Line: LineCoding{Parity: 5}}, false},
		{Options{Port: "1-1", Line: LineCoding{StopBits: 3}}, false},
	} {
		if err := c.o.check(); (err == nil) != c.ok {
			t.Errorf("%+v: %v", c.o, err)
		}
	}
	if _, err := Open(t.Context(), Options{Vendor: 0xffff, Product: 0xffff}); err == nil {
		t.Error("opened a device that nobody makes")
	}
}
