package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"tillgate/internal/notify"
	"tillgate/internal/payment"
	"tillgate/link"
)

// notifier prepares the listener for those who tell by themselves. An address
// that cannot be had yet is no reason not to sell: it is tried again.
func (b *box) notifier() error {
	c := b.config.Notify
	o := notify.Options{
		Address: c.Address, CertFile: c.Cert, KeyFile: c.Key, Gateway: b.gateway, MaxBody: int64(c.MaxBody), Connections: c.Connections,
		Proxies: c.Trusted, Log: b.log,
	}
	for _, s := range c.Senders {
		spec := s.Spec.Notify
		n, err := spec.Open(link.NotifyConfig{Name: s.Name, Currency: s.Currency, Settings: s.Settings, Test: s.Test || b.test, Log: b.log})
		if err != nil {
			return fmt.Errorf("sender %s: %w", s.Name, err)
		}
		o.Senders = append(o.Senders, notify.Sender{
			Name: s.Name, Path: s.Path, Notifier: n, Accepted: spec.Accepted, Refused: spec.Refused, Allow: s.Allowed, Test: s.Test || b.test,
		})
	}
	first, err := notify.Listen(o)
	if _, address := errors.AsType[*net.OpError](err); err != nil && !address {
		return err
	}
	b.notices = &listener{options: o, server: first, failed: err}
	return nil
}

// listener keeps the listener alive: it may fail, the gateway may not.
type listener struct {
	options notify.Options
	server  *notify.Server // nil: the address cannot be had
	failed  error
}

// listenAgain is how long after a failure the address is tried again.
const listenAgain = 5 * time.Second

func (l *listener) run(ctx context.Context, b *box) error {
	for {
		if l.server != nil {
			b.log.Info("listening for notifications", "address", l.server.Addr().String(), "senders", len(l.options.Senders))
			b.gateway.Clear(payment.AlertListener)
			l.failed = l.server.Serve(ctx)
			l.server = nil
		}
		if ctx.Err() != nil {
			return nil
		}
		b.gateway.Raise(payment.AlertListener, fmt.Sprintf("nobody can tell us anything: %v; tried again every %v", l.failed, listenAgain))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenAgain):
		}
		l.server, l.failed = notify.Listen(l.options)
	}
}

func (l *listener) close() {
	if l != nil && l.server != nil {
		_ = l.server.Close()
	}
}
