package gateway

import (
	"context"
	"errors"
	"slices"
	"sync"

	"tillgate/internal/payment"
)

// notices is what takes in what notifiers tell. It stands beside the lanes: a
// sale waits for none of it.
type notices struct {
	mu    sync.Mutex // one notice at a time: what is judged is what is written
	index *index     // nil: no notifier is configured
}

// errNotReady is returned until the journal has been read after a start.
var errNotReady = errors.New("the journal is still being read")

// Notify takes one notice and returns when it is durable. known says that it was
// told before and changed nothing. An error means that it is not known to be
// durable: the sender has to be told so and will come again.
//
//	known? · whose payment? ─► one transaction: the notice under its own id,
//	                           the notice at the payment,
//	                           payment.contradicted or payment.external
//
// What is recorded is never changed by it: a notice that does not agree is a
// contradiction, and one about an open payment is evidence that settling uses.
func (g *Gateway) Notify(ctx context.Context, n payment.Notice) (known bool, err error) {
	n.Payment, n.Match = "", ""
	if err := n.Validate(); err != nil {
		return false, err
	}
	x := g.notices.index
	if x == nil {
		return false, errors.New("notices are not enabled")
	}
	select {
	case <-x.ready:
	case <-ctx.Done():
		return false, errNotReady
	}
	g.notices.mu.Lock()
	defer g.notices.mu.Unlock()
	id := payment.External(n.From, n.Transaction)
	all, err := g.journal.Find(id)
	switch {
	case payment.ReasonOf(err) == payment.ReasonExpired:
		return true, nil // told so long ago that only its hash is left
	case payment.ReasonOf(err) == payment.ReasonNotFound:
		all = payment.Record{Transaction: payment.Transaction{Request: payment.Request{ID: id}}}
	case err != nil:
		return false, err
	case all.Heard(n.From, n.Key):
		return true, nil
	}
	t := taking{g: g, b: g.batch(), all: all, n: n}
	if err := t.take(); err != nil {
		return false, err
	}
	if err := t.b.commit(); err != nil {
		return false, err
	}
	t.tell()
	return false, nil
}

// taking is one notice on its way into the journal.
type taking struct {
	g   *Gateway
	b   *batch
	all payment.Record // everything told about the transaction
	n   payment.Notice

	open       []payment.Record // told of, and not over
	contradict []payment.ID
}

func (t *taking) take() error {
	paid, found, err := t.g.whose(&t.n)
	if err != nil {
		return err
	}
	before, _ := payment.Standing(t.all.Notices)
	t.b.step(&t.all, payment.Step{Kind: payment.StepNotified, Notice: &t.n})
	if t.b.err != nil {
		return t.b.err
	}
	switch {
	case t.n.Operation == payment.Reconciliation:
		return t.settlement()
	case found:
		return t.about(paid)
	}
	after, _ := payment.Standing(t.all.Notices)
	late := len(t.all.Notices) > 1 && after.Result == before.Result && t.n.Outcome.Result == payment.Approved
	t.announce(payment.ExternalNews{Record: t.all.View(), Late: late, Possible: t.g.possible(t.n)})
	return nil
}

func (t *taking) announce(news payment.ExternalNews) {
	t.b.events = append(t.b.events, payment.NewEvent(payment.EventExternal, payment.About(t.all.ID), t.b.at, t.n.Test, news))
}

// about puts the notice to the payment it is about and judges the two.
func (t *taking) about(paid payment.Record) error {
	own, ok, err := t.ours(paid)
	if err != nil {
		return err
	}
	if ok {
		paid = own
	}
	t.b.step(&paid, payment.Step{Kind: payment.StepNotified, Notice: &t.n})
	if paid.State == payment.StateFinal {
		t.judge(paid, verdict(paid))
	}
	if paid.Open() {
		t.open = append(t.open, paid)
	}
	return t.b.err
}

// ours finds our own reversal, refund or completion of a payment, which the
// acquirer tells of: then nothing was done behind our back.
func (t *taking) ours(paid payment.Record) (payment.Record, bool, error) {
	if !follows(t.n.Operation) || follows(paid.Operation) {
		return payment.Record{}, false, nil
	}
	related, err := t.g.journal.Related(paid.ID)
	if err != nil {
		return payment.Record{}, false, err
	}
	for _, r := range related {
		kind := takesBack(r.Operation) == takesBack(t.n.Operation)
		alive := r.State != payment.StateFinal || !r.Outcome.Result.NotPaid()
		if kind && alive && !differ(r.Amount, t.n.Outcome.Amount) {
			return r, true, nil
		}
	}
	return payment.Record{}, false, nil
}

// judge contradicts what is recorded if the acquirer says otherwise.
func (t *taking) judge(rec payment.Record, o payment.Outcome) {
	if !disagree(rec, o) {
		return
	}
	o.Source = payment.SourceNotification
	t.b.step(&rec, payment.Step{Kind: payment.StepContradict, Outcome: &o}).announce(payment.EventContradicted, rec)
	t.contradict = append(t.contradict, rec.ID)
}

// settlement compares every transaction of a settlement with the journal. Only
// what is news is written: a batch can have thousands.
func (t *taking) settlement() error {
	news := payment.ExternalNews{}
	seen := map[payment.ID]bool{}
	for _, s := range t.n.Settled {
		n := payment.Notice{Test: t.n.Test, Operation: payment.Purchase, Names: []string{s.Name}, Outcome: payment.Outcome{Result: payment.Approved, Reference: payment.Reference{RRN: s.RRN}, Source: payment.SourceNotification, Text: "the acquirer has settled it"}}
		rec, ok, err := t.g.whose(&n)
		if err != nil {
			return err
		}
		if !ok {
			news.Unmatched = append(news.Unmatched, s)
			continue
		}
		news.Matched++
		if seen[rec.ID] {
			continue
		}
		seen[rec.ID] = true
		if rec.Unsettled() && n.Match.Names() {
			n.From, n.Key, n.Transaction, n.At, n.Test = t.n.From, t.n.Key, t.n.Transaction, t.n.At, t.n.Test
			if !rec.Heard(n.From, n.Key) {
				t.b.step(&rec, payment.Step{Kind: payment.StepNotified, Notice: &n})
				t.open = append(t.open, rec)
			}
			continue
		}
		if rec.State == payment.StateFinal {
			t.judge(rec, n.Outcome)
		}
	}
	news.Record = t.all.View()
	news.Notices = slices.Clone(news.Notices)
	for i := range news.Notices {
		news.Notices[i].Settled = nil // the journal has it; an event is for a broker that bounds its messages
	}
	t.announce(news)
	return t.b.err
}

// tell acts on what is durable now.
func (t *taking) tell() {
	for _, id := range t.contradict {
		t.g.Raise(payment.AlertContradicted, contradictedText, id)
	}
	for _, rec := range t.open {
		t.g.notices.index.await(rec.ID)
		t.g.check(rec.ID) // it may have become final meanwhile
		if l := t.g.byName[rec.Terminal]; l != nil {
			l.wake()
		}
	}
	t.g.log.Info("notice taken", "from", t.n.From, "operation", string(t.n.Operation), "result", string(t.n.Outcome.Result), "payment", string(t.n.Payment), "match", string(t.n.Match))
}

// possible are the unsettled payments that a notice without a name may be about.
func (g *Gateway) possible(n payment.Notice) []payment.ID {
	open, err := g.journal.Open()
	if err != nil {
		return nil
	}
	var ids []payment.ID
	for _, r := range open {
		if r.Unsettled() && r.Operation == n.Operation && r.Amount == n.Outcome.Amount && len(ids) < 8 {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// crossCheck compares a payment that has just become final with what was told
// of it before.
func (g *Gateway) crossCheck(id payment.ID) {
	g.notices.mu.Lock()
	defer g.notices.mu.Unlock()
	g.check(id)
}

// check is crossCheck for whoever has the lock.
func (g *Gateway) check(id payment.ID) {
	rec, err := g.journal.Find(id)
	if err != nil || rec.State != payment.StateFinal || rec.Resolution != nil || len(rec.Notices) == 0 {
		return
	}
	o := verdict(rec)
	if !disagree(rec, o) {
		return
	}
	b := g.batch()
	o.Source = payment.SourceNotification
	b.step(&rec, payment.Step{Kind: payment.StepContradict, Outcome: &o}).announce(payment.EventContradicted, rec)
	if err := b.commit(); err != nil {
		g.log.Error("contradiction not recorded", "id", string(id), "err", err)
		return
	}
	g.Raise(payment.AlertContradicted, contradictedText, id)
}
