package link

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"tillgate/internal/payment"
)

// Notifier is a protocol that only tells us: a service posts what became of
// transactions to our listener. It is never asked anything, and its silence
// proves nothing.
//
//	service ── POST, bounded ──► listener ── Request ──► Notifier.Decode
//	                                                      │ verified, in our words
//	        ◄─ Accepted, the same bytes ── durable ◄── gateway.Notify
//	        ◄─ Refused, the same bytes ─────────────────  not verified, not readable
//
// The listener (internal/notify) bounds, times and answers; a notifier does no
// I/O and keeps no state. It is safe for concurrent use.
type Notifier interface {
	// Decode verifies one request and says what it tells. Nothing of a request
	// that is not verified is believed or quoted. The error is for the log of
	// this box: it never has a value of the request, and the sender is told
	// nothing of it. Whatever is wrong, Decode does the same work as far as it
	// can, so that its time does not tell padding from signature.
	//
	// The notices leave From and Payment to the gateway.
	Decode(r NotifyRequest) ([]payment.Notice, error)
}

// ErrUnreadable is wrapped by an error of Decode about a request that is
// genuine, but says something the notifier does not understand. A person is
// told.
var ErrUnreadable = errors.New("genuine, but not understood")

// NotifyRequest is one HTTP request, read completely within the listener's
// bounds.
type NotifyRequest struct {
	Header http.Header
	Query  string // raw, without '?'
	Body   []byte
	From   netip.Addr
}

// NotifyAnswer is a whole HTTP answer. It is the same for every request, so
// that it tells nothing.
type NotifyAnswer struct {
	Status      int
	ContentType string
	Body        string
}

// NotifyDriver is the part of a [Driver] whose protocol tells us by itself. A
// driver may have it beside Open, or instead of it.
type NotifyDriver struct {
	Path string // where such services usually post, "/ipn"

	// Settings is as Driver.Settings, for one sender. May be nil.
	Settings func() any

	// Open checks the settings, reads keys, and makes a notifier.
	Open func(c NotifyConfig) (Notifier, error)

	Accepted NotifyAnswer // it is durable, or was known
	Refused  NotifyAnswer // everything that cannot be verified or read

	// Certify tries a captured request against every profile the protocol can
	// have and writes which one opens it, masked. settings has the keys. The
	// error says that none does. May be nil.
	Certify func(w io.Writer, settings any, r NotifyRequest) error

	// Simulate makes the sending side. May be nil.
	Simulate func(NotifySimulatorConfig) (NotifySimulator, error)
}

// NotifyConfig is what a notifier is made with.
type NotifyConfig struct {
	Name     string // of the sender, for errors and logs
	Currency string // ISO 4217 code where the sender names none
	Settings any    // what NotifyDriver.Settings made, filled
	Test     bool   // the sender is simulated
	Log      *slog.Logger
}

// NotifySimulatorConfig is what the simulator of a sender is given.
type NotifySimulatorConfig struct {
	Settings any      // as the notifier's: both sides have the keys
	Script   []string // behaviours by name, one for each notice; the last one stays
	Currency string   // "" is the driver's usual one
	Log      *slog.Logger
}

// NotifySimulator is the service that tells, without the service.
type NotifySimulator interface {
	// Requests makes the HTTP requests of the next behaviour of the script, in
	// the order in which they are sent. about is the transaction, with what the
	// behaviour leaves of it.
	Requests(about NotifyStory) ([]NotifyPost, error)
}

// NotifyStory is one transaction that a simulated service tells of.
type NotifyStory struct {
	Operation payment.Operation // purchase, preauthorization, completion, reversal, refund or reconciliation
	Name      string            // what the service calls our payment; "" names none
	Amount    payment.Money
	Settled   []payment.Settled
}

// NotifyPost is one request of a simulated service, and how it is sent.
type NotifyPost struct {
	Header  http.Header
	Path    string // "" is the configured one
	Body    io.Reader
	Size    int64         // of the body in bytes; -1 sends it in chunks
	Gap     time.Duration // between two bytes of the body; 0 sends at once
	Refused bool          // an honest listener refuses it
}

// Notifies says whether the driver is one that only tells: it has no terminal.
func (d Driver) Notifies() bool { return d.Notify != nil && d.Open == nil }
