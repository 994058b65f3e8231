package cli

import (
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"time"

	"tillgate/internal/config"
	"tillgate/link"
)

// soonExpired is how long before its end a certificate is complained about.
const soonExpired = 14 * 24 * time.Hour

// checkNotify looks at what the notification listener needs: its certificate,
// the keys of those who tell, and whether somebody listens.
func checkNotify(say func(finding), c config.Config, gatewayRuns bool) {
	n := c.Notify
	if n.Address == "" {
		return
	}
	if n.Cert != "" {
		say(checkCertificate(n.Cert, n.Key, time.Now()))
	}
	for _, s := range n.Senders {
		f := finding{Check: "sender " + s.Name, Level: good, Tried: "read its keys", Found: "good, posts to " + s.Path}
		if _, err := s.Spec.Notify.Open(link.NotifyConfig{Name: s.Name, Currency: s.Currency, Settings: s.Settings, Test: s.Test, Log: slog.New(slog.DiscardHandler)}); err != nil {
			f.Level, f.Found, f.Next = bad, err.Error(), "see the protocol's page in docs/protocols"
		}
		say(f)
	}
	f := finding{Check: "notification listener", Tried: "connect to " + n.Address, Level: good, Found: "somebody listens"}
	conn, err := net.DialTimeout("tcp", n.Address, 2*time.Second)
	switch {
	case err == nil:
		conn.Close()
	case gatewayRuns:
		f.Level, f.Found, f.Next = bad, err.Error(), "look for the alert listener-offline: `tillgate status`"
	default:
		f.Level, f.Found = skipped, "nobody listens, since no gateway runs"
	}
	say(f)
}

func checkCertificate(cert, key string, now time.Time) finding {
	f := finding{Check: "certificate", Level: good, Tried: "read " + cert}
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		f.Level, f.Found, f.Next = bad, err.Error(), "certificate and key belong together, both in PEM"
		return f
	}
	until := pair.Leaf.NotAfter
	f.Found = fmt.Sprintf("for %s, until %s", pair.Leaf.Subject.CommonName, until.UTC().Format(time.RFC3339))
	switch {
	case now.After(until):
		f.Level, f.Next = bad, "renew it: senders refuse it; it is read again without a restart"
	case now.Add(soonExpired).After(until):
		f.Level, f.Next = warning, "renew it soon; it is read again without a restart"
	}
	return f
}
