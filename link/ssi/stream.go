package ssi

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

// maxLate is how many answers wait to be looked at.
const maxLate = 16

// serial is a terminal behind one byte stream.
type serial struct {
	*stream.Stream[answer]
	log *slog.Logger
}

// newSerial reads frames from the connection; half of one that stays silent for
// idle is given up.
func newSerial(conn link.Conn, idle time.Duration, log *slog.Logger) serial {
	in := patientFrames(conn, idle)
	return serial{stream.Listen(conn, maxLate, log, func() ([]byte, error) {
		b, err := in.next()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = fmt.Errorf("%w: half a message of %d bytes", frame.ErrCorrupt, in.pending())
			in.giveUp()
		}
		return b, err
	}, decode), log}
}

// patientFrames reads frames, and waits no longer than idle for the next byte in
// the middle of one.
func patientFrames(conn link.Conn, idle time.Duration) (in *frames) {
	in = newFrames(stream.Patient(conn, func() time.Duration {
		if in.pending() > 0 {
			return idle
		}
		return 0
	}))
	return in
}

func (s serial) fresh() bool { return false }

func (s serial) exchange(ctx context.Context, r request, within time.Duration) (got answer, sent bool, err error) {
	data, err := r.encode()
	if err != nil {
		return got, false, err
	}
	msg, err := appendFrame(nil, data)
	if err != nil {
		return got, false, err
	}
	// The terminal answers in order: what came while nobody waited belongs to an
	// earlier request.
	if n := len(s.Late()); n > 0 {
		s.log.Debug("late answers dropped", "answers", n)
	}
	if sent, err = s.Write(ctx, msg, stream.WriteTimeout); err != nil {
		return got, sent, err
	}
	err = s.Wait(ctx, within, func(a answer) bool {
		if !r.answers(a) {
			s.log.Debug("answer to another request dropped")
			return false
		}
		got = a
		return true
	})
	return got, true, err
}
