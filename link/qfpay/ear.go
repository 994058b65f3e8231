package qfpay

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

// ear makes messages of packets, and answers those that want it.
type ear struct {
	*stream.Stream[event]
	profile *atomic.Pointer[profile]
	log     *slog.Logger
	parts   merger
	last    [sha256.Size]byte // of the last request of the terminal's own
}

// listen ends with the connection. When the line is silent for part_gap in the
// middle of something, that is given up.
func (e *ear) listen(conn link.Conn) error {
	in := newScanner()
	r := stream.Patient(conn, func() time.Duration {
		if in.pending() || e.parts.collecting() {
			return e.profile.Load().settings.PartGap
		}
		return 0
	})
	for {
		n, err := r.Read(in.space())
		in.filled(n)
		gap := errors.Is(err, os.ErrDeadlineExceeded)
		e.take(in, gap)
		if gap && n == 0 && e.parts.collecting() {
			e.log.Warn("half a message dropped", "number", e.parts.number)
			e.parts.drop()
		}
		if err != nil && !gap {
			return err
		}
	}
}

// take handles every packet that is there. After a gap nothing is on its way:
// what waits for its rest will never have it.
func (e *ear) take(in *scanner, gap bool) {
	noise := 0
	for {
		p, v, n := in.next()
		noise += n
		switch {
		case v == isPacket:
			e.hear(p)
		case v == isBroken:
			noise += overhead
			if p.kind == kindRequest {
				e.reply(errFormat, p.number)
			}
		case gap && in.pending():
			in.skip()
			noise++
		default:
			if noise > 0 {
				e.log.Warn("bytes from the terminal dropped", "bytes", noise)
			}
			return
		}
	}
}

// hear handles one packet. A request of the terminal is answered here; one that
// comes again, since our acknowledgement was lost, is acknowledged again and
// not delivered twice.
func (e *ear) hear(p packet) {
	m, complete, refused := e.parts.add(p)
	if refused != 0 {
		e.reply(refused, p.number)
	}
	if !complete {
		return
	}
	got := event{message: m}
	if len(m.data) > 0 && m.kind != kindError {
		got.answer, got.err = e.profile.Load().read(m.data)
		if got.err != nil {
			e.log.Warn("message from the terminal cannot be read", "bytes", len(m.data), "err", got.err)
		}
	}
	got.data = nil // raw bytes stay here
	got.empty = len(m.data) == 0
	if m.kind != kindRequest {
		e.Hand(got)
		return
	}
	sum := sha256.Sum256(append([]byte{m.number}, m.data...))
	switch {
	case sum == e.last:
		e.reply(kindAnswer, m.number)
	case got.empty:
		e.reply(errContent, m.number)
	case errors.Is(got.err, errCipher):
		e.reply(errDecrypt, m.number)
	case got.err != nil:
		e.reply(errContent, m.number)
	default:
		e.last = sum
		e.reply(kindAnswer, m.number)
		e.Hand(got)
	}
}

func (e *ear) reply(kind, number byte) {
	b := packet{kind: kind, number: number}.append(nil)
	if _, err := e.Write(context.Background(), b, time.Second); err != nil {
		e.log.Debug("packet not answered", "number", number, "err", err)
	}
}
