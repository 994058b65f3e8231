package ecrvn

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// Driver is this protocol, for the list of drivers.
func Driver() link.Driver {
	return link.Driver{
		Name:       "ecrvn",
		Title:      "Ingenico Vietnam, /ecr?rqt= over RS232 or a web service",
		Currency:   "VND",
		Operations: []payment.Operation{payment.Purchase, payment.Reversal, payment.Reconciliation, payment.Lookup, payment.Diagnosis},
		Preserving: []payment.Operation{payment.Lookup, payment.Diagnosis},
		Settings:   func() any { return defaults() },
		Check:      check,
		Open:       Open,
		Explain:    Explain,
		Simulate:   func(c link.SimulatorConfig) (link.Simulator, error) { return NewSimulator(c) },
	}
}

// terminal is one open connection. One goroutine owns it.
type terminal struct {
	line     line
	settings *Settings
	currency string
	longest  time.Duration
	log      *slog.Logger

	// strays are answers to money commands that came while something else was
	// asked. They wait for the attempt they name, or for the next Execute.
	strays []answer
}

var (
	_ link.Terminal  = (*terminal)(nil)
	_ link.Baseliner = (*terminal)(nil)
	_ link.Diagnoser = (*terminal)(nil)
)

// Open connects, and asks for the last transaction to make sure that a terminal
// answers. The late answer to a money command is as good: a terminal that was
// busy need not have heard the question, and the answer must not be lost with
// the connection. An address that begins with http:// or https:// is a web service;
// everything else is opened with c.Dial.
func Open(ctx context.Context, c link.Config) (link.Terminal, error) {
	c, s, err := link.Prepare(c, "VND", defaults)
	if err != nil {
		return nil, err
	}
	t := &terminal{settings: s, currency: c.Currency, longest: c.Longest, log: c.Log}
	if t.line, err = connect(ctx, c, s, t.log); err != nil {
		return nil, &link.Error{Op: "open", Err: err}
	}
	heed := func(a answer) bool { t.keep(a); return moves(a) }
	if _, err := t.last(ctx, heed); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

func connect(ctx context.Context, c link.Config, s *Settings, log *slog.Logger) (line, error) {
	if stream.IsWeb(c.Address) {
		return newWeb(c.Address, s, log)
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return newSerial(conn, s.IdleGap, log), nil
}

// Close ends the connection and wakes a running Execute.
func (t *terminal) Close() error { return t.line.Close() }

// wireID is what the terminal gets to see of an attempt.
func (s *Settings) wireID(attempt string) string {
	return attempt[:min(len(attempt), s.RequestIDMax)]
}

// queryID is new for each question, so that a late answer to another one is
// not taken for the answer to this. A lower-case letter keeps it apart from
// attempts.
func (s *Settings) queryID() string { return "q" + rand.Text()[:11] }

// Execute sends the command of tx once and reads until the terminal answers.
//
// The protocol has no abort: when d.Abort is closed Execute reads on, and the
// terminal's own time-out or the customer ends the sale.
func (t *terminal) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	req, err := t.request(tx)
	if err != nil {
		return payment.Outcome{}, &link.Error{Op: string(tx.Operation), Err: err}
	}
	t.hand(d)
	var ours answer
	sent, err := t.line.exchange(ctx, call{
		query:  req.query(),
		within: t.longest,
		wrote:  func() { d.Report(firstStage(tx.Operation), payment.VendorCode{}) },
		take: func(a answer) bool {
			if a.requestID == req.id {
				ours = a
				return true
			}
			if moves(a) {
				d.Stray(t.stray(a))
			}
			return false
		},
	})
	if err == nil {
		if tx.Operation == payment.Purchase && gaveUp(ours) {
			return t.gaveUp(ctx, tx, ours)
		}
		err = t.accept(ours, tx)
	}
	if err != nil {
		return payment.Outcome{}, &link.Error{Op: req.command, Sent: sent, Err: err}
	}
	return t.settings.outcome(ours, payment.SourceAnswer), nil
}

// firstStage is all that is known of the progress of a command: the protocol
// tells none. A sale asks for a card; the others go straight to the bank.
func firstStage(op payment.Operation) payment.Stage {
	if op == payment.Purchase {
		return payment.StageWaitingCard
	}
	return payment.StageHost
}

// request writes tx down in the terminal's language.
func (t *terminal) request(tx payment.Transaction) (request, error) {
	if err := check(t.settings, tx.Request); err != nil {
		return request{}, err
	}
	id, client := t.settings.wireID(tx.Attempt), t.settings.ClientID
	if id == "" || !carried(id) {
		return request{}, errors.New("the attempt has no id that can be sent")
	}
	switch tx.Operation {
	case payment.Purchase:
		if tx.Amount.Currency != t.currency {
			return request{}, fmt.Errorf("the terminal takes %s", t.currency)
		}
		return sale(id, client, tx.Amount.Minor, t.settings.fields(tx)), nil
	case payment.Reversal:
		if tx.Original.Receipt == "" {
			return request{}, errors.New("the original has no receipt number, which a void needs")
		}
		return void(id, client, t.settings.receiptNo(tx.Original.Receipt)), nil
	case payment.Reconciliation:
		return settle(id, client, t.settings.SettleReceipt), nil
	}
	return request{}, fmt.Errorf("the protocol has no %s", tx.Operation)
}

// accept says whether an answer that names our attempt is an outcome of it.
func (t *terminal) accept(a answer, tx payment.Transaction) error {
	verdict := judge(a)
	switch {
	case a.command != commandOf(tx.Operation):
		return errors.New("the answer names our request and another command")
	case verdict == doubtful:
		return doubt(a)
	case verdict == done && tx.Operation == payment.Reversal:
		return t.echoes(a.info, tx)
	}
	return nil
}

// echoes checks that a void that was done is the one that was asked for: the
// answer has the receipt number and the amount of the original.
func (t *terminal) echoes(f info, tx payment.Transaction) error {
	if !sameNumber(f.receiptNo, tx.Original.Receipt) {
		return errors.New("the answer to the void names another receipt")
	}
	if !tx.Amount.IsZero() && t.settings.money(f) != tx.Amount {
		return errors.New("the answer to the void names another amount")
	}
	return nil
}

func commandOf(op payment.Operation) string {
	return map[payment.Operation]string{payment.Purchase: cmdSale, payment.Reversal: cmdVoid, payment.Reconciliation: cmdSettle}[op]
}

// moves says whether an answer is about a command that moves money. Late
// answers to questions are of no use to anybody.
func moves(a answer) bool {
	return (a.command == cmdSale || a.command == cmdVoid) && a.requestID != ""
}

// hand reports what came in for other attempts while nobody could be told.
func (t *terminal) hand(d link.Dialogue) {
	t.collect()
	for _, a := range t.strays {
		d.Stray(t.stray(a))
	}
	t.strays = nil
}

// collect takes in late answers; the oldest go when there are too many.
func (t *terminal) collect() {
	for _, a := range t.line.Late() {
		t.keep(a)
	}
}

func (t *terminal) keep(a answer) {
	if !moves(a) {
		return
	}
	if len(t.strays) == maxLate {
		t.log.Warn("late answer dropped, too many wait")
		t.strays = t.strays[1:]
	}
	t.strays = append(t.strays, a)
}

func (t *terminal) stray(a answer) payment.Outcome {
	o := t.settings.outcome(a, payment.SourceAnswer)
	o.Attempt = a.requestID
	return o
}
