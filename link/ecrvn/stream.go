package ecrvn

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"time"

	"tillgate/link"
	"tillgate/link/frame"
	"tillgate/link/stream"
)

// serial is a terminal behind a byte stream.
type serial struct{ *stream.Stream[answer] }

// newSerial reads objects from the connection; half of one that stays silent for
// idle is dropped. Raw bytes, which can hold card data, do not leave it.
func newSerial(conn link.Conn, idle time.Duration, log *slog.Logger) serial {
	return serial{stream.Open(conn, maxLate, log, func(s *stream.Stream[answer]) error {
		var objects *frame.Objects
		objects = frame.NewObjects(stream.Patient(conn, func() time.Duration {
			if objects.Pending() > 0 {
				return idle
			}
			return 0
		}), maxAnswer)
		for {
			b, err := objects.Next()
			switch {
			case err == nil:
				a, err := decode(b)
				if err != nil {
					log.Warn("object from the terminal dropped", "bytes", len(b), "err", err)
					continue
				}
				s.Hand(a)
			case errors.Is(err, frame.ErrCorrupt):
				log.Warn("bytes from the terminal dropped", "err", err)
			case errors.Is(err, os.ErrDeadlineExceeded):
				log.Warn("half an answer dropped", "bytes", objects.Reset())
			default:
				return err
			}
		}
	})}
}

func (s serial) exchange(ctx context.Context, c call) (sent bool, err error) {
	sent, err = s.Write(ctx, []byte("/ecr?"+c.query), stream.WriteTimeout)
	if err != nil {
		return sent, err
	}
	if c.wrote != nil {
		c.wrote()
	}
	return true, s.Wait(ctx, c.within, c.take)
}
