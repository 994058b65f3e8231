package gateway

import (
	"context"
	"errors"
	"slices"
	"time"

	"tillgate/internal/payment"
)

// Do carries out one command and answers at once: a money command as soon as
// it is durable, the others when they are done. It never blocks for a
// customer. A cancelled ctx gives up waiting, not the payment.
func (g *Gateway) Do(ctx context.Context, c payment.Command) payment.Reply {
	if op, ok := c.Verb.Operation(); ok {
		c.Operation = op
		return g.start(ctx, c)
	}
	reply, err := g.control(ctx, c)
	if err != nil {
		return payment.Refused(c, err)
	}
	reply.Verb, reply.ID = c.Verb, c.ID
	return reply
}

// start takes a command that is journalled: every money verb and reconcile.
func (g *Gateway) start(ctx context.Context, c payment.Command) payment.Reply {
	if c.Verb == payment.VerbReconcile && c.ID == "" {
		c.ID = payment.ID("reconcile-" + newAttempt())
	}
	if err := g.complete(&c.Request); err != nil {
		return payment.Refused(c, err)
	}
	if err := c.Request.Validate(); err != nil {
		return payment.Refused(c, err)
	}
	if c.ID.Derived() {
		return payment.Refused(c, payment.Invalid{{Field: "id", Text: "may not have '~'"}})
	}
	f, first := g.takeOff(c.Request)
	if !first {
		return g.sameFlight(ctx, c, f)
	}
	f.reply = g.startFirst(ctx, c)
	g.mu.Lock()
	delete(g.flights, c.ID)
	g.mu.Unlock()
	close(f.done)
	return f.reply
}

func (g *Gateway) takeOff(r payment.Request) (f *flight, first bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f = g.flights[r.ID]; f != nil {
		return f, false
	}
	f = &flight{request: r, done: make(chan struct{})}
	g.flights[r.ID] = f
	return f, true
}

// sameFlight answers a second command with an id that is on its way.
func (g *Gateway) sameFlight(ctx context.Context, c payment.Command, f *flight) payment.Reply {
	if !f.request.SameContent(c.Request) {
		return payment.Refused(c, payment.Refuse(payment.ReasonConflict, "id %s is being used for something else", c.ID))
	}
	select {
	case <-f.done:
	case <-ctx.Done():
		return payment.Refused(c, payment.Refuse(payment.ReasonBusy, "id %s is on its way: ask for it again with the same id", c.ID))
	}
	r := f.reply
	r.Known = r.Status == payment.ReplyAccepted
	return r
}

func (g *Gateway) startFirst(ctx context.Context, c payment.Command) payment.Reply {
	if reply, known := g.known(c); known {
		return reply
	}
	if g.isStopping() {
		return payment.Refused(c, payment.Refuse(payment.ReasonStopping, "the gateway is shutting down"))
	}
	l, err := g.lane(c.Terminal)
	if err == nil {
		err = l.admit(c.Request)
	}
	if err != nil {
		return payment.Refused(c, err)
	}
	return l.offer(ctx, c, 250*time.Millisecond)
}

// complete fills in what a request leaves open: the terminal, and for a
// reversal or refund what the journal knows of its original.
func (g *Gateway) complete(r *payment.Request) error {
	if id := r.Original.Payment; id != "" {
		orig, err := g.journal.Find(id)
		if err != nil {
			return err
		}
		if r.Terminal == "" {
			r.Terminal = orig.Terminal
		}
		if r.Terminal != orig.Terminal {
			return payment.Refuse(payment.ReasonUnknownTerminal, "payment %s was made on terminal %s", id, orig.Terminal)
		}
		r.Original = orig.AsOriginal()
		if left := orig.Outcome.Amount.Minor - orig.TakenBack.Minor; r.Operation == payment.Reversal && r.Amount.IsZero() && left > 0 {
			r.Amount = payment.Money{Minor: left, Currency: orig.Outcome.Amount.Currency}
		}
	}
	if r.Terminal == "" && len(g.lanes) == 1 {
		r.Terminal = g.lanes[0].cfg.Name
	}
	return nil
}

// known answers a command whose id the journal has: the same content gets the
// same answer, other content is a conflict, an old id is refused.
func (g *Gateway) known(c payment.Command) (payment.Reply, bool) {
	rec, err := g.journal.Find(c.ID)
	if err != nil {
		if payment.ReasonOf(err) == payment.ReasonNotFound {
			return payment.Reply{}, false
		}
		return payment.Refused(c, err), true
	}
	return g.knownRecord(c, rec), true
}

func (g *Gateway) knownRecord(c payment.Command, rec payment.Record) payment.Reply {
	if !rec.SameContent(c.Request) {
		return payment.Refused(c, payment.Refuse(payment.ReasonConflict, "id %s was used for something else: %s %s on %s", c.ID, rec.Operation, rec.Amount, rec.Terminal))
	}
	if age := g.now().Time.Sub(rec.Started.Time); age > g.opt.IDWindow && !rec.Open() {
		return payment.Refused(c, payment.Refuse(payment.ReasonExpired, "id %s is of %s: use a new id for a new payment", c.ID, rec.Started.Time.UTC().Format(time.RFC3339)))
	}
	view := rec.View()
	return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted, Known: true, Payment: &view}
}

// control carries out the commands that start nothing new.
func (g *Gateway) control(ctx context.Context, c payment.Command) (payment.Reply, error) {
	if err := needsID(c); err != nil {
		return payment.Reply{}, err
	}
	switch c.Verb {
	case payment.VerbLookup:
		return g.lookup(c)
	case payment.VerbDispense:
		return g.dispense(ctx, c)
	case payment.VerbCommit:
		return g.commit(c)
	case payment.VerbRollback:
		return g.rollback(c)
	case payment.VerbAbort:
		return g.abort(c)
	case payment.VerbResolve:
		return g.resolve(c)
	case payment.VerbPause, payment.VerbResume:
		return g.pause(c)
	case payment.VerbTotals, payment.VerbDiagnose, payment.VerbRestart, payment.VerbPrint, payment.VerbAccept:
		return g.question(ctx, c)
	case payment.VerbUpdate:
		return g.update(ctx, c)
	}
	return payment.Reply{}, payment.Invalid{{Field: "verb", Text: "is not known"}}
}

// needsID refuses a command about a payment that names none.
func needsID(c payment.Command) error {
	switch c.Verb {
	case payment.VerbPrint:
		if c.Print != payment.PrintReceipt && c.Print != "" {
			return nil
		}
	case payment.VerbLookup, payment.VerbDispense, payment.VerbCommit, payment.VerbRollback, payment.VerbAbort, payment.VerbResolve:
	default:
		return nil
	}
	if c.ID == "" {
		return payment.Invalid{{Field: "id", Text: "is required: that of the payment"}}
	}
	return nil
}

// question hands a command that starts no payment to the terminal's lane. The
// receipt of a payment is asked of the terminal that it was made on.
func (g *Gateway) question(ctx context.Context, c payment.Command) (payment.Reply, error) {
	if c.Verb == payment.VerbPrint {
		if err := g.completePrint(&c); err != nil {
			return payment.Reply{}, err
		}
	}
	l, err := g.lane(c.Terminal)
	if err != nil {
		return payment.Reply{}, err
	}
	return replyOrError(l.offer(ctx, c, 5*time.Second))
}

func (g *Gateway) completePrint(c *payment.Command) error {
	if c.Print == "" {
		c.Print = payment.PrintReceipt
	}
	switch {
	case !slices.Contains(payment.PrintKinds(), c.Print):
		return payment.Invalid{{Field: "print", Text: "is not known"}}
	case (c.Document != "") != (c.Print == payment.PrintDocument):
		return payment.Invalid{{Field: "document", Text: "is what a print of kind document needs, and no other has"}}
	case c.Print != payment.PrintReceipt:
		return nil
	}
	rec, err := g.journal.Find(c.ID)
	if err != nil {
		return err
	}
	if c.Terminal != "" && c.Terminal != rec.Terminal {
		return payment.Refuse(payment.ReasonUnknownTerminal, "payment %s was made on terminal %s", c.ID, rec.Terminal)
	}
	c.Terminal, c.Original = rec.Terminal, rec.AsOriginal()
	return nil
}

// lookup tells what the journal has, and wakes a lane that is still finding out.
func (g *Gateway) lookup(c payment.Command) (payment.Reply, error) {
	rec, err := g.journal.Find(c.ID)
	if err != nil {
		return payment.Reply{}, err
	}
	if l := g.byName[rec.Terminal]; l != nil && rec.Open() {
		l.wake()
	}
	view := rec.View()
	return payment.Reply{Status: payment.ReplyDone, Payment: &view}, nil
}

// abort asks the terminal to stop asking for a card. The terminal's answer
// decides what became of the payment.
func (g *Gateway) abort(c payment.Command) (payment.Reply, error) {
	g.mu.Lock()
	flies := g.flights[c.ID] != nil // before the journal is asked: it lands there
	g.mu.Unlock()
	rec, err := g.journal.Find(c.ID)
	switch {
	case err != nil && flies:
		return payment.Reply{}, payment.Refuse(payment.ReasonBusy, "payment %s is on its way to the terminal: ask again", c.ID)
	case err != nil:
		return payment.Reply{}, err
	}
	view := rec.View()
	l := g.byName[rec.Terminal]
	if l == nil || !l.abortRunning(c.ID) {
		return payment.Reply{}, payment.Refuse(payment.ReasonState, "payment %s is not waiting at a terminal", c.ID)
	}
	text := "the terminal was asked to stop; its answer decides"
	if !l.cfg.Driver.CanAbort {
		text = "this terminal cannot be stopped from here: the customer can press its cancel key; its answer decides"
	}
	return payment.Reply{Status: payment.ReplyDone, Text: text, Payment: &view}, nil
}

func replyOrError(r payment.Reply) (payment.Reply, error) {
	if r.Status == payment.ReplyRefused {
		return r, &payment.Refusal{Reason: r.Reason, Text: r.Text}
	}
	return r, nil
}

// isJournal says whether err means that the journal cannot be written.
func isJournal(err error) bool {
	_, invalid := errors.AsType[payment.Invalid](err)
	return err != nil && payment.ReasonOf(err) == "" && !invalid
}
