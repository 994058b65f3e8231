package mqtt

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"time"
)

// Options say how one destination is reached and what it gets.
type Options struct {
	Box         string // required: this box, one topic level
	Destination string // required: name of the cursor in the outbox ("local", "uplink")

	// URL of the broker, required: tcp://host:1883 (or mqtt://), tls://host:8883
	// (or ssl://, mqtts://), unix:///path. It carries no password.
	URL string

	Username string
	Password func() (string, error) // called at each connect; nil is none
	TLS      *tls.Config            // nil: the system's roots and the URL's host name

	// Commands makes this destination a source of commands. Without it nothing
	// is subscribed but what the edge needs for itself.
	Commands bool

	Versions map[string]string // shown in info
	Gateway  Gateway           // required
	Outbox   Outbox            // required
	Log      *slog.Logger      // nil discards

	BackoffMin     time.Duration // first pause after a lost connection; 0 is 100 ms
	BackoffMax     time.Duration // longest pause; 0 is 30 s
	ConnectTimeout time.Duration // dial, TLS and CONNACK together; 0 is 10 s
	AckTimeout     time.Duration // for a PUBACK, a SUBACK and the proof event; 0 is 10 s
	KeepAlive      time.Duration // whole seconds; 0 is 15 s
	HealthEvery    time.Duration // how often health is published at least; 0 is 30 s
	TwinEvery      time.Duration // how often two boxes of one name remind each other; 0 is 10 s
	StopWithin     time.Duration // for the last events when Run's context ends; 0 is 3 s
	Window         int           // events under way without a PUBACK; 0 is 32, at most 1024
}

var schemes = map[string]struct{ network, port string }{
	"tcp": {"tcp", "1883"}, "mqtt": {"tcp", "1883"},
	"tls": {"tls", "8883"}, "ssl": {"tls", "8883"}, "mqtts": {"tls", "8883"},
	"unix": {"unix", ""},
}

// prepare checks o, fills in what is zero, and reads the URL.
func (o *Options) prepare() (*url.URL, error) {
	if p := levelProblem(o.Box); p != "" {
		return nil, fmt.Errorf("mqtt: box name %s", p)
	}
	if o.Destination == "" || o.Gateway == nil || o.Outbox == nil {
		return nil, errors.New("mqtt: destination, gateway and outbox are required")
	}
	if o.Window < 0 || o.Window > 1024 {
		return nil, fmt.Errorf("mqtt: window of %d events, want 1 to 1024", o.Window)
	}
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("mqtt: broker address is not a URL like tcp://127.0.0.1:1883")
	}
	s, ok := schemes[u.Scheme]
	switch {
	case !ok:
		return nil, fmt.Errorf("mqtt: broker address %s: want tcp://, tls:// or unix://", u.Redacted())
	case u.User != nil:
		return nil, errors.New("mqtt: broker address carries a user or password; they have fields of their own")
	case s.network == "unix" && u.Path == "", s.network != "unix" && u.Hostname() == "":
		return nil, fmt.Errorf("mqtt: broker address %s names nobody", u.Redacted())
	}
	if s.port != "" && u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), s.port)
	}
	orElse(&o.BackoffMin, 100*time.Millisecond)
	orElse(&o.BackoffMax, 30*time.Second)
	orElse(&o.ConnectTimeout, 10*time.Second)
	orElse(&o.AckTimeout, 10*time.Second)
	orElse(&o.KeepAlive, 15*time.Second)
	orElse(&o.HealthEvery, 30*time.Second)
	orElse(&o.TwinEvery, 10*time.Second)
	orElse(&o.StopWithin, 3*time.Second)
	orElse(&o.Window, 32)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("destination", o.Destination)
	return u, nil
}

func orElse[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
