package gateway

import (
	"iter"
	"time"

	"tillgate/internal/payment"
)

// Journal is the durable record of every payment, as the lanes see it. The
// store implements it. It is safe for concurrent use.
//
// An error that is not a [payment.Refusal] means that the journal cannot be
// written: what was asked for is not known to be durable, and nothing may be
// acted upon.
type Journal interface {
	// Begin makes tx durable before it returns. If the id is known with the
	// same content, it returns that record and known; with other content it
	// refuses (conflict). An id that only an expired segment had is refused
	// (id-expired). [payment.CheckOrder] and [payment.CheckCeiling] are applied
	// in the same atomic step.
	Begin(tx payment.Transaction) (rec payment.Record, known bool, err error)

	// Append makes steps, and the events that announce them, durable in one
	// transaction: all or nothing. A step that [payment.Record.Apply] refuses
	// refuses the whole call.
	Append(steps []payment.Step, events []payment.Event) error

	// Find returns one record, or a refusal: not-found, id-expired.
	Find(id payment.ID) (payment.Record, error)

	// Open lists the records that are not over ([payment.Record.Open]), oldest
	// first.
	Open() ([]payment.Record, error)

	// Related lists the reversals, refunds and completions of an original.
	Related(original payment.ID) ([]payment.Record, error)

	// Since lists the records begun at t or later by their own clock, oldest
	// first. A record whose clock stood ahead of now is included.
	Since(t time.Time) iter.Seq2[payment.Record, error]

	// NeedsPerson lists those of Since that still ask for somebody to look
	// ([payment.Record.NeedsPerson]), in much less time.
	NeedsPerson(t time.Time) iter.Seq2[payment.Record, error]

	// Note makes a short text durable under a name, in the place of the one
	// before; "" removes it. Notes lists them. They are for what has to outlive
	// the process without being about a payment.
	Note(name, text string) error
	Notes() map[string]string

	// Healthy is nil, or why the journal cannot be written. It may try to
	// reopen it, with backoff.
	Healthy() error
}
