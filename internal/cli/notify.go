package cli

import (
	"fmt"

	"tillgate/internal/notify"
	"tillgate/link"
)

// notifier prepares the listener for those who tell by themselves.
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
	var err error
	b.notices, err = notify.Listen(o)
	return err
}
