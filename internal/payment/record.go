package payment

import (
	"fmt"
	"slices"
)

// Baseline is what the terminal said about itself just before a money command.
// A positional read-back ("the last transaction") counts as evidence only if
// it comes from the same Identity and Batch and differs from Fingerprint.
type Baseline struct {
	Identity    string `json:"identity,omitempty"`    // serial number and TID
	Batch       string `json:"batch,omitempty"`       // batch the terminal was in; "" is a value
	Fingerprint []byte `json:"fingerprint,omitempty"` // the driver's own notation of the last transaction
}

// Transaction is a request that is in the journal.
type Transaction struct {
	Request
	Attempt  string   `json:"attempt"` // random, 20 characters of base 32; the id that the terminal sees
	Baseline Baseline `json:"baseline,omitzero"`
	Started  Moment   `json:"started"`
	Test     bool     `json:"test,omitempty"` // the terminal is simulated
}

// State is where a payment stands.
type State string

const (
	StateBegun      State = "begun"      // durable; the terminal may have been told
	StateInDoubt    State = "in-doubt"   // looked up in vain so far
	StateAuthorised State = "authorised" // approved; goods wait for a grant
	StateGranted    State = "granted"    // goods may be given; commit or rollback is awaited
	StateOwed       State = "owed"       // approved, and a reversal is owed
	StateFinal      State = "final"      // has its outcome
	StateExternal   State = "external"   // not ours: known from notices only
)

// StepKind is what a step says happened.
type StepKind string

const (
	StepBegun      StepKind = "begun"        // Transaction
	StepDoubted    StepKind = "in-doubt"     // Outcome
	StepAuthorised StepKind = "authorised"   // Outcome
	StepGranted    StepKind = "granted"      //
	StepOwed       StepKind = "owed"         // Reason; Outcome if the approval is news
	StepFinished   StepKind = "finished"     // Outcome
	StepResolved   StepKind = "resolved"     // Outcome, By, Reason
	StepTakenBack  StepKind = "taken-back"   // Amount; a reversal of this payment was approved, or its batch closed with the reversal pending
	StepEvidence   StepKind = "evidence"     // Outcome; what a lookup said after a person had resolved
	StepContradict StepKind = "contradicted" // Outcome; evidence against what is recorded
	StepNotified   StepKind = "notified"     // Notice; an acquirer told by itself. The first step of what is not ours
)

// Step is one line of the journal about one payment. Steps are only ever
// appended; a record is the fold of its steps.
type Step struct {
	Kind        StepKind     `json:"kind"`
	ID          ID           `json:"id"`
	At          Moment       `json:"at"`
	Transaction *Transaction `json:"transaction,omitempty"`
	Outcome     *Outcome     `json:"outcome,omitempty"`
	Amount      Money        `json:"amount,omitzero"`
	By          string       `json:"by,omitempty"`
	Reason      string       `json:"reason,omitempty"`
	Notice      *Notice      `json:"notice,omitempty"`
}

// Resolution is how a person ended a doubt.
type Resolution struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
	Result Result `json:"result"`
	At     Moment `json:"at"`
}

// Record is everything the journal knows about one payment.
type Record struct {
	Transaction
	State      State       `json:"state"`
	Outcome    Outcome     `json:"outcome,omitzero"`
	Updated    Moment      `json:"updated"`
	Resolution *Resolution `json:"resolution,omitempty"`

	// EvidenceOwed: a person ended the doubt, but the terminal has still to be
	// asked; its answer is recorded and never overwrites the resolution.
	EvidenceOwed bool     `json:"evidence_owed,omitempty"`
	Contradicted *Outcome `json:"contradicted,omitempty"`

	TakenBack  Money  `json:"taken_back,omitzero"`   // sum of approved reversals
	OwedReason string `json:"owed_reason,omitempty"` // why a reversal is owed

	Notices []Notice `json:"notices,omitempty"` // as they came, [MaxNotices] at most
}

// Unsettled says whether the terminal may not sell because of this payment.
func (r Record) Unsettled() bool {
	return r.State == StateBegun || r.State == StateInDoubt || r.State == StateOwed
}

// Open says whether the journal has to keep this payment at hand: it is not
// final, or evidence about it is still to come.
func (r Record) Open() bool {
	return (r.State != StateFinal && r.State != StateExternal) || r.EvidenceOwed
}

// NeedsPerson says whether a final payment still asks for somebody to look: it
// could not be given back, or a terminal contradicts what is recorded.
func (r Record) NeedsPerson() bool {
	return r.State == StateFinal && (r.Outcome.Result == Unreversed || r.Contradicted != nil)
}

// AsOriginal is how a reversal, refund or completion names this payment.
func (r Record) AsOriginal() Reference {
	ref := r.Outcome.Reference
	ref.Payment, ref.Operation, ref.Amount = r.ID, r.Operation, r.Outcome.Amount
	return ref
}

// HoldsOrder says whether another purchase for the same order is refused.
func (r Record) HoldsOrder() bool {
	if r.Operation != Purchase && r.Operation != Preauthorization && r.Operation != ServicePayment {
		return false
	}
	return r.State != StateExternal && (r.State != StateFinal || !r.Outcome.Result.NotPaid())
}

// View is the record as it is shown outside: without the driver's evidence.
func (r Record) View() Record {
	r.Baseline = Baseline{}
	return r
}

// transitions is the state machine of a payment: for each kind of step, the
// states in which it is allowed. Beside it, a person may resolve a final payment
// that [Record.NeedsPerson].
var transitions = map[StepKind][]State{
	StepDoubted:    {StateBegun},
	StepAuthorised: {StateBegun, StateInDoubt},
	StepGranted:    {StateAuthorised},
	StepOwed:       {StateBegun, StateInDoubt, StateAuthorised, StateGranted},
	StepFinished:   {StateBegun, StateInDoubt, StateAuthorised, StateGranted, StateOwed},
	StepResolved:   {StateBegun, StateInDoubt, StateOwed},
	StepTakenBack:  {StateFinal},
	StepEvidence:   {StateFinal},
	StepContradict: {StateBegun, StateInDoubt, StateAuthorised, StateGranted, StateOwed, StateFinal},
}

// Apply folds one step into the record. A step that the record's state does
// not allow is refused with [ReasonState] and changes nothing; this is what
// makes a grant happen once, and a deadline and a grant exclude each other.
func (r *Record) Apply(s Step) error {
	if s.Kind == StepBegun {
		if r.State != "" || s.Transaction == nil {
			return Refuse(ReasonState, "payment %s has begun already", s.ID)
		}
		*r = Record{Transaction: *s.Transaction, State: StateBegun, Updated: s.At}
		return nil
	}
	if s.Kind == StepNotified {
		return r.hear(s)
	}
	allowed, known := transitions[s.Kind]
	if !known {
		return fmt.Errorf("payment %s: step %q is not known to this version", s.ID, s.Kind)
	}
	if !slices.Contains(allowed, r.State) && !(s.Kind == StepResolved && r.NeedsPerson()) {
		return Refuse(ReasonState, "payment %s is %s: %q is not possible", s.ID, r.describe(), s.Kind)
	}
	if err := r.fold(s); err != nil {
		return err
	}
	r.Updated = s.At
	return nil
}

func (r *Record) fold(s Step) error {
	switch s.Kind {
	case StepGranted:
		r.State = StateGranted
		return nil
	case StepTakenBack:
		return r.takeBack(s)
	case StepOwed:
		if s.Outcome != nil {
			r.Outcome = *s.Outcome
		}
		r.State, r.OwedReason = StateOwed, s.Reason
		return nil
	}
	if s.Outcome == nil {
		return fmt.Errorf("payment %s: step %q has no outcome", s.ID, s.Kind)
	}
	switch s.Kind {
	case StepDoubted:
		r.State, r.Outcome = StateInDoubt, *s.Outcome
	case StepAuthorised:
		r.State, r.Outcome = StateAuthorised, *s.Outcome
	case StepFinished:
		r.State, r.Outcome = StateFinal, *s.Outcome
	case StepResolved:
		r.EvidenceOwed = r.State != StateFinal // what was final has had its evidence
		r.State, r.Outcome, r.Contradicted = StateFinal, *s.Outcome, nil
		r.Resolution = &Resolution{By: s.By, Reason: s.Reason, Result: s.Outcome.Result, At: s.At}
	case StepEvidence:
		r.EvidenceOwed = false
	case StepContradict:
		r.EvidenceOwed = false
		r.Contradicted = s.Outcome
	}
	return nil
}

func (r *Record) takeBack(s Step) error {
	sum := Money{r.TakenBack.Minor + s.Amount.Minor, r.Outcome.Amount.Currency}
	if s.Amount.Currency != r.Outcome.Amount.Currency || s.Amount.Minor <= 0 || sum.Minor > r.Outcome.Amount.Minor {
		return Refuse(ReasonRefundCeiling, "payment %s: taking back %s exceeds the %s that was paid", s.ID, sum, r.Outcome.Amount)
	}
	r.TakenBack = sum
	if sum == r.Outcome.Amount {
		r.Outcome.Result, r.Outcome.Pending = Reversed, false
	}
	return nil
}

func (r Record) describe() string {
	if r.State == StateFinal {
		return string(r.Outcome.Result)
	}
	return string(r.State)
}
