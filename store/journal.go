package store

import (
	"fmt"

	"tillgate/internal/payment"
)

// Begin makes tx durable before it returns. If the id is known with the same
// content, it returns that record and known; with other content it refuses
// (conflict). An id that only an expired segment had is refused (id-expired).
// [payment.CheckOrder] and [payment.CheckCeiling] are applied in the same atomic
// step, over everything that is retained. On a disk without room for another
// segment it refuses (journal-failed) while open payments go on.
//
// An error that is no [payment.Refusal] means that nobody knows whether tx is
// durable.
func (s *Store) Begin(tx payment.Transaction) (rec payment.Record, known bool, err error) {
	err = s.submit(func(b *batch) error {
		rec, known, err = b.begin(tx)
		return err
	})
	if err != nil {
		return payment.Record{}, false, err
	}
	return rec, known, nil
}

func (b *batch) begin(tx payment.Transaction) (payment.Record, bool, error) {
	if tx.ID == "" {
		return payment.Record{}, false, payment.Refuse(payment.ReasonInvalid, "a payment without an id")
	}
	rec, err := b.find(tx.ID)
	switch {
	case err == nil && rec.SameContent(tx.Request):
		return rec, true, nil
	case err == nil:
		return payment.Record{}, false, payment.Refuse(payment.ReasonConflict, "id %s is known with other content", tx.ID)
	case payment.ReasonOf(err) != payment.ReasonNotFound:
		return payment.Record{}, false, err
	}
	if err := b.checkRules(tx); err != nil {
		return payment.Record{}, false, err
	}
	rec = payment.Record{}
	if err := b.step(&rec, payment.Step{Kind: payment.StepBegun, ID: tx.ID, At: tx.Started, Transaction: &tx}); err != nil {
		return payment.Record{}, false, err
	}
	return rec, false, nil
}

// checkRules asks the two rules of package payment that need the whole history.
func (b *batch) checkRules(tx payment.Transaction) error {
	if tx.Order != "" && !tx.Split && holdsOrder(tx) {
		others, err := b.marked(orderMark(tx.Order))
		if err != nil {
			return err
		}
		if err := payment.CheckOrder(tx, others); err != nil {
			return err
		}
	}
	original := tx.Original.Payment
	if original == "" || (tx.Operation != payment.Reversal && tx.Operation != payment.Refund) {
		return nil
	}
	rec, err := b.find(original)
	if err != nil {
		return err
	}
	others, err := b.related(original)
	if err != nil {
		return err
	}
	return payment.CheckCeiling(tx, rec, others)
}

// Append makes steps, and the events that announce them, durable in one
// transaction: all or nothing. A step that [payment.Record.Apply] refuses
// refuses the whole call. A first step (begun, or notified) of an id that is not
// known is taken without asking [payment.CheckOrder]: it reports what has
// happened already. What began with a notice is found by its id only: it is no
// payment of this box, so no walk through the journal and no count has it.
func (s *Store) Append(steps []payment.Step, events []payment.Event) error {
	return s.submit(func(b *batch) error { return b.steps(steps, events) })
}

func (b *batch) steps(steps []payment.Step, events []payment.Event) error {
	touched := make(map[payment.ID]*payment.Record)
	for _, st := range steps {
		rec := touched[st.ID]
		if rec == nil {
			found, err := b.find(st.ID)
			first := st.Kind == payment.StepBegun || st.Kind == payment.StepNotified
			if first && payment.ReasonOf(err) == payment.ReasonNotFound {
				err = nil
			}
			if err != nil {
				return err
			}
			rec = &found
			touched[st.ID] = rec
		}
		if st.Kind == payment.StepBegun && st.Transaction != nil && st.Transaction.ID != st.ID {
			return fmt.Errorf("payment %s: its first step is about %s", st.ID, st.Transaction.ID)
		}
		if err := b.step(rec, st); err != nil {
			return err
		}
	}
	for _, e := range events {
		if err := b.event(e); err != nil {
			return err
		}
	}
	return nil
}

// find returns the record as it will be when the batch is committed.
func (b *batch) find(id payment.ID) (payment.Record, error) {
	if rec, ok := b.records[id]; ok {
		return *rec, nil
	}
	return b.s.Find(id)
}

// marked returns the records with this fingerprint, those of the batch
// included. Some may have it by accident: the rules compare the text.
func (b *batch) marked(m uint32) ([]payment.Record, error) {
	records, err := b.s.marked(m)
	if err != nil {
		return nil, err
	}
	for i, r := range records {
		if newer, ok := b.records[r.ID]; ok {
			records[i] = *newer
		}
	}
	for _, p := range b.puts { // begun in this batch
		if p.header.kind != kindStep || !p.header.is(flagBegun) || p.header.mark != m || b.carried[p.header.about] {
			continue
		}
		for id, rec := range b.records {
			if hashOf(id) == p.header.about {
				records = append(records, *rec)
			}
		}
	}
	return records, nil
}

func (b *batch) related(original payment.ID) ([]payment.Record, error) {
	records, err := b.marked(originalMark(original))
	return aboutOriginal(records, original), err
}
