package privat

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// hostTime is how long somebody has to choose a merchant on the terminal, if the
// context allows for it.
const hostTime = 15 * time.Second

// DiagnoseHost has the terminal test its way to the bank (5.5). A terminal with
// several merchants shows their list and waits until somebody has chosen one; it
// is interrupted if nobody has.
func (t *terminal) DiagnoseHost(ctx context.Context) (link.Diagnosis, error) {
	within := hostTime
	if end, ok := ctx.Deadline(); ok {
		within = min(within, time.Until(end)*3/4)
	}
	a, err := t.askWithin(ctx, request{method: methodHost}, nil, within)
	if errors.Is(err, stream.ErrSilent) {
		err = fmt.Errorf("%w: a terminal with several merchants waits until one is chosen on its keypad; %w", err, t.release(ctx))
	}
	switch {
	case errors.Is(err, errUnknownMethod):
		return link.Diagnosis{}, fmt.Errorf("%w: %w", link.ErrUnsupported, err)
	case err != nil:
		return link.Diagnosis{}, err
	}
	facts := map[string]string{"host": "reached", "host_code": payment.Word(a.code)}
	if a.failed || a.code != codeApproved {
		facts["host"] = "not reached"
		if c, ok := terminalCodes[a.code]; ok {
			facts["host_text"] = c.text
		}
	}
	return link.Diagnosis{Identity: t.identity, Facts: facts}, nil
}

// errReleased: the terminal does something else again.
var errReleased = errors.New("it was interrupted")

// release interrupts the test, so that the terminal can sell again, and waits
// until it has ended.
func (t *terminal) release(ctx context.Context) error {
	_, err := t.line.Write(ctx, service(msgInterrupt).frame(), stream.WriteTimeout)
	if err == nil {
		err = t.line.Wait(ctx, t.settings.QueryTimeout, func(a answer) bool {
			if moves(a.method) {
				t.keep(a)
			}
			return a.method == methodHost
		})
	}
	if err != nil {
		return fmt.Errorf("it could not be interrupted: %w", err)
	}
	return errReleased
}
