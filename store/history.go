package store

import (
	"bytes"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"tillgate/internal/payment"
)

// Query chooses payments for [Store.History]. Empty fields choose all.
type Query struct {
	Order    string
	Last4    string // last four digits of the card
	Auth     string // authorisation code (DE 38)
	Terminal string
	State    payment.State
	Result   payment.Result
	Since    time.Time // begun at this time or later, by their own clock
	Until    time.Time // begun before this time
	Limit    int       // 0 for no limit
	Oldest   bool      // oldest first; without it newest first
}

// History walks through the payments that a query chooses. It does not hold up
// writers; payments that begin during the walk may be missing. A segment that
// cannot be read gives an error in its place, and the walk goes on if the caller
// does.
func (s *Store) History(q Query) iter.Seq2[payment.Record, error] {
	return func(yield func(payment.Record, error) bool) {
		needles := q.needles()
		skip := func(newest int64) bool { return !q.Since.IsZero() && newest < q.Since.UnixMilli() }
		left := q.Limit
		for steps, err := range s.payments(!q.Oldest, skip) {
			if err == nil && !mentions(steps, needles) {
				continue
			}
			var rec payment.Record
			if err == nil {
				rec, err = s.fold(steps)
			}
			if err == nil && !q.matches(rec) {
				continue
			}
			if !yield(rec, err) {
				return
			}
			if left--; left == 0 {
				return
			}
		}
	}
}

// needles are texts that the JSON of a matching payment must have: most of the
// history is passed over without decoding it.
func (q Query) needles() (out [][]byte) {
	for _, text := range []string{q.Order, q.Auth, q.Terminal} {
		if text != "" {
			b, err := json.Marshal(text)
			if err == nil {
				out = append(out, b)
			}
		}
	}
	if q.Last4 != "" {
		out = append(out, []byte(q.Last4+`"`))
	}
	return out
}

func mentions(steps []raw, needles [][]byte) bool {
	for _, n := range needles {
		found := false
		for _, r := range steps {
			found = found || bytes.Contains(r.body, n)
		}
		if !found {
			return false
		}
	}
	return true
}

func (q Query) matches(r payment.Record) bool {
	return (q.Order == "" || r.Order == q.Order) &&
		(q.Last4 == "" || r.Outcome.Card.PAN.Last4() == q.Last4) &&
		(q.Auth == "" || r.Outcome.Reference.Auth == q.Auth) &&
		(q.Terminal == "" || r.Terminal == q.Terminal) &&
		(q.State == "" || r.State == q.State) &&
		(q.Result == "" || r.Outcome.Result == q.Result) &&
		(q.Since.IsZero() || !r.Started.Time.Before(q.Since)) &&
		(q.Until.IsZero() || r.Started.Time.Before(q.Until))
}

// Steps lists the steps of one payment in order, or refuses: not-found,
// id-expired. Steps of kinds that this version does not know are among them.
func (s *Store) Steps(id payment.ID) ([]payment.Step, error) {
	if _, err := s.Find(id); err != nil {
		return nil, err
	}
	_, raws, err := s.stepsOf(hashOf(id))
	if err != nil {
		return nil, err
	}
	steps := make([]payment.Step, len(raws))
	for i, r := range raws {
		if err := json.Unmarshal(r.body, &steps[i]); err != nil {
			return nil, fmt.Errorf("%w %d: %w", errEntry, r.number, err)
		}
	}
	return steps, nil
}
