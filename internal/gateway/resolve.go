package gateway

import (
	"slices"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// resolve lets a person end a doubt, or say what became of a payment that could
// not be given back or was contradicted, with name and reason. "Not paid" needs a
// lookup since the doubt began, or force. The terminal is still asked at the
// next connection; what it says then never overwrites the person.
func (g *Gateway) resolve(c payment.Command) (payment.Reply, error) {
	rec, err := g.journal.Find(c.ID)
	if err != nil {
		return payment.Reply{}, err
	}
	l := g.byName[rec.Terminal]
	if err := checkResolution(c, rec, l); err != nil {
		return payment.Reply{}, err
	}
	o := rec.Outcome
	o.Result, o.Source, o.Text = c.Result, payment.SourcePerson, "resolved by "+c.By+": "+c.Reason
	if c.Result == payment.Approved && o.Amount.IsZero() {
		o.Amount = rec.Amount
	}
	before := rec
	b := g.batch().step(&rec, payment.Step{Kind: payment.StepResolved, Outcome: &o, By: c.By, Reason: c.Reason})
	if before.State != payment.StateFinal {
		b.announce(payment.EventFinal, rec)
		g.takeBack(b, rec)
	} else {
		b.announce(payment.EventResolved, rec) // its final event was told before
	}
	if err := b.commit(); err != nil {
		return payment.Reply{}, err
	}
	for _, code := range []payment.AlertCode{payment.AlertInDoubt, payment.AlertAmount, payment.AlertUnreversed, payment.AlertContradicted} {
		g.clear(code, rec.ID)
	}
	return g.changed(rec), nil
}

func checkResolution(c payment.Command, rec payment.Record, l *lane) error {
	var v payment.Invalid
	may := []payment.Result{payment.Approved, payment.Declined, payment.Failed, payment.Reversed}
	if !slices.Contains(may, c.Result) {
		v = append(v, payment.Problem{Field: "result", Text: "must be approved, declined, failed or reversed"})
	}
	for field, text := range map[string]string{"by": c.By, "reason": c.Reason} {
		if text == "" || len(text) > payment.MaxText {
			v = append(v, payment.Problem{Field: field, Text: "is required, 256 characters at most"})
		}
	}
	if len(v) > 0 {
		return v
	}
	if rec.State == payment.StateFinal && !rec.NeedsPerson() {
		return payment.Refuse(payment.ReasonState, "payment %s is %s: there is no doubt to end", rec.ID, rec.Outcome.Result)
	}
	if l != nil && l.isRunning(rec.ID) {
		return payment.Refuse(payment.ReasonBusy, "payment %s is at the terminal now: its answer decides", rec.ID)
	}
	if c.Result.NotPaid() && !c.Force && !rec.NeedsPerson() && (l == nil || !l.hasAsked(rec.ID)) {
		return payment.Refuse(payment.ReasonState, "payment %s: the terminal has not been asked since the doubt began; connect it, or force", rec.ID)
	}
	return nil
}

func (l *lane) hasAsked(id payment.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[id]
}

// evidence writes down what the terminal said about a payment that a person
// had resolved. err is why it could not say.
func (l *lane) evidence(rec payment.Record, o payment.Outcome, err error) error {
	if err != nil {
		o = payment.Outcome{Result: payment.InDoubt, Source: payment.SourceLookup, Text: err.Error()}
	}
	b := l.g.batch()
	if agrees(rec.Outcome.Result, o.Result) {
		b.step(&rec, payment.Step{Kind: payment.StepEvidence, Outcome: &o})
	} else {
		l.g.contradict(b, &rec, o)
	}
	_ = b.commit() // a failed journal has raised its alert, and the evidence stays owed
	return nil
}

// agrees says whether evidence fits what is recorded. Evidence that says
// nothing contradicts nothing.
func agrees(recorded, evidence payment.Result) bool {
	return evidence == payment.InDoubt || recorded.NotPaid() == evidence.NotPaid()
}

// contradict records evidence against what is recorded; nothing is overwritten.
func (g *Gateway) contradict(b *batch, rec *payment.Record, o payment.Outcome) {
	b.step(rec, payment.Step{Kind: payment.StepContradict, Outcome: &o}).announce(payment.EventContradicted, *rec)
	g.Raise(payment.AlertContradicted, contradictedText, rec.ID)
}

const contradictedText = "a terminal contradicts what is recorded of a payment: compare slip and statement, then `tillgate resolve`"

// stray deals with an answer that named another attempt than the one served:
// it is evidence for that one.
func (l *lane) stray(o payment.Outcome) {
	rec, found := l.byAttempt(o.Attempt)
	if !found {
		l.log.Warn("answer for an attempt the journal does not have", "attempt", o.Attempt, "result", string(o.Result))
		return
	}
	switch {
	case rec.State == payment.StateBegun || rec.State == payment.StateInDoubt:
		l.answers[rec.ID] = o // the next settling concludes with it
	case rec.State == payment.StateFinal && !agrees(rec.Outcome.Result, o.Result):
		b := l.g.batch()
		l.g.contradict(b, &rec, o)
		if b.commit() != nil {
			l.log.Error("contradiction not recorded", "id", string(rec.ID))
		}
	}
}

// byAttempt finds the payment of an attempt among those of the last two days:
// no answer comes later than that.
func (l *lane) byAttempt(attempt string) (payment.Record, bool) {
	if len(attempt) < 12 { // the shortest that a protocol cuts an attempt to
		return payment.Record{}, false
	}
	open, _ := l.open()
	for _, rec := range open {
		if strings.HasPrefix(rec.Attempt, attempt) {
			return rec, true
		}
	}
	for rec, err := range l.g.journal.Since(l.g.now().Time.Add(-48 * time.Hour)) {
		if err == nil && rec.Terminal == l.cfg.Name && strings.HasPrefix(rec.Attempt, attempt) {
			return rec, true
		}
	}
	return payment.Record{}, false
}
