package control

import (
	"context"
	"iter"
	"time"

	"tillgate/internal/payment"
)

// Gateway is what commands are handed to.
type Gateway interface {
	// Do answers at once: accepted, refused, known, granted.
	Do(ctx context.Context, c payment.Command) payment.Reply

	// Status is a snapshot; Changed is closed at the next change after the
	// call. Take the channel first, then the snapshot.
	Status() payment.Status
	Changed() <-chan struct{}

	// Progress is a bounded stream; stop ends it and closes the channel.
	Progress() (news <-chan payment.Progress, stop func())
}

// Journal is what history and events are read from. It is safe for concurrent
// use.
type Journal interface {
	Find(id payment.ID) (payment.Record, error)       // or a refusal: not-found, id-expired
	Steps(id payment.ID) ([]payment.Step, error)      // oldest first
	History(q Query) iter.Seq2[payment.Record, error] // newest first
	Verify(ctx context.Context) (Check, error)
	Backup(ctx context.Context, dir string) error // dir must not exist; a copy that breaks off leaves nothing

	Range(from, to uint64, max int) ([]payment.Event, error)
	LastSeq() uint64
	Changed() <-chan struct{} // closed when a newer event is durable
}

// Query selects records. Fields that are zero do not select.
type Query struct {
	Order    string
	Last4    string // of the card
	Auth     string // authorisation code
	Terminal string
	Since    time.Time // begun at this time or later
	Until    time.Time // begun before this time
	Limit    int       // at most this many, 1 to [MaxLimit]
}

// Bounds of what is taken from the socket.
const (
	MaxCommand = 64 << 10 // bytes of a command
	MaxLimit   = 1_000_000
	maxText    = 256 // bytes of a query parameter
)

// Check is what verifying the journal found.
type Check struct {
	OK       bool    `json:"ok"`
	Segments int     `json:"segments"`
	Bytes    int64   `json:"bytes"`
	Entries  int     `json:"entries"`
	Payments int     `json:"payments"`
	Events   int     `json:"events"`
	Open     int     `json:"open"` // payments that are not over
	Faults   []Fault `json:"faults"`
}

// Fault is one thing that is not as it should be.
type Fault struct {
	Segment uint64 `json:"segment"`
	Text    string `json:"text"`
}

// copyTo asks for a copy of the journal.
type copyTo struct {
	Dir string `json:"dir"` // absolute, seen from the gateway; it must not exist
}

// Entry is one payment with everything that happened to it.
type Entry struct {
	Payment payment.Record `json:"payment"`
	Steps   []payment.Step `json:"steps"`
}

// Line is one line of a followed command; exactly one of its members is set.
type Line struct {
	Reply    *payment.Reply          `json:"reply,omitempty"`    // the first line
	Progress *payment.Progress       `json:"progress,omitempty"` // how far the terminal is
	Terminal *payment.TerminalStatus `json:"terminal,omitempty"` // the terminal was lost or is back
	Payment  *payment.Record         `json:"payment,omitempty"`  // a new state; the last line has the one it ended in
}

// Version tells what a gateway is made of.
type Version struct {
	Version  string   `json:"version"`
	Revision string   `json:"revision,omitempty"`
	Modified bool     `json:"modified,omitempty"` // built from changed sources
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Tags     []string `json:"tags"`
	Drivers  []string `json:"drivers"`
	Journal  int      `json:"journal"` // the format of the journals it writes
}

// Terminal is what a person's tool has to know to send a terminal a command.
type Terminal struct {
	Name      string        `json:"name"`
	Driver    string        `json:"driver"`
	Currency  string        `json:"currency"`
	MaxAmount payment.Money `json:"max_amount"`
	Test      bool          `json:"test,omitempty"` // simulated
}

// Over says whether following a payment ends in this state: it is decided, or
// waits for the controller, or nobody knows.
func Over(r payment.Record) bool {
	switch r.State {
	case payment.StateFinal, payment.StateAuthorised, payment.StateGranted, payment.StateInDoubt:
		return true
	}
	return false
}

// problem is the body of an answer that is not what was asked for.
type problem struct {
	Error  string         `json:"error"`
	Reason payment.Reason `json:"reason,omitempty"`
}
