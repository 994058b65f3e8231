package privat

import (
	"context"
	"errors"
	"time"

	"tillgate/link"
)

// Open makes a connection in the profile's dialogue. The one that the document
// vouches for (2.) is:
//
//	connect   00 PingDevice 00   answer   close
//	connect      identify   00   answer   close
//	connect and stay
//
// A terminal that serves a customer says deviceBusy to PingDevice: it is there.
func Open(ctx context.Context, c link.Config) (link.Terminal, error) {
	c, s, err := link.Prepare(c, "UAH", defaults)
	if err != nil {
		return nil, err
	}
	t := &terminal{settings: s, currency: c.Currency, longest: c.Longest, log: c.Log, seen: map[string]string{}}
	if err := t.connect(ctx, c.Dial); err != nil {
		if t.line != nil {
			t.line.Close()
		}
		if _, ok := errors.AsType[*link.Error](err); !ok {
			err = &link.Error{Op: "open", Err: err}
		}
		return nil, err
	}
	return t, nil
}

// maxConnects is how often one step of the reference dialogue is tried. Each pause
// is longer by a second than the one before: with a first one of a second the last
// try is six seconds after the first, and Verifone's terminals are known to need up
// to five. The gateway gives all of it 20 seconds.
const maxConnects = 4

// connect goes through the dialogue. Each step has a connection of its own, or
// with single all have one. The document names no pause between them (2.); a
// terminal that serves one client and has just lost it may not be ready for the
// next. So a step is tried at once, and again after the profile's pause, and
// after longer ones.
func (t *terminal) connect(ctx context.Context, dial func(context.Context) (link.Conn, error)) error {
	steps := []func(context.Context) error{t.handshake, t.identify, t.whoAreYou}
	for i, step := range steps {
		var err error
		tries := 1
		if i > 0 && t.settings.Dialogue == DialogueReference {
			tries = maxConnects
		}
		for n := range tries {
			if n > 0 {
				if err := sleep(ctx, t.settings.Pause+time.Duration(n-1)*time.Second); err != nil {
					return err
				}
			}
			if t.patience = 0; n < tries-1 {
				t.patience = time.Second + 2*t.settings.Pause
			}
			if err = t.step(ctx, i, step, dial); err == nil || !notReady(err) || ctx.Err() != nil {
				break
			}
		}
		t.patience = 0
		if err != nil {
			return err
		}
	}
	return nil
}

// step makes the connection that step i needs, and takes it.
func (t *terminal) step(ctx context.Context, i int, step func(context.Context) error, dial func(context.Context) (link.Conn, error)) error {
	if i == 0 || t.settings.Dialogue == DialogueReference {
		if i > 0 {
			t.line.Close()
			t.collect()
		}
		conn, err := dial(ctx)
		if err != nil {
			return &link.Error{Op: "open", Err: err}
		}
		t.line = listen(conn, t.log)
	}
	return step(ctx)
}

// notReady says whether a step failed as it does on a terminal that cannot take a
// connection yet: it is refused, broken off, or nobody answers on it.
func notReady(err error) bool {
	_, line := errors.AsType[*link.Error](err)
	return line && !errors.Is(err, errStranger)
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

var errStranger = errors.New("the terminal says that it is not one of the bank's")

func (t *terminal) identify(ctx context.Context) error {
	a, err := t.ask(ctx, service(msgIdentify), nil)
	if err == nil && (a.failed || a.result != "" && a.result != "true") {
		err = &link.Error{Op: msgIdentify, Sent: true, Err: errStranger}
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
