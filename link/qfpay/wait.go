package qfpay

import (
	"context"
	"time"

	"tillgate/link/stream"
)

// wait is a request that has been sent, until its answer. What the terminal
// says to the business comes in one of three ways, which the document leaves
// open: as the data of the acknowledgement, as a second acknowledgement with
// our number, or as a request of the terminal's own.
type wait struct {
	serial *serial
	call   call
	number byte
	acked  bool
	cancel byte // number of the function 5001 that was sent, or 0
	heeded bool // and it was answered
}

// run ends when the call has had enough, or an error tells that it will not.
// What came before the connection ended is handed over before its error.
func (w *wait) run(ctx context.Context, ack time.Duration) error {
	patience, acknowledged := time.NewTimer(w.call.within), time.NewTimer(ack)
	defer patience.Stop()
	defer acknowledged.Stop()
	again := time.NewTicker(stopEvery)
	defer again.Stop()
	for {
		var abort <-chan struct{}
		var repeat <-chan time.Time
		switch {
		case w.acked && w.cancel == 0:
			abort = w.call.abort
		case w.cancel != 0:
			repeat = again.C
		}
		select {
		case e := <-w.serial.Messages():
			if end, err := w.hear(e); end {
				return err
			}
		case <-abort:
			again.Reset(stopEvery)
			w.stop()
		case <-repeat:
			w.stop()
		case <-acknowledged.C:
			if !w.acked {
				w.serial.Close()
				return errNoAck
			}
		case <-patience.C:
			return stream.ErrSilent
		case <-ctx.Done():
			return ctx.Err()
		case <-w.serial.Done():
			return w.rest()
		}
	}
}

func (w *wait) rest() error {
	for _, e := range w.serial.Late() {
		if end, err := w.hear(e); end {
			return err
		}
	}
	return w.serial.Err()
}

// stop asks the terminal to stop, and is repeated until it has answered: the
// wish may come before the terminal has begun. That it cannot be sent changes nothing:
// the terminal's answer to the request decides.
func (w *wait) stop() {
	number, _, _, err := w.serial.send(context.Background(), function(funcCancel))
	w.heeded = false
	if w.cancel = number; err != nil {
		w.serial.log.Warn("the terminal cannot be asked to stop", "err", err)
		w.cancel, w.call.abort = 0, nil
	}
}

// hear looks at one message. end says that the wait is over.
func (w *wait) hear(e event) (end bool, err error) {
	h := heard{answer: e.answer, cancelling: w.cancel != 0 && !w.heeded}
	mine, other := e.number == w.number, w.cancel != 0 && e.number == w.cancel
	switch {
	case e.kind == kindError && mine:
		return true, rejected{e.code, w.acked}
	case e.kind == kindError:
		w.heeded = w.heeded || other
		return false, nil
	case e.kind == kindAnswer && other:
		w.heeded = w.heeded || !e.empty
		return false, nil
	case e.kind == kindAnswer && mine:
		w.acked = true
		if e.empty || e.err != nil {
			return e.err != nil, e.err
		}
		h.ours = true
	case e.empty || e.err != nil:
		return false, nil
	case e.kind == kindAnswer:
		h.late = true
	case h.cancelling && len(e.answer.records) == 0 && e.answer.respcd != "6001":
		w.heeded = true // the terminal's own packet does not say what it answers
	}
	return w.call.take(h), nil
}
