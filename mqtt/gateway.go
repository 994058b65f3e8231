package mqtt

import (
	"context"

	"tillgate/internal/payment"
)

// Gateway is what commands are handed to and what the retained topics show.
type Gateway interface {
	// Do answers at once: accepted, refused, known, granted.
	Do(ctx context.Context, c payment.Command) payment.Reply

	// Status is a snapshot; Changed is closed at the next change after the
	// call. Take the channel first, then the snapshot.
	Status() payment.Status
	Changed() <-chan struct{}

	// Progress is a bounded stream; a slow reader loses the oldest. stop ends
	// it and closes the channel.
	Progress() (news <-chan payment.Progress, stop func())

	// Raise and Clear set and remove an alert. Raising [payment.AlertTwin]
	// stops selling until it is cleared.
	Raise(code payment.AlertCode, text string, ids ...payment.ID)
	Clear(code payment.AlertCode)

	// ControllerConnected tells that a controller can be heard: fulfilment
	// deadlines that a restart suspended begin again, in full, at the first call.
	ControllerConnected()
}

// Outbox is the event side of the journal. It is safe for concurrent use.
type Outbox interface {
	// Pending lists up to max events after the destination's cursor, oldest
	// first. Events that a cap or retention has removed are replaced by one
	// gateway.gap event whose Seq is the last that is missing.
	Pending(destination string, max int) ([]payment.Event, error)

	// Acknowledge moves a destination's cursor to seq. It is remembered at
	// once and becomes durable with the next commit: after a crash events may
	// come again, with the same id and bytes.
	Acknowledge(destination string, seq uint64)

	// Range lists up to max events from..to, both included, as Pending does.
	Range(from, to uint64, max int) ([]payment.Event, error)

	// LastSeq is the newest event's number, 0 if there is none; Epoch is this
	// start's; Changed is closed when a newer event is durable.
	LastSeq() uint64
	Epoch() string
	Changed() <-chan struct{}
}
