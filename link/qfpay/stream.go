package qfpay

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tillgate/link"
)

// event is a message that has arrived.
type event struct {
	message
	answer answer
	err    error // of reading the answer
}

// stream is a terminal behind packets on a byte stream. A goroutine reads all
// the time: it acknowledges the terminal's own packets within their second, and
// has late answers in hand before the next request is sent.
type stream struct {
	conn    link.Conn
	profile *atomic.Pointer[profile]
	log     *slog.Logger
	events  chan event    // only the pump sends
	done    chan struct{} // closed when the pump has ended
	err     error         // why it ended; valid once done is closed

	writing chan struct{} // holds one value while a packet is written, so that packets do not mix
	number  byte          // of the last packet sent

	closing  sync.Once
	closeErr error
}

// newStream begins its numbers anywhere: an answer to a packet of the
// connection before is then unlikely to be taken for one of this.
func newStream(conn link.Conn, p *atomic.Pointer[profile], log *slog.Logger) *stream {
	s := &stream{conn: conn, profile: p, log: log, events: make(chan event, maxWaiting), done: make(chan struct{}), writing: make(chan struct{}, 1), number: byte(rand.IntN(maxNumber))}
	go s.pump()
	return s
}

// pump reads until the connection ends. When the line is silent for part_gap in
// the middle of something, that is given up.
func (s *stream) pump() {
	defer close(s.done)
	in, parts, last := newScanner(), &merger{}, [32]byte{}
	limited := true // whether a deadline is set; the connection may come with one
	for {
		var until time.Time
		middle := in.pending() || parts.collecting()
		if middle {
			until = time.Now().Add(s.profile.Load().settings.PartGap)
		}
		if middle || limited {
			if err := s.conn.SetReadDeadline(until); err != nil {
				s.err = err
				return
			}
			limited = middle
		}
		n, err := s.conn.Read(in.space())
		in.filled(n)
		gap := errors.Is(err, os.ErrDeadlineExceeded)
		s.take(in, parts, &last, gap)
		if gap && n == 0 && parts.collecting() {
			s.log.Warn("half a message dropped", "number", parts.number)
			parts.drop()
		}
		if err != nil && !gap {
			s.err = err
			return
		}
	}
}

// take handles every packet that is there. After a gap nothing is on its way:
// what waits for its rest will never have it.
func (s *stream) take(in *scanner, parts *merger, last *[32]byte, gap bool) {
	noise := 0
	for {
		p, v, n := in.next()
		noise += n
		switch {
		case v == isPacket:
			s.hear(p, parts, last)
		case v == isBroken:
			noise += overhead
			if p.kind == kindRequest {
				s.reply(errFormat, p.number)
			}
		case gap && in.pending():
			in.skip()
			noise++
		default:
			if noise > 0 {
				s.log.Warn("bytes from the terminal dropped", "bytes", noise)
			}
			return
		}
	}
}

// hear handles one packet. A request of the terminal is answered here; one that
// comes again, since our acknowledgement was lost, is acknowledged again and
// not delivered twice.
func (s *stream) hear(p packet, parts *merger, last *[32]byte) {
	m, complete, refused := parts.add(p)
	if refused != 0 {
		s.reply(refused, p.number)
	}
	if !complete {
		return
	}
	e := event{message: m}
	if len(m.data) > 0 && m.kind != kindError {
		e.answer, e.err = s.profile.Load().read(m.data)
		if e.err != nil {
			s.log.Warn("message from the terminal cannot be read", "bytes", len(m.data), "err", e.err)
		}
	}
	e.data = nil // raw bytes stay here
	e.empty = len(m.data) == 0
	if m.kind != kindRequest {
		s.deliver(e)
		return
	}
	sum := sha256.Sum256(append([]byte{m.number}, m.data...))
	switch {
	case sum == *last:
		s.reply(kindAnswer, m.number)
	case e.empty:
		s.reply(errContent, m.number)
	case errors.Is(e.err, errCipher):
		s.reply(errDecrypt, m.number)
	case e.err != nil:
		s.reply(errContent, m.number)
	default:
		*last = sum
		s.reply(kindAnswer, m.number)
		s.deliver(e)
	}
}

func (s *stream) reply(kind, number byte) {
	b := packet{kind: kind, number: number}.append(nil)
	if _, err := s.write(b, time.Second); err != nil {
		s.log.Debug("packet not answered", "number", number, "err", err)
	}
}

func (s *stream) write(b []byte, within time.Duration) (int, error) {
	s.writing <- struct{}{}
	defer func() { <-s.writing }()
	if err := s.conn.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return 0, err
	}
	return s.conn.Write(b)
}

func (s *stream) deliver(e event) {
	for {
		select {
		case s.events <- e:
			return
		default:
		}
		select { // full: the terminal talks to nobody, and the newest matter
		case <-s.events:
			s.log.Warn("late message dropped, too many wait")
		default:
		}
	}
}

func (s *stream) waiting() []answer {
	var all []answer
	for {
		select {
		case e := <-s.events:
			if !e.empty && e.err == nil && e.kind != kindError {
				all = append(all, e.answer)
			}
		default:
			return all
		}
	}
}

// send writes one request, once.
func (s *stream) send(c content) (number byte, ack time.Duration, sent bool, err error) {
	p := s.profile.Load()
	text := p.render(c)
	if len(text) > maxMessage {
		return 0, 0, false, errors.New("the request is longer than a message can be")
	}
	s.number = s.number%maxNumber + 1
	b := split(nil, kindRequest, s.number, text, p.settings.PartSize)
	took := time.Duration(len(b)+overhead) * byteTime
	n, err := s.write(b, writeTimeout+took)
	return s.number, p.settings.AckTimeout + took, n > 0, err
}

func (s *stream) close() error {
	s.closing.Do(func() {
		s.closeErr = s.conn.Close()
		select {
		case <-s.done:
		case <-time.After(closeTimeout):
			s.log.Error("the connection does not end when it is closed")
		}
	})
	return s.closeErr
}

func (s *stream) exchange(ctx context.Context, c call) (sent bool, err error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	select {
	case <-s.done:
		return false, s.err
	default:
	}
	number, ack, sent, err := s.send(c.content)
	if err != nil {
		return sent, err
	}
	if c.wrote != nil {
		c.wrote()
	}
	w := &wait{stream: s, call: c, number: number}
	return true, w.run(ctx, ack)
}
