package ssi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// Driver is this protocol, for the list of drivers.
func Driver() link.Driver {
	return link.Driver{
		Name:  "ssi",
		Title: "SSI SmartPOS_EMV, JSON over TCP, HTTP or serial",

		Currency: "UAH",
		Line:     "baud=9600", // 9600 8N1 in every known client; the document names no speed
		Operations: []payment.Operation{
			payment.Purchase, payment.Refund, payment.Reversal, payment.Preauthorization, payment.Completion, payment.CashAdvance, payment.Deposit,
			payment.Balance, payment.Reconciliation, payment.Totals, payment.Diagnosis, payment.Lookup, payment.Abort, payment.Print,
		},
		Cashback:   true,
		Merchants:  true,
		Preserving: []payment.Operation{payment.Lookup, payment.Diagnosis, payment.Abort},
		CanAbort:   true,
		Settings:   func() any { return defaults() },
		Check:      check,
		Open:       Open,
		Explain:    Explain,
		Simulate:   func(c link.SimulatorConfig) (link.Simulator, error) { return NewSimulator(c) },
	}
}

// terminal is one open terminal. One goroutine owns it.
type terminal struct {
	line     line
	settings *Settings
	currency string
	longest  time.Duration
	log      *slog.Logger
	next     time.Time // before it no request is sent
	identity identity  // as far as the terminal has told
	noUID    bool      // the terminal does not know GetResultByUid

	// merchants are those of the terminal, asked for once in the life of a
	// connection; listed says that they were.
	merchants []string
	listed    bool

	xLast bool // the last report that was asked for here was an X report

	// took is the last result that was given to an attempt on this connection,
	// which is no evidence for any other.
	took struct{ fingerprint, attempt string }
}

var (
	_ link.Terminal      = (*terminal)(nil)
	_ link.Baseliner     = (*terminal)(nil)
	_ link.Diagnoser     = (*terminal)(nil)
	_ link.HostDiagnoser = (*terminal)(nil)
	_ link.Totaller      = (*terminal)(nil)
	_ link.Printer       = (*terminal)(nil)
	_ link.Restarter     = (*terminal)(nil)
)

// Open connects, and makes sure that a terminal answers. PingDevice may be sent
// in any status (5.5.3). An address that begins with http:// is a web service;
// everything else is opened with c.Dial.
func Open(ctx context.Context, c link.Config) (link.Terminal, error) {
	c, s, err := link.Prepare(c, "UAH", defaults)
	if err != nil {
		return nil, err
	}
	t := &terminal{settings: s, currency: c.Currency, longest: c.Longest, log: c.Log}
	if t.line, err = connect(ctx, c, s, t.log); err != nil {
		return nil, &link.Error{Op: "open", Err: err}
	}
	// Whatever it says to it: it is there, and speaks this protocol.
	if _, err := t.ask(ctx, request{Method: mPingDevice}); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func connect(ctx context.Context, c link.Config, s *Settings, log *slog.Logger) (line, error) {
	if (s.Wire == WireAuto || s.Wire == WireHTTP) && stream.IsWeb(c.Address) {
		return newWeb(c.Address)
	}
	if s.Wire == WireHTTP {
		return &web{stream.Calls{Dial: c.Dial}, "http://terminal/"}, nil
	}
	if s.Connection == ConnectionEach || s.Connection == ConnectionAuto && strings.HasPrefix(c.Address, "tcp://") {
		return &calls{stream.Calls{Dial: c.Dial}, s.IdleGap, log}, nil
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return newSerial(conn, s.IdleGap, log), nil
}

// Close ends the connection and wakes a running Execute.
func (t *terminal) Close() error { return t.line.Close() }

// ask makes one exchange, no sooner than the gap after the one before. Its
// errors are of type [link.Error].
func (t *terminal) ask(ctx context.Context, r request) (answer, error) {
	if err := t.pause(ctx, time.Until(t.next)); err != nil {
		return answer{}, &link.Error{Op: r.Method, Err: err}
	}
	a, sent, err := t.line.exchange(ctx, r, t.settings.RequestTimeout)
	t.next = time.Now().Add(t.settings.Gap)
	if err != nil {
		return answer{}, &link.Error{Op: r.Method, Sent: sent, Err: err}
	}
	return a, nil
}

func (t *terminal) pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// status asks how the terminal is.
func (t *terminal) status(ctx context.Context) (string, error) {
	a, err := t.ask(ctx, request{Method: mGetStatus})
	switch {
	case err != nil:
		return "", err
	case a.failed() || a.status() == "":
		return statusBusy, nil // it answers, and does not say: never idle
	}
	return a.status(), nil
}

// refusedError is what a terminal says when it does not do what it was asked
// for. The connection is in order.
type refusedError struct {
	method, code, why string
}

func (e *refusedError) Error() string {
	return fmt.Sprintf("the terminal refuses %s: %s", e.method, e.why)
}

// tell asks a question and makes an error of a refusal.
func (t *terminal) tell(ctx context.Context, r request) (answer, error) {
	a, err := t.ask(ctx, r)
	if err == nil && a.failed() {
		err = &refusedError{r.Method, a.code(), a.why()}
	}
	return a, err
}

// refusedWith is the code with which the terminal refused, or "".
func refusedWith(err error) string {
	if e, ok := errors.AsType[*refusedError](err); ok {
		return e.code
	}
	return ""
}

// Execute sends the command of tx once and follows it until the terminal is
// idle again. When d.Abort is closed it sends Interrupt while the terminal
// waits for the card or the PIN; elsewhere the terminal would not hear it.
//
// A command whose acknowledgement is lost is followed too, as long as there is
// a way to the terminal: the customer may stand before it. What it then shows
// counts only if [terminal.Lookup] would count it.
func (t *terminal) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	r, err := t.request(tx)
	if err != nil {
		return payment.Outcome{}, &link.Error{Op: string(tx.Operation), Err: err}
	}
	a, err := t.ask(ctx, r)
	switch {
	case err != nil && (!link.Sent(err) || !t.reachable(ctx, err)):
		return payment.Outcome{}, err
	case err == nil && a.failed():
		return t.refused(r, a)
	}
	x := &running{t: t, r: r, tx: tx, d: d, until: time.Now().Add(t.longest), unheard: err}
	if err == nil {
		x.begin()
	}
	return x.follow(ctx)
}

// refused says what it means that the terminal did not accept a command: of a
// code that says so, that nothing was done and nothing will be.
func (t *terminal) refused(r request, a answer) (payment.Outcome, error) {
	code, known := errorCodes[a.code()]
	if !known || !code.refused {
		return payment.Outcome{}, &link.Error{Op: r.Method, Sent: true, Err: &link.Answered{
			Condition: code.condition, Vendor: payment.VendorCode{Code: a.code(), Text: a.why()}, Err: &refusedError{r.Method, a.code(), a.why()},
		}}
	}
	return payment.Outcome{
		Result: payment.Failed, Condition: code.condition, Source: payment.SourceAnswer, Text: code.text,
		Vendor: payment.VendorCode{Code: a.code(), Text: a.why()},
	}, nil
}

// reachable says whether the terminal can be asked further after err.
func (t *terminal) reachable(ctx context.Context, err error) bool {
	return ctx.Err() == nil && !errors.Is(err, net.ErrClosed) && (t.line.fresh() || errors.Is(err, stream.ErrSilent))
}

// firstStage is what the customer is told before the terminal has said how it
// is: a void, a completion and a report need no card.
func firstStage(op payment.Operation) payment.Stage {
	switch op {
	case payment.Reconciliation, payment.Reversal, payment.Completion:
		return payment.StageHost
	}
	return payment.StageWaitingCard
}
