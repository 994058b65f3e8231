package payment

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Bounds of a notice. A decoder keeps to them; the gateway refuses the rest.
const (
	MaxNoticeText = 128    // characters of From, Key, Transaction and each name
	MaxNames      = 8      // names of one payment
	MaxSettled    = 10_000 // transactions of one settlement
	MaxNotices    = 64     // notices about one transaction
)

// Notice is what an acquirer told us by itself about one transaction: nobody
// asked, it may come twice, late and in any order, and its absence proves
// nothing.
type Notice struct {
	// From is the name of the notifier in the configuration. The listener sets it.
	From string `json:"from"`

	// Key makes it this notice: a second one of the same From, Transaction and
	// Key changes nothing. Required.
	Key string `json:"key"`

	// Transaction is the sender's own id of what it is about. A sale and what
	// takes it back have the same one. Required.
	Transaction string `json:"transaction"`

	// Names are what the sender calls our payment, best first: our id of it, the
	// attempt that the terminal was given, or the order.
	Names []string `json:"names,omitempty"`

	// Operation is what was done: purchase, preauthorization, completion,
	// reversal, refund or reconciliation.
	Operation Operation `json:"operation"`

	// Outcome is what became of it. Of a reversal, approved means that the money
	// went back. Its Reference has the acquirer's names.
	Outcome Outcome `json:"outcome"`

	At      time.Time `json:"at,omitzero"`       // by the sender's clock
	Test    bool      `json:"test,omitempty"`    // of a simulator
	Payment ID        `json:"payment,omitempty"` // the journalled payment it was found to be about; the gateway sets it
	Match   Match     `json:"match,omitempty"`   // by what; the gateway sets it

	// Settled lists what a reconciliation paid out.
	Settled []Settled `json:"settled,omitempty"`
}

// Match is by what a notice was found to be about a payment, surest first.
type Match string

const (
	MatchID      Match = "id"      // our own id of it
	MatchAttempt Match = "attempt" // the id the terminal was given
	MatchOrder   Match = "order"   // the only payment of the order that fits
	MatchRRN     Match = "rrn"     // reference of the acquirer, and the amount
	MatchSTAN    Match = "stan"    // STAN, terminal id and amount
)

// Names says whether the sender itself named the payment: only that ends a
// doubt.
func (m Match) Names() bool { return m == MatchID || m == MatchAttempt || m == MatchOrder }

// Settled is one transaction of a settlement.
type Settled struct {
	Name string `json:"name,omitempty"` // as in Notice.Names
	RRN  string `json:"rrn,omitempty"`
}

// Validate returns nil or an [Invalid] with every reason at once.
func (n Notice) Validate() error {
	var v Invalid
	for _, t := range []struct{ field, text string }{{"from", n.From}, {"key", n.Key}, {"transaction", n.Transaction}} {
		if t.text == "" {
			v.add(t.field, "is required")
		}
		checkText(&v, t.field, t.text, MaxNoticeText)
	}
	if len(n.Names) > MaxNames {
		v.add("names", "has more than %d entries", MaxNames)
	}
	for _, name := range n.Names {
		checkText(&v, "names", name, MaxNoticeText)
	}
	if len(n.Settled) > MaxSettled {
		v.add("settled", "has more than %d entries", MaxSettled)
	}
	for _, s := range n.Settled {
		checkText(&v, "settled", s.Name, MaxNoticeText)
		checkText(&v, "settled", s.RRN, MaxNoticeText)
		if len(v) > 8 {
			break
		}
	}
	if _, ok := noticeRank[n.Operation]; !ok {
		v.add("operation", "%q is nothing that is notified", Excerpt(string(n.Operation)))
	}
	if n.Outcome.Result == "" {
		v.add("outcome", "has no result")
	}
	if len(v) == 0 {
		return nil
	}
	return v
}

// External is the id under which the journal keeps what a notifier told about
// one transaction: "ext~zengi~20250528160901". A client cannot use it.
func External(from, transaction string) ID {
	plain := !strings.ContainsFunc(transaction, func(c rune) bool {
		return !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '_' || c == '-')
	})
	id := "ext~" + from + "~" + transaction
	if plain && len(id) <= MaxID {
		return ID(id)
	}
	sum := sha256.Sum256([]byte(from + "\x00" + transaction))
	return ID("ext~" + clipName(from) + "~:" + hex.EncodeToString(sum[:16])) // no transaction that is shown as it is has a colon
}

func clipName(s string) string { return s[:min(len(s), 20)] }

// noticeRank puts notices right that came in another order than things
// happened: nothing can be taken back before it was paid.
var noticeRank = map[Operation]int{Preauthorization: 1, Purchase: 2, Completion: 3, Refund: 4, Reversal: 5, Reconciliation: 6}

// Standing is what notices about one transaction say together, whatever the
// order in which they came, and how much of it went back. An approval
// outweighs refusals of earlier tries; what was approved and went back in full
// is reversed. Without a notice the result is empty.
func Standing(notices []Notice) (o Outcome, back Money) {
	sorted := slices.Clone(notices)
	slices.SortStableFunc(sorted, func(a, b Notice) int {
		return cmp.Or(cmp.Compare(noticeRank[a.Operation], noticeRank[b.Operation]), a.At.Compare(b.At))
	})
	for _, n := range sorted {
		approved := n.Outcome.Result == Approved
		switch n.Operation {
		case Refund, Reversal:
			if !approved {
				continue
			}
			if o.Result == "" { // what it took back has not been told yet
				o = n.Outcome
			}
			amount := n.Outcome.Amount
			if amount.IsZero() {
				amount = o.Amount
			}
			if amount.Currency == o.Amount.Currency {
				back = Money{back.Minor + amount.Minor, amount.Currency}
			}
			if back.Minor >= o.Amount.Minor {
				o.Result = Reversed
			}
		default:
			if approved || o.Result != Approved {
				o = n.Outcome
			}
		}
	}
	return o, back
}

// Heard says whether a notice is among those of the record.
func (r Record) Heard(from, key string) bool {
	return slices.ContainsFunc(r.Notices, func(n Notice) bool { return n.From == from && n.Key == key })
}

// hear folds a notice into the record. It changes nothing that is recorded of a
// payment; a record that began with a notice is what the notices say.
func (r *Record) hear(s Step) error {
	n := s.Notice
	switch {
	case n == nil:
		return fmt.Errorf("payment %s: step %q has no notice", s.ID, s.Kind)
	case r.State == "" && !s.ID.Derived():
		return Refuse(ReasonNotFound, "payment %s is not in the journal", s.ID)
	case r.Heard(n.From, n.Key):
		return Refuse(ReasonConflict, "payment %s: that notice is known", s.ID)
	case len(r.Notices) >= MaxNotices:
		return Refuse(ReasonOversized, "payment %s: more than %d notices about one transaction", s.ID, MaxNotices)
	}
	if r.State == "" {
		r.ID, r.State, r.Started, r.Test = s.ID, StateExternal, s.At, n.Test
	}
	r.Notices = append(slices.Clone(r.Notices), *n)
	r.Updated = s.At
	if r.State != StateExternal {
		return nil
	}
	r.Outcome, r.TakenBack = Standing(r.Notices)
	r.Amount, r.Operation = r.Outcome.Amount, n.Operation
	for _, other := range r.Notices {
		if noticeRank[other.Operation] < noticeRank[r.Operation] {
			r.Operation = other.Operation
		}
	}
	return nil
}

// ExternalNews is the data of payment.external: what an acquirer told about a
// transaction that the journal does not have, or about a settlement.
type ExternalNews struct {
	Record
	Late bool `json:"late,omitempty"` // it came after something that happened later; the record is put right

	// Possible are unsettled payments of the same amount: the terminal has not
	// told yet whether this is one of them.
	Possible []ID `json:"possible,omitempty"`

	// Of a settlement: how many of its transactions the journal has, and those it has not.
	Matched   int       `json:"matched,omitempty"`
	Unmatched []Settled `json:"unmatched,omitempty"`
}
