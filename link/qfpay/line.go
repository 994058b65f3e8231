package qfpay

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	maxWaiting = 64                      // events that wait to be looked at
	byteTime   = 1100 * time.Microsecond // of one byte at 9600 8N1 (chapter 9.2); faster lines are not slower for it
	settleTime = 3 * time.Second         // in which a terminal answers a question; see terminal.others
	stopEvery  = 5 * time.Second         // between two wishes that the terminal may stop
)

// errNoAck: chapter 9.4, the device is not connected any more.
var errNoAck = errors.New("the packet was not acknowledged in time")

// rejected is an error packet that came instead of an answer.
type rejected struct {
	code  byte
	acked bool // the request had been acknowledged before
}

func (r rejected) Error() string {
	return fmt.Sprintf("the terminal answers with error packet 0x%02x: %s", r.code, packetErrors[r.code].text)
}

// certain says whether the request was not accepted.
func (r rejected) certain() bool { return !r.acked && packetErrors[r.code].decision == notDone }

// heard is one answer.
type heard struct {
	answer answer

	// ours: it came as the answer to this very request, by its packet number or on
	// its connection. Otherwise it is a request of the terminal's own, or late.
	ours bool
	late bool // it answers a packet that nobody waits for

	// cancelling: function 5001 has been sent, and what the terminal says to it is
	// still to come.
	cancelling bool
}

// call is one request and what is done with the answers to it.
type call struct {
	content content
	within  time.Duration
	wrote   func()           // the request has left; may be nil
	take    func(heard) bool // looks at one answer; true ends the call
	abort   <-chan struct{}  // closed: send function 5001 too, every [stopEvery], and go on waiting; may be nil
}

// path is the HTTP endpoint of a function (chapter 7).
func path(function string) string {
	return map[string]string{
		"1001": "/api/pos/trade", "1002": "/api/pos/cancel", "3001": "/api/pos/print_receipt",
		"3002": "/api/pos/transaction_info", "4001": "/api/pos/query_transaction", "5001": "/api/pos/cancel_request",
	}[function]
}

// get is the text of one member of a content.
func (c content) get(key string) string {
	for _, p := range c {
		if p.key == key {
			return p.text
		}
	}
	return ""
}

// line is a way to a terminal. Except for Close its methods are called by one
// goroutine.
type line interface {
	// waiting returns the answers that came while nobody waited for them.
	waiting() []answer

	// exchange sends the request of c once and hands over every answer that
	// comes, until c.take has had enough. sent says whether a byte of the
	// request can have left. Its errors are stream.ErrSilent after c.within, rejected,
	// errNoAck, ctx's, the connection's, and that an answer to this request cannot
	// be read.
	exchange(ctx context.Context, c call) (sent bool, err error)

	// Close wakes a running exchange. It is idempotent.
	Close() error
}
