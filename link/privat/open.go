package privat

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tillgate/link"
)

// Open makes a connection in the profile's dialogue. The one that the document
// vouches for (2.) is:
//
//	connect   00 PingDevice 00   answer   close   pause
//	connect      identify   00   answer   close   pause
//	connect and stay
//
// A terminal that serves a customer says deviceBusy to PingDevice: it is there.
func Open(ctx context.Context, c link.Config) (link.Terminal, error) {
	s, ok := c.Settings.(*Settings)
	if !ok {
		s = defaults()
	}
	if err := s.Validate(); err != nil {
		return nil, &link.Error{Op: "open", Err: err}
	}
	if c.Dial == nil {
		return nil, &link.Error{Op: "open", Err: errors.New("the configuration has no way to open the address")}
	}
	t := &terminal{settings: s, currency: c.Currency, longest: c.Longest, log: c.Log, seen: map[string]string{}}
	if t.longest <= 0 {
		t.longest = link.DefaultLongest
	}
	if t.currency == "" {
		t.currency = "UAH"
	}
	if t.log == nil {
		t.log = slog.New(slog.DiscardHandler)
	}
	t.log = t.log.With("terminal", c.Name)
	if err := t.connect(ctx, c.Dial); err != nil {
		if t.line != nil {
			t.line.close()
		}
		if _, ok := errors.AsType[*link.Error](err); !ok {
			err = &link.Error{Op: "open", Err: err}
		}
		return nil, err
	}
	return t, nil
}

func (t *terminal) connect(ctx context.Context, dial func(context.Context) (link.Conn, error)) error {
	steps := []func(context.Context) error{t.handshake, t.identify, t.whoAreYou}
	for i, step := range steps {
		if i == 0 || t.settings.Dialogue == DialogueReference {
			conn, err := dial(ctx)
			if err != nil {
				return err
			}
			t.line = newStream(conn, t.log)
		}
		if err := step(ctx); err != nil {
			return err
		}
		if i < len(steps)-1 && t.settings.Dialogue == DialogueReference {
			t.line.close()
			t.collect()
			if err := sleep(ctx, t.settings.Pause); err != nil {
				return err
			}
		}
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (t *terminal) handshake(ctx context.Context) error {
	a, err := t.ask(ctx, request{method: methodPing}, handshake())
	if errors.Is(err, errBusy) {
		return nil
	}
	if err == nil && a.failed {
		err = &link.Error{Op: methodPing, Sent: true, Err: errors.New("the terminal reports an error")}
	}
	return err
}

func (t *terminal) identify(ctx context.Context) error {
	a, err := t.ask(ctx, service(msgIdentify), nil)
	if err == nil && (a.failed || a.result != "" && a.result != "true") {
		err = &link.Error{Op: msgIdentify, Sent: true, Err: errors.New("the terminal says that it is not one of the bank's")}
	}
	return tolerate(err)
}

// whoAreYou learns the identity, if the terminal has time to tell it.
func (t *terminal) whoAreYou(ctx context.Context) error {
	_, err := t.info(ctx)
	return tolerate(err)
}

// tolerate keeps of err what means that nobody answers.
func tolerate(err error) error {
	if errors.Is(err, errBusy) || errors.Is(err, errUnknownMethod) {
		return nil
	}
	return err
}
