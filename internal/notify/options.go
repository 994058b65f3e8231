package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Defaults and bounds of [Options].
const (
	DefaultMaxBody     = 256 << 10
	DefaultConnections = 32
	DefaultPerSource   = 8
	DefaultPerSecond   = 25

	maxHeader = 8 << 10 // bytes of a request's header
	workers   = 4       // requests that are decoded, or written down, at once
)

// Gateway is what notices are handed to.
type Gateway interface {
	// Notify returns when the notice is durable, or with an error when it is
	// not known to be.
	Notify(ctx context.Context, n payment.Notice) (known bool, err error)
	Raise(code payment.AlertCode, text string, ids ...payment.ID)
}

// Options is what a listener is made of. Address, Senders and Gateway are
// required.
type Options struct {
	Address  string // host and port
	CertFile string // PEM, with its chain; read again when it changes. "" is plain HTTP
	KeyFile  string

	Senders []Sender
	Gateway Gateway

	MaxBody     int64 // bytes of a body, 0 means [DefaultMaxBody]
	Connections int   // open at once, 0 means [DefaultConnections]
	PerSource   int   // of one address, 0 means [DefaultPerSource]; not counted behind a proxy

	// PerSecond is how many connections are begun in a second on average, 0 means
	// [DefaultPerSecond]; four seconds' worth may come at once. Further ones wait.
	// It bounds what strangers can take of the processor.
	PerSecond int

	// Proxies are those whose X-Forwarded-For says who asks. Without any the
	// address of the connection counts, and one that nobody allows is closed
	// before a byte is read.
	Proxies []netip.Prefix

	HeaderTimeout time.Duration // for TLS and the header, 0 means 5 s
	BodyTimeout   time.Duration // for the whole request, 0 means 15 s
	IdleTimeout   time.Duration // between two requests, 0 means 30 s
	SaveTimeout   time.Duration // for the journal, 0 means 10 s

	// Hold is how long after its last byte a refused request is answered, so
	// that the time tells nothing; 0 means 100 ms.
	Hold time.Duration

	Log *slog.Logger // nil discards
}

// Sender is one who tells.
type Sender struct {
	Name     string // in notices, logs and alerts
	Path     string // where it posts, with a leading slash; unique
	Notifier link.Notifier
	Accepted link.NotifyAnswer
	Refused  link.NotifyAnswer
	Allow    []netip.Prefix // addresses it posts from; required
	Test     bool           // it is simulated: its notices say so
}

func (o *Options) fill() error {
	for _, d := range []struct {
		v     *time.Duration
		usual time.Duration
	}{{&o.HeaderTimeout, 5 * time.Second}, {&o.BodyTimeout, 15 * time.Second}, {&o.IdleTimeout, 30 * time.Second}, {&o.SaveTimeout, 10 * time.Second}, {&o.Hold, 100 * time.Millisecond}} {
		if *d.v == 0 {
			*d.v = d.usual
		}
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.Connections == 0 {
		o.Connections = DefaultConnections
	}
	if o.PerSource == 0 {
		o.PerSource = DefaultPerSource
	}
	if o.PerSecond == 0 {
		o.PerSecond = DefaultPerSecond
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if (o.CertFile == "") != (o.KeyFile == "") {
		return errors.New("notify: a certificate and its key belong together")
	}
	if o.Gateway == nil || len(o.Senders) == 0 {
		return errors.New("notify: a listener needs a gateway and at least one sender")
	}
	paths := map[string]bool{}
	for _, s := range o.Senders {
		switch {
		case s.Name == "" || s.Notifier == nil:
			return errors.New("notify: a sender needs a name and a notifier")
		case !strings.HasPrefix(s.Path, "/") || paths[s.Path]:
			return fmt.Errorf("notify: sender %s: the path %q has no leading slash, or is another sender's", s.Name, s.Path)
		case len(s.Allow) == 0:
			return fmt.Errorf("notify: sender %s: nobody is allowed to post", s.Name)
		}
		paths[s.Path] = true
	}
	return nil
}

func within(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
