package usbip

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
)

// maxPending bounds the URBs of one endpoint that wait. Drivers keep at most 16.
const maxPending = 256

// plug is a device that is plugged in.
//
//	cable ──► loop ──┬── control ─────────────────► answer
//	                 ├── out ──► queue ──► pumpOut ──► talk
//	                 └── in ───► queue ◄── pumpIn ◄─── talk
//
// A device that has nothing to say, or cannot take more, lets the URB wait;
// that is all the flow control there is on USB.
type plug struct {
	device *Device
	line   LineState // the loop's
	cable  net.Conn
	bytes  net.Conn // the device's side of the simulator's line

	mu      sync.Mutex // guards what follows, and writes to the cable
	waiting map[queue][]urb
	changed chan struct{} // closed, and replaced, at each change of waiting
}

// queue is where URBs wait: an endpoint in one direction.
type queue struct {
	endpoint uint32
	in       bool
}

// Serve is the device, plugged in at the other end of cable, until the cable
// ends, ctx ends, or talk does. talk is the terminal: it is given the pipe of
// bytes, which ends with the plug, and closes it to lose power. Serve closes
// the cable and returns after talk has; the error is nil however a plug may be
// pulled.
func (d *Device) Serve(ctx context.Context, cable net.Conn, talk func(context.Context, net.Conn) error) error {
	defer cable.Close()
	if err := d.check(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ours, its := net.Pipe()
	p := &plug{
		device: d, cable: cable, bytes: ours, line: LineState{Baud: 9600, DataBits: 8},
		waiting: map[queue][]urb{}, changed: make(chan struct{}),
	}
	pull := func() { cancel(); cable.Close(); ours.Close() }
	stop := context.AfterFunc(ctx, pull)
	defer stop()

	var parts sync.WaitGroup
	var talked error
	parts.Go(func() { defer pull(); talked = talk(ctx, its); its.Close() })
	parts.Go(func() { defer pull(); p.pumpOut(ctx) })
	parts.Go(func() { defer pull(); p.pumpIn(ctx) })
	err := p.loop()
	pull()
	parts.Wait()
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			err = nil
		}
	}
	return errors.Join(err, talked)
}

// loop reads URBs until the cable ends.
func (p *plug) loop() error {
	for {
		u, err := readURB(p.cable)
		if err != nil {
			return err
		}
		switch {
		case u.command == cmdUnlink:
			err = p.unlink(u)
		case u.endpoint == 0:
			err = p.answerControl(u)
		default:
			err = p.wait(u)
		}
		if err != nil {
			return err
		}
	}
}

func (p *plug) answerControl(u urb) error {
	b, ok := p.control(u.setup, u.data)
	switch {
	case !ok:
		return p.reply(u, statusStall, 0, nil)
	case !u.in:
		return p.reply(u, 0, u.length, nil)
	}
	b = b[:min(len(b), u.length)]
	return p.reply(u, 0, len(b), b)
}

func (p *plug) reply(u urb, status int32, actual int, data []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.write(answer(retSubmit, u.seq, status, actual, data))
}

// write is called with the lock held.
func (p *plug) write(b []byte) error {
	_, err := p.cable.Write(b)
	return err
}

func (p *plug) wait(u urb) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := queue{u.endpoint, u.in}
	if len(p.waiting[q]) >= maxPending {
		return errors.New("USB/IP: too many transfers wait on one endpoint")
	}
	p.waiting[q] = append(p.waiting[q], u)
	p.wake()
	return nil
}

// wake is called with the lock held.
func (p *plug) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// unlink ends a URB that still waits. One that was answered meanwhile stays so:
// the kernel has the answer already or finds it in front of this one.
func (p *plug) unlink(u urb) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var status int32
	for q, list := range p.waiting {
		if i := slices.IndexFunc(list, func(w urb) bool { return w.seq == u.victim }); i >= 0 {
			p.waiting[q] = slices.Delete(list, i, i+1)
			status = statusUnlinked
		}
	}
	return p.write(answer(retUnlink, u.seq, status, 0, nil))
}

// next waits for the first URB of a queue and returns it; it stays there.
func (p *plug) next(ctx context.Context, q queue) (urb, bool) {
	for {
		p.mu.Lock()
		changed := p.changed
		if list := p.waiting[q]; len(list) > 0 {
			p.mu.Unlock()
			return list[0], true
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
			return urb{}, false
		case <-changed:
		}
	}
}

// complete answers a URB that waits; it is false if it was unlinked meanwhile.
func (p *plug) complete(q queue, u urb, actual int, data []byte) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.IndexFunc(p.waiting[q], func(w urb) bool { return w.seq == u.seq })
	if i < 0 {
		return false, nil
	}
	p.waiting[q] = slices.Delete(p.waiting[q], i, i+1)
	return true, p.write(answer(retSubmit, u.seq, 0, actual, data))
}

func (p *plug) before(d Direction, b []byte) {
	if p.device.Before != nil {
		p.device.Before(d, b)
	}
}

// pumpOut carries what the host sends to the terminal. A transfer is taken
// before it is answered: it cannot be unlinked any more.
func (p *plug) pumpOut(ctx context.Context) {
	q := queue{dataEndpoint, false}
	for {
		u, ok := p.next(ctx, q)
		if !ok {
			return
		}
		data := u.data
		if p.device.Kind == HID {
			data = unpack(data)
		}
		p.before(Out, data)
		if ok, err := p.complete(q, u, u.length, nil); err != nil {
			return
		} else if !ok {
			continue
		}
		if len(data) > 0 {
			if _, err := p.bytes.Write(data); err != nil {
				return
			}
		}
	}
}

// pumpIn carries what the terminal says to the host, a packet at a time. A full
// packet, too, ends the transfer of a host that asked for more, as if an empty
// one followed it.
func (p *plug) pumpIn(ctx context.Context) {
	q := queue{dataEndpoint, true}
	buf := make([]byte, p.device.packet())
	if p.device.Kind == HID {
		buf = buf[:hidReport-1]
	}
	for {
		n, err := p.bytes.Read(buf)
		if err != nil {
			return
		}
		data := buf[:n]
		p.before(In, data)
		if p.device.Kind == HID {
			data = pack(data)
		}
		if !p.give(ctx, q, data) {
			return
		}
	}
}

// give answers the next URB with a packet.
func (p *plug) give(ctx context.Context, q queue, data []byte) bool {
	for {
		u, ok := p.next(ctx, q)
		if !ok {
			return false
		}
		n := min(len(data), u.length) // more than was asked for is lost, as on a wire
		if ok, err := p.complete(q, u, n, data[:n]); err != nil {
			return false
		} else if ok {
			return true
		}
	}
}

// A HID report, both ways:
//
//	count   data           zeros
//	0..63   count bytes    to 64
func pack(b []byte) []byte {
	r := make([]byte, hidReport)
	r[0] = byte(copy(r[1:], b))
	return r
}

func unpack(r []byte) []byte {
	if len(r) == 0 || int(r[0]) >= len(r) {
		return nil
	}
	return r[1 : 1+r[0]]
}
