package gateway

import (
	"context"
	"strings"
	"sync"
	"time"

	"tillgate/internal/payment"
)

const (
	// maxIndex bounds how many payments notices can be matched to by other
	// names than our id: about 700 bytes each, measured with all four names.
	maxIndex = 4096
	// indexBack is how far back a start reads for them: acquirers settle and
	// repeat within days.
	indexBack = 14 * 24 * time.Hour
	// attemptPrefix is the shortest that a protocol cuts an attempt to.
	attemptPrefix = 12
)

// index finds payments by the names that others have for them. It is a view of
// the journal, kept in memory, bounded, and never written.
type index struct {
	ready chan struct{}

	mu      sync.Mutex
	names   map[string][]payment.ID // "a:" attempt, "o:" order, "r:" RRN, "s:" STAN
	keys    map[payment.ID][]string
	ring    []payment.ID
	next    int
	waiting map[payment.ID]bool // unsettled, and told of
}

func newIndex() *index {
	return &index{ready: make(chan struct{}), names: map[string][]payment.ID{}, keys: map[payment.ID][]string{}, waiting: map[payment.ID]bool{}}
}

// noticed is the journal with an index beside it: what is durable is learnt.
type noticed struct {
	Journal
	g *Gateway
}

func (j noticed) Begin(tx payment.Transaction) (payment.Record, bool, error) {
	rec, known, err := j.Journal.Begin(tx)
	if err == nil && !known {
		j.g.notices.index.begun(tx)
	}
	return rec, known, err
}

func (j noticed) Append(steps []payment.Step, events []payment.Event) error {
	err := j.Journal.Append(steps, events)
	if err != nil {
		return err
	}
	x := j.g.notices.index
	for _, s := range steps {
		if s.Outcome != nil && s.Kind != payment.StepContradict {
			x.learn(s.ID, s.Outcome.Reference)
		}
		if s.Kind == payment.StepFinished && x.awaited(s.ID) {
			j.g.crossCheck(s.ID)
		}
	}
	return nil
}

// fill reads what the journal has from before the start. A payment that became
// final while nobody could compare it is compared now.
func (g *Gateway) fillIndex(ctx context.Context) {
	x := g.notices.index
	var check []payment.ID
	for rec, err := range g.journal.Since(g.now().Time.Add(-indexBack)) {
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			g.log.Warn("reading the journal for notices", "err", err)
			continue
		}
		x.begun(rec.Transaction)
		x.learn(rec.ID, rec.Outcome.Reference)
		if len(rec.Notices) == 0 {
			continue
		}
		if rec.State == payment.StateFinal {
			check = append(check, rec.ID)
		} else {
			x.await(rec.ID)
		}
	}
	close(x.ready)
	for _, id := range check {
		g.crossCheck(id)
	}
}

func (x *index) begun(tx payment.Transaction) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.add(tx.ID, "a:"+tx.Attempt[:min(len(tx.Attempt), attemptPrefix)])
	if tx.Order != "" {
		x.add(tx.ID, "o:"+tx.Order)
	}
}

func (x *index) learn(id payment.ID, r payment.Reference) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.RRN != "" {
		x.add(id, "r:"+r.RRN)
	}
	if r.STAN != "" {
		x.add(id, "s:"+r.STAN)
	}
}

// add names a payment. The oldest payment is forgotten at the bound.
func (x *index) add(id payment.ID, name string) {
	keys, known := x.keys[id]
	for _, k := range keys {
		if k == name {
			return
		}
	}
	if !known {
		if len(x.ring) < maxIndex {
			x.ring = append(x.ring, id)
		} else {
			x.forget(x.ring[x.next])
			x.ring[x.next] = id
			x.next = (x.next + 1) % maxIndex
		}
	}
	if len(x.names[name]) >= 64 { // one order of very many parts
		return
	}
	x.keys[id] = append(keys, name)
	x.names[name] = append(x.names[name], id)
}

func (x *index) forget(id payment.ID) {
	for _, k := range x.keys[id] {
		var rest []payment.ID
		for _, other := range x.names[k] {
			if other != id {
				rest = append(rest, other)
			}
		}
		if x.names[k] = rest; len(rest) == 0 {
			delete(x.names, k)
		}
	}
	delete(x.keys, id)
}

func (x *index) find(name string) []payment.ID {
	x.mu.Lock()
	defer x.mu.Unlock()
	return append([]payment.ID(nil), x.names[name]...)
}

func (x *index) await(id payment.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.waiting[id] = true
}

func (x *index) awaited(id payment.ID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	was := x.waiting[id]
	delete(x.waiting, id)
	return was
}

// whose finds the payment a notice is about and notes by what. Several that fit
// by a weaker name are told apart by the acquirer's references; if that does not
// do, the notice is about none. What is simulated is never about a real payment.
func (g *Gateway) whose(n *payment.Notice) (payment.Record, bool, error) {
	rec, found, err := g.anyones(n)
	if found && n.Test && !rec.Test {
		n.Payment, n.Match = "", ""
		return payment.Record{}, false, nil
	}
	return rec, found, err
}

func (g *Gateway) anyones(n *payment.Notice) (payment.Record, bool, error) {
	for _, name := range n.Names {
		rec, match, err := g.named(n, name)
		if err != nil {
			return payment.Record{}, false, err
		}
		if match != "" {
			n.Payment, n.Match = rec.ID, match
			return rec, true, nil
		}
	}
	ref := n.Outcome.Reference
	var err error
	by := func(match payment.Match, name string, fits func(payment.Record) bool) (rec payment.Record, ok bool) {
		var found []payment.Record
		found, err = g.those(g.notices.index.find(name), fits)
		if len(found) == 1 {
			n.Payment, n.Match = found[0].ID, match
			return found[0], true
		}
		return rec, false
	}
	if ref.RRN != "" {
		rec, ok := by(payment.MatchRRN, "r:"+ref.RRN, func(r payment.Record) bool {
			return r.Outcome.Reference.RRN == ref.RRN && !differ(r.Outcome.Amount, n.Outcome.Amount) && agree(r.Outcome.Reference.TID, ref.TID)
		})
		if ok || err != nil {
			return rec, ok, err
		}
	}
	if ref.STAN != "" && ref.TID != "" {
		rec, ok := by(payment.MatchSTAN, "s:"+ref.STAN, func(r payment.Record) bool {
			o := r.Outcome
			return o.Reference.STAN == ref.STAN && o.Reference.TID == ref.TID && agree(o.Reference.Batch, ref.Batch) && agree(o.Reference.RRN, ref.RRN) && o.Amount == n.Outcome.Amount
		})
		return rec, ok, err
	}
	return payment.Record{}, false, nil
}

// named finds the payment that a sender calls name.
func (g *Gateway) named(n *payment.Notice, name string) (payment.Record, payment.Match, error) {
	if name == "" || len(name) > payment.MaxNoticeText {
		return payment.Record{}, "", nil
	}
	if id := payment.ID(name); len(name) <= payment.MaxID && !id.Derived() {
		rec, err := g.journal.Find(id)
		if err == nil {
			return rec, payment.MatchID, nil
		}
		if payment.ReasonOf(err) == "" {
			return rec, "", err
		}
	}
	if len(name) >= attemptPrefix {
		found, err := g.those(g.notices.index.find("a:"+name[:attemptPrefix]), func(r payment.Record) bool { return strings.HasPrefix(r.Attempt, name) })
		if err != nil || len(found) == 1 {
			return first(found), payment.MatchAttempt, err
		}
	}
	fits := func(r payment.Record) bool {
		return r.Order == name && counts(r.Operation, n.Operation) && !differ(r.Amount, n.Outcome.Amount)
	}
	found, err := g.those(g.notices.index.find("o:"+name), fits)
	if err != nil {
		return payment.Record{}, "", err
	}
	if len(found) > 1 { // a declined try, then another one
		found = narrow(found, n.Outcome)
	}
	if len(found) == 1 {
		return found[0], payment.MatchOrder, nil
	}
	return payment.Record{}, "", nil
}

// counts says whether a notice of one operation can be about a payment of
// another: what takes money back names what it takes back.
func counts(recorded, told payment.Operation) bool {
	switch told {
	case payment.Reversal, payment.Refund, payment.Completion:
		return recorded.MovesMoney()
	}
	return recorded == told
}

// narrow picks the payment of an order that a notice fits best: the one with
// the acquirer's reference, else the only one that is not certainly unpaid.
func narrow(found []payment.Record, o payment.Outcome) []payment.Record {
	var same, alive []payment.Record
	for _, r := range found {
		if ref := r.Outcome.Reference; ref.RRN != "" && ref.RRN == o.Reference.RRN {
			same = append(same, r)
		}
		if r.State != payment.StateFinal || !r.Outcome.Result.NotPaid() {
			alive = append(alive, r)
		}
	}
	if len(same) == 1 {
		return same
	}
	if len(alive) == 1 {
		return alive
	}
	if len(alive) == 0 { // all are declined here: the bank means the last one
		return found[len(found)-1:]
	}
	return nil
}

// those reads payments and keeps the ones that fit.
func (g *Gateway) those(ids []payment.ID, fits func(payment.Record) bool) ([]payment.Record, error) {
	var found []payment.Record
	for _, id := range ids {
		rec, err := g.journal.Find(id)
		if err != nil {
			if payment.ReasonOf(err) != "" {
				continue
			}
			return nil, err
		}
		if fits(rec) {
			found = append(found, rec)
		}
	}
	return found, nil
}

// agree says whether two texts are the same as far as both are known.
func agree(a, b string) bool { return a == "" || b == "" || a == b }

func first(rs []payment.Record) payment.Record {
	if len(rs) == 0 {
		return payment.Record{}
	}
	return rs[0]
}
