package payment

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func begun() Record {
	var r Record
	tx := Transaction{Request: sale(), Attempt: "ATTEMPT"}
	if err := r.Apply(Step{Kind: StepBegun, ID: tx.ID, Transaction: &tx}); err != nil {
		panic(err)
	}
	return r
}

func outcome(r Result) *Outcome { return &Outcome{Result: r, Amount: Money{123456, "VND"}} }

func TestRecordTakesTheRoads(t *testing.T) {
	for _, tt := range []struct {
		name  string
		steps []Step
		state State
		res   Result
	}{
		{"sale", []Step{{Kind: StepFinished, Outcome: outcome(Approved)}}, StateFinal, Approved},
		{"doubt, then found", []Step{{Kind: StepDoubted, Outcome: outcome(InDoubt)}, {Kind: StepFinished, Outcome: outcome(Approved)}}, StateFinal, Approved},
		{"fulfilled", []Step{{Kind: StepAuthorised, Outcome: outcome(Approved)}, {Kind: StepGranted}, {Kind: StepFinished, Outcome: outcome(Approved)}}, StateFinal, Approved},
		{"deadline", []Step{{Kind: StepAuthorised, Outcome: outcome(Approved)}, {Kind: StepOwed}, {Kind: StepFinished, Outcome: outcome(Reversed)}}, StateFinal, Reversed},
		{"rolled back after the grant", []Step{{Kind: StepAuthorised, Outcome: outcome(Approved)}, {Kind: StepGranted}, {Kind: StepOwed}}, StateOwed, Approved},
		{"taken back", []Step{{Kind: StepFinished, Outcome: outcome(Approved)}, {Kind: StepTakenBack, Amount: Money{123456, "VND"}}}, StateFinal, Reversed},
		{"taken back in part", []Step{{Kind: StepFinished, Outcome: outcome(Approved)}, {Kind: StepTakenBack, Amount: Money{1, "VND"}}}, StateFinal, Approved},
		{"resolved", []Step{{Kind: StepDoubted, Outcome: outcome(InDoubt)}, {Kind: StepResolved, Outcome: outcome(Failed), By: "an", Reason: "seen"}}, StateFinal, Failed},
		{"unreversed, then refunded by hand", []Step{{Kind: StepOwed, Outcome: outcome(Approved)}, {Kind: StepFinished, Outcome: outcome(Unreversed)}, {Kind: StepResolved, Outcome: outcome(Reversed), By: "an", Reason: "cash"}}, StateFinal, Reversed},
		{"contradicted, then resolved", []Step{{Kind: StepFinished, Outcome: outcome(Declined)}, {Kind: StepContradict, Outcome: outcome(Approved)}, {Kind: StepResolved, Outcome: outcome(Approved), By: "an", Reason: "statement"}}, StateFinal, Approved},
		{"contradicted", []Step{{Kind: StepFinished, Outcome: outcome(Declined)}, {Kind: StepContradict, Outcome: outcome(Approved)}}, StateFinal, Declined},
	} {
		r := begun()
		for _, s := range tt.steps {
			if err := r.Apply(s); err != nil {
				t.Fatalf("%s: %v", tt.name, err)
			}
		}
		if r.State != tt.state || r.Outcome.Result != tt.res {
			t.Errorf("%s: %s %s, want %s %s", tt.name, r.State, r.Outcome.Result, tt.state, tt.res)
		}
	}
}

// Whatever is tried in whatever order: goods are granted at most once, never
// after a reversal is owed, and never without an approval.
func TestRecordGrantsOnce(t *testing.T) {
	kinds := []StepKind{StepDoubted, StepAuthorised, StepGranted, StepOwed, StepFinished, StepResolved, StepTakenBack, StepEvidence, StepContradict}
	results := []Result{Approved, Declined, Failed, Reversed, InDoubt}
	rapid.Check(t, func(t *rapid.T) {
		r := begun()
		grants, owed, authorised := 0, false, false
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			k := rapid.SampledFrom(kinds).Draw(t, "kind")
			before := r
			if err := r.Apply(Step{Kind: k, Outcome: outcome(rapid.SampledFrom(results).Draw(t, "result")), Amount: Money{1, "VND"}}); err != nil {
				if r.State != before.State || r.Outcome.Result != before.Outcome.Result {
					t.Fatalf("a refused %s changed the record", k)
				}
				continue
			}
			switch k {
			case StepAuthorised:
				authorised = true
			case StepOwed:
				owed = true
			case StepGranted:
				if grants++; grants > 1 || owed || !authorised {
					t.Fatalf("granted %d times, owed %v, authorised %v", grants, owed, authorised)
				}
			}
			if before.State == StateFinal && !(k == StepResolved && before.NeedsPerson()) && !slices.Contains([]StepKind{StepTakenBack, StepEvidence, StepContradict}, k) {
				t.Fatalf("%s changed a final payment", k)
			}
		}
	})
}

func TestCheckOrder(t *testing.T) {
	paid, other := begun(), Transaction{Request: sale()}
	paid.Order, other.Order, other.ID = "O1", "O1", "A2"
	for _, tt := range []struct {
		name   string
		state  State
		result Result
		split  bool
		free   bool
	}{
		{"begun", StateBegun, "", false, false},
		{"in doubt", StateInDoubt, InDoubt, false, false},
		{"authorised", StateAuthorised, Approved, false, false},
		{"owed", StateOwed, Approved, false, false},
		{"approved", StateFinal, Approved, false, false},
		{"unreversed", StateFinal, Unreversed, false, false},
		{"declined", StateFinal, Declined, false, true},
		{"reversed", StateFinal, Reversed, false, true},
		{"approved, but split", StateFinal, Approved, true, true},
	} {
		paid.State, paid.Outcome.Result, other.Split = tt.state, tt.result, tt.split
		err := CheckOrder(other, []Record{paid})
		if (err == nil) != tt.free || (err != nil && ReasonOf(err) != ReasonOrderBusy) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestCheckCeiling(t *testing.T) {
	paid := begun()
	paid.State, paid.Outcome = StateFinal, *outcome(Approved)
	back := func(id ID, op Operation, minor int64, state State, res Result) Record {
		return Record{Transaction: Transaction{Request: Request{ID: id, Operation: op, Amount: Money{minor, "VND"}, Original: Reference{Payment: "A1"}}}, State: state, Outcome: Outcome{Result: res}}
	}
	for _, tt := range []struct {
		name   string
		minor  int64
		others []Record
		ok     bool
	}{
		{"all", 123456, nil, true},
		{"one more", 123457, nil, false},
		{"rest", 100000, []Record{back("B", Refund, 23456, StateFinal, Approved)}, true},
		{"more than the rest", 100001, []Record{back("B", Refund, 23456, StateFinal, Approved)}, false},
		{"a doubtful one counts", 100001, []Record{back("B", Refund, 23456, StateInDoubt, InDoubt)}, false},
		{"a declined one does not", 123456, []Record{back("B", Refund, 23456, StateFinal, Declined)}, true},
	} {
		err := CheckCeiling(back("C", Refund, tt.minor, StateBegun, "").Transaction, paid, tt.others)
		if (err == nil) != tt.ok || (err != nil && ReasonOf(err) != ReasonRefundCeiling) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	paid.Outcome.Result = Declined
	if err := CheckCeiling(back("C", Refund, 1, StateBegun, "").Transaction, paid, nil); ReasonOf(err) != ReasonState {
		t.Errorf("refund of a declined payment: %v", err)
	}
}
