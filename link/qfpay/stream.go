package qfpay

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

// event is a message that has arrived.
type event struct {
	message
	answer answer
	err    error // of reading the answer
}

// serial is a terminal behind packets on a byte stream. Its reader acknowledges
// the terminal's own packets within their second.
type serial struct {
	*stream.Stream[event]
	profile *atomic.Pointer[profile]
	log     *slog.Logger
	number  byte // of the last packet sent
}

// newSerial begins its numbers anywhere: an answer to a packet of the
// connection before is then unlikely to be taken for one of this.
func newSerial(conn link.Conn, p *atomic.Pointer[profile], log *slog.Logger) *serial {
	s := &serial{profile: p, log: log, number: byte(rand.IntN(maxNumber))}
	s.Stream = stream.Open(conn, maxWaiting, log, func(in *stream.Stream[event]) error {
		return (&ear{Stream: in, profile: p, log: log}).listen(conn)
	})
	return s
}

// waiting are the answers that came while nobody waited for them.
func (s *serial) waiting() (all []answer) {
	for _, e := range s.Late() {
		if !e.empty && e.err == nil && e.kind != kindError {
			all = append(all, e.answer)
		}
	}
	return all
}

// send writes one request, once.
func (s *serial) send(ctx context.Context, c content) (number byte, ack time.Duration, sent bool, err error) {
	p := s.profile.Load()
	text := p.render(c)
	if len(text) > maxMessage {
		return 0, 0, false, errors.New("the request is longer than a message can be")
	}
	s.number = s.number%maxNumber + 1
	b := split(nil, kindRequest, s.number, text, p.settings.PartSize)
	took := time.Duration(len(b)+overhead) * byteTime
	sent, err = s.Write(ctx, b, stream.WriteTimeout+took)
	return s.number, p.settings.AckTimeout + took, sent, err
}

func (s *serial) exchange(ctx context.Context, c call) (sent bool, err error) {
	number, ack, sent, err := s.send(ctx, c.content)
	if err != nil {
		return sent, err
	}
	if c.wrote != nil {
		c.wrote()
	}
	w := &wait{serial: s, call: c, number: number}
	return true, w.run(ctx, ack)
}
