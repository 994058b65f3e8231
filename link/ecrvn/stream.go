package ecrvn

import (
	"context"
	"errors"
	"fmt"
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
// idle is dropped.
func newSerial(conn link.Conn, idle time.Duration, log *slog.Logger) serial {
	var objects *frame.Objects
	objects = frame.NewObjects(stream.Patient(conn, func() time.Duration {
		if objects.Pending() > 0 {
			return idle
		}
		return 0
	}), maxAnswer)
	return serial{stream.Listen(conn, maxLate, log, func() ([]byte, error) {
		b, err := objects.Next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: half an answer of %d bytes", frame.ErrCorrupt, objects.Reset())
		}
		return b, err
	}, decode)}
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
