// Package link is what a card terminal looks like to the gateway, and how a
// connection to one is made.
//
// A driver (link/ecrvn, ...) turns one terminal protocol into a [Terminal].
// Everything that is the same for all of them is not in a driver: opening,
// backoff, journal, recovery and refusals are the lane's (internal/gateway).
//
//	lane ── Baseline ─► terminal        what does it say before?
//	lane ── Execute ──► terminal        the money command, sent once
//	        ◄─ Outcome                  it answered: done or certainly not done
//	        ◄─ Error{Sent: true}        it broke: money may have moved
//	lane ── Lookup ───► terminal        what became of it? never moves money
//
// A decline is an Outcome. An error is a broken exchange, and [Sent] tells
// whether money may have moved. When unsure: sent.
package link

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"tillgate/internal/payment"
)

// Conn is a byte stream to a terminal. A net.Conn is one, and so is what
// serialio and usbhid open. Deadlines work, Close wakes a blocked Read and
// Write, and a Write after Close is os.ErrClosed. One goroutine may read while
// another writes.
type Conn interface {
	io.ReadWriteCloser
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// Terminal is one open connection to one terminal. One goroutine owns it and
// calls one method at a time, except Close, which may be called at any time
// and wakes the others.
type Terminal interface {
	// Execute carries out the operation of tx and returns when the terminal
	// has answered. It sends the money command at most once. When d.Abort is
	// closed it asks the terminal to stop, if the protocol can, and goes on
	// reading: the terminal's answer decides. A cancelled ctx means that the
	// process ends; Execute then returns an Error as soon as it can.
	//
	// An answer that does not exclude an approval by the bank is
	// Error{Sent: true}, not an Outcome. An answer that names another attempt
	// is not this one's answer; Execute reports it with d.Evidence.
	Execute(ctx context.Context, tx payment.Transaction, d Dialogue) (payment.Outcome, error)

	// Lookup asks what became of tx. It never moves money and sends only what
	// preserves the evidence. It returns [ErrInProgress] while an approval can
	// still come, and [ErrNotFound] only when the command is certainly dead;
	// quiet is how long ago, on the monotonic clock, the last byte of the
	// money command can have been sent (since the start of the process, if
	// that was another one). An Outcome of Lookup is conclusive.
	Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error)

	// Close ends the connection. It is idempotent and returns within a second.
	Close() error
}

// Baseliner reads the terminal's state before a money command. A baseline that
// cannot be read refuses the sale. For a reversal it also checks that the
// terminal still can reverse the original: [ErrNotReversible] if not.
type Baseliner interface {
	Baseline(ctx context.Context, tx payment.Transaction) (payment.Baseline, error)
}

// Confirmer is a protocol in which an approved payment must be confirmed, else
// the terminal takes it back by itself. The gateway confirms after the outcome
// is durable and before goods are granted.
type Confirmer interface {
	Confirm(ctx context.Context, tx payment.Transaction, o payment.Outcome) error
	ConfirmWithin() time.Duration // FulfilWithin may not exceed it
}

// Completer is a Confirmer whose terminal shows some of an outcome only once it
// was confirmed: the receipt, the RRN. It is asked right after Confirm, and gives
// back o with what it learned; what it cannot read it leaves out.
type Completer interface {
	Complete(ctx context.Context, tx payment.Transaction, o payment.Outcome) payment.Outcome
}

// Rechecker is a Confirmer that finds a payment by what its approval said. It is
// asked instead of Lookup what became of an approved payment whose Confirm may be
// lost: the terminal kept it, took it back, or may still do either
// ([ErrInProgress]). It never confirms.
type Rechecker interface {
	Recheck(ctx context.Context, tx payment.Transaction, o payment.Outcome, quiet time.Duration) (payment.Outcome, error)
}

// Diagnoser asks the terminal how it is, without moving money.
type Diagnoser interface {
	Diagnose(ctx context.Context) (Diagnosis, error)
}

// Totaller reads the totals of the open batch without closing it.
type Totaller interface {
	Totals(ctx context.Context) ([]Total, error)
}

// HostDiagnoser asks the terminal whether it reaches its host. It moves no
// money, but may overwrite what the terminal shows of the last payment: it is
// only asked when everything is settled.
type HostDiagnoser interface {
	DiagnoseHost(ctx context.Context) (Diagnosis, error)
}

// Printer has the terminal print, or hands over what it would print: text is
// nil if the paper came out of the terminal. It moves no money; the error says
// that the terminal did not say that it printed, and is [ErrUnsupported] for a
// kind that this terminal has not.
type Printer interface {
	Print(ctx context.Context, p Printout) (text []string, err error)
}

// Printout is what to print.
type Printout struct {
	Kind     payment.PrintKind
	Of       payment.Reference // of a receipt
	Merchant string            // of a receipt, the one that its payment named; "" is the profile's own
	Document string            // of a document: itself, or an address where the terminal finds it
}

// Restarter starts the terminal's payment application anew, or the whole
// terminal if deep. It returns when the terminal has taken the command; the
// connection may be of no more use then. It is never asked while something is
// unsettled, except by the recovery of a terminal that says it is not talking
// to its host. [ErrUnsupported] where this terminal has no such command.
type Restarter interface {
	Restart(ctx context.Context, deep bool) error
}

// Diagnosis is what a terminal says about itself.
type Diagnosis struct {
	Identity string            `json:"identity"`
	Batch    string            `json:"batch,omitempty"`
	Facts    map[string]string `json:"facts,omitempty"`

	// Inventory is what the protocol tells of the terminal itself, the same at
	// every look until somebody changes the terminal: a TID that goes by the
	// merchant is not in it. The gateway fills in its Identity.
	Inventory payment.Inventory `json:"inventory,omitzero"`

	// Blocked is why the terminal cannot sell although it answers, "" if it
	// can: [payment.ReasonReconcile] or [payment.ReasonBlocked]. A
	// reconciliation is still possible.
	Blocked payment.Reason `json:"blocked,omitempty"`
}

// Total is one line of a batch.
type Total struct {
	Operation payment.Operation `json:"operation"`
	Count     int               `json:"count"`
	Amount    payment.Money     `json:"amount"`
}

// Dialogue is what a running operation tells and hears. The zero value works.
type Dialogue struct {
	Progress func(payment.Stage, payment.VendorCode) // may be nil
	Evidence func(payment.Outcome)                   // an answer that belongs to another attempt, which Outcome.Attempt names; may be nil
	Abort    <-chan struct{}                         // closed when the payment is wanted no more
}

// Report tells how far the terminal is.
func (d Dialogue) Report(s payment.Stage, v payment.VendorCode) {
	if d.Progress != nil {
		d.Progress(s, v)
	}
}

// Stray hands over an answer that belongs to another attempt.
func (d Dialogue) Stray(o payment.Outcome) {
	if d.Evidence != nil {
		d.Evidence(o)
	}
}

// The non-answers of Lookup and Baseline. The connection is in order after
// each of them.
var (
	ErrNotFound      = errors.New("no such operation on the terminal")
	ErrInProgress    = errors.New("the operation may still be running")
	ErrNotReversible = errors.New("the terminal can no longer reverse it")

	// ErrUnproven: the terminal answered, no approval can come any more, and
	// what it shows proves neither payment nor non-payment. The payment stays
	// in doubt; asking again later can still bring a late answer.
	ErrUnproven = errors.New("what the terminal shows proves nothing about it")

	// ErrUnsupported: this terminal has no such function.
	ErrUnsupported = errors.New("this terminal has no such function")

	// ErrSwapped: another terminal answered than the one of the baseline. What
	// it shows is never evidence.
	ErrSwapped = errors.New("another terminal answers than the one that was asked")
)

// Error is a broken exchange with a terminal.
type Error struct {
	Op   string // what was tried: "sale", "last_trans"
	Sent bool   // the request may have reached the terminal
	Err  error
}

func (e *Error) Error() string {
	if e.Sent {
		return fmt.Sprintf("%s: %v (the terminal may have got it)", e.Op, e.Err)
	}
	return fmt.Sprintf("%s: %v (nothing was sent)", e.Op, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }

// Answered is an error about an answer that is no outcome: unreadable, or one that
// does not exclude an approval. It keeps what the terminal itself said, for the
// people who have to find out.
type Answered struct {
	Condition payment.Condition
	Vendor    payment.VendorCode
	Err       error
}

func (e *Answered) Error() string { return e.Err.Error() }

func (e *Answered) Unwrap() error { return e.Err }

// Sent says whether the request that failed with err may have reached the
// terminal. Only an [Error] that says otherwise is believed.
func Sent(err error) bool {
	if err == nil {
		return false
	}
	e, ok := errors.AsType[*Error](err)
	return !ok || e.Sent
}

// Driver is one terminal protocol.
type Driver struct {
	Name  string // "ecrvn"; what the configuration says
	Title string // for people

	// Currency is the usual one of these terminals, ISO 4217, and that of a
	// simulator for which none is named.
	Currency string

	// Operations the protocol has; others are refused before anything is sent.
	Operations []payment.Operation

	// Cashback says whether a purchase can give out a part of its amount in
	// cash, Merchants whether a request can name one of several merchants.
	// Requests with these are refused otherwise.
	Cashback  bool
	Merchants bool

	// Preserving lists what may be sent between Begin and a settled outcome
	// without destroying evidence. Lookup always may.
	Preserving []payment.Operation

	// Confirms says that terminals of this protocol take back what is not
	// confirmed: their Terminal is a [Confirmer]. While one is away nobody can ask
	// it, so the gateway has to know before.
	Confirms bool

	// CanAbort says whether the protocol can stop a payment from this side.
	CanAbort bool

	// Settings returns a new pointer to the driver's profile with its
	// defaults; the configuration is decoded into it, unknown keys refused,
	// then Validate() is called if it has that method. May be nil.
	Settings func() any

	// Check refuses, with a [payment.Refusal], what the protocol cannot carry:
	// field lengths, digits, characters. It does no I/O. Settings is what
	// Settings made.
	Check func(settings any, r payment.Request) error

	// Line is how a serial line to these terminals is set where an address does
	// not say otherwise, in an address's own words and from the protocol's
	// document: "baud=9600&parity=even". "" is 115200 8N1. [Driver.Address] reads it.
	Line string

	// Open connects to a terminal and makes sure that somebody answers. It is
	// nil in a driver that only notifies; Check and Simulate are then nil too.
	Open func(ctx context.Context, c Config) (Terminal, error)

	// Explain writes what captured bytes mean, masked, with what is wrong
	// about them; the error says that they are not valid.
	Explain func(w io.Writer, b []byte) error

	// Simulate makes a terminal of this protocol without hardware.
	Simulate func(SimulatorConfig) (Simulator, error)

	// KeySetting is the setting of a profile that names the file with a key which
	// the terminal shares, and without which nobody can talk to it. "" where the
	// protocol has none.
	KeySetting string

	// Notify is set on a protocol that tells us by itself what became of
	// transactions. It may be there beside Open.
	Notify *NotifyDriver
}

// Config is what a driver is given to open a terminal.
type Config struct {
	Name     string                                  // of the terminal, for errors and logs
	Address  string                                  // as configured; drivers with a web service look at its scheme
	Dial     func(ctx context.Context) (Conn, error) // opens Address as a byte stream
	Currency string                                  // ISO 4217 code the terminal works in
	Longest  time.Duration                           // card wait, PIN and bank together; 0 means [DefaultLongest]
	Settings any                                     // what Driver.Settings made, filled
	Log      *slog.Logger                            // nil discards
}

// DefaultLongest is how long a payment can last on a terminal before it is
// certainly over.
const DefaultLongest = 300 * time.Second

// SimulatorConfig is what a simulator is given.
type SimulatorConfig struct {
	Name     string        // of the terminal: two of different names are two terminals, with serial numbers of their own
	Ledger   string        // file that keeps the simulated bank's ledger; "" keeps it in memory
	Script   []string      // behaviours by name, one for each money command; the last one stays
	Currency string        // "" is the driver's usual one
	Pace     time.Duration // how long a customer takes at each stage; 0 is at once
	KeyFile  string        // with [Driver.KeySetting]: the terminal's key, made if there is no such file; "" is the one that the protocol's document prints
	Log      *slog.Logger  // nil discards
}

// Simulator is a terminal and its bank, without hardware. It speaks the
// driver's own protocol; its ledger is the truth that tests compare with.
type Simulator interface {
	// Serve talks on one connection until it ends or ctx does. The terminal
	// outlives its connections.
	Serve(ctx context.Context, c Conn) error
	// Ledger lists what the simulated bank did, oldest first.
	Ledger() []Entry
	// Close stops the terminal, as a power cut would; the ledger stays.
	Close() error
}

// Entry is one line of a simulated bank's ledger.
type Entry struct {
	Attempt  string        `json:"attempt"` // the id the terminal was given
	Order    string        `json:"order,omitempty"`
	Amount   payment.Money `json:"amount"`
	Charged  bool          `json:"charged"`  // the bank approved
	Reversed bool          `json:"reversed"` // and took it back
	Receipt  string        `json:"receipt,omitempty"`
	RRN      string        `json:"rrn,omitempty"`
}
