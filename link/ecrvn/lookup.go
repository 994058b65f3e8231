package ecrvn

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// last asks for the last transaction the terminal keeps. The zero info means
// that it keeps none. Other answers that come meanwhile go to heed, which may
// end the question by returning true; without it they are kept.
func (t *terminal) last(ctx context.Context, heed func(answer) bool) (info, error) {
	req := lastTrans(t.settings.queryID(), t.settings.ClientID)
	var got answer
	sent, err := t.line.exchange(ctx, call{
		query:  req.query(),
		within: t.settings.QueryTimeout,
		take: func(a answer) bool {
			if a.requestID == req.id {
				got = a
				return true
			}
			if heed != nil {
				return heed(a)
			}
			t.keep(a)
			return false
		},
	})
	if err == nil && got.requestID != "" && (got.command != cmdLast || got.status != statusDone) {
		err = fmt.Errorf("the terminal says %q", payment.Word(got.status))
	}
	if err != nil {
		return info{}, &link.Error{Op: cmdLast, Sent: sent, Err: err}
	}
	if got.info.receiptNo == "" {
		return info{tid: got.info.tid, mid: got.info.mid, posSerial: got.info.posSerial}, nil
	}
	return got.info, nil
}

// identity is what tells one terminal from another. "" means that it has not
// said who it is: one without a last transaction need not.
func (f info) identity() string {
	if f.posSerial == "" && f.tid == "" {
		return ""
	}
	return f.posSerial + "/" + f.tid
}

// mark is the last transaction in the journal: enough to tell it from any other.
type mark struct {
	Type    string `json:"type,omitempty"`
	Receipt string `json:"receipt,omitempty"`
	STAN    string `json:"stan,omitempty"`
	RRN     string `json:"rrn,omitempty"`
	Time    string `json:"time,omitempty"`
	Amount  string `json:"amount,omitempty"`
	Request string `json:"request,omitempty"`
}

func (f info) fingerprint() []byte {
	b, err := json.Marshal(mark{f.transType, f.receiptNo, f.stan, f.refNo, f.time, f.amount, f.requestID})
	if err != nil {
		panic(err) // strings only
	}
	return b
}

func (f info) baseline() payment.Baseline {
	return payment.Baseline{Identity: f.identity(), Batch: f.batchNo, Fingerprint: f.fingerprint()}
}

// Baseline reads the last transaction before a money command.
func (t *terminal) Baseline(ctx context.Context, tx payment.Transaction) (payment.Baseline, error) {
	f, err := t.last(ctx, nil)
	if err != nil {
		return payment.Baseline{}, err
	}
	if tx.Operation == payment.Reversal {
		if err := t.reversible(f, tx); err != nil {
			return payment.Baseline{}, err
		}
	}
	return f.baseline(), nil
}

// reversible says whether the terminal can still void the original of tx, as
// far as its last transaction f tells. A void names a receipt number, and those
// begin again with a new batch: it must be the same terminal and the same
// batch.
//
// If the last transaction is the original, amount and RRN must be the
// original's. If it is a later one of the same batch the void is allowed: the
// protocol cannot show an earlier receipt, the number was given by this
// terminal in this batch, and the answer to the void echoes receipt and amount,
// which are compared then. A sale with a lower number than the original's means
// that the numbers began again, so the original is not there. The number of a
// void is the one of the sale it took back and says nothing about order.
func (t *terminal) reversible(f info, tx payment.Transaction) error {
	o := tx.Original
	no := func(why string) error { return fmt.Errorf("%w: %s", link.ErrNotReversible, why) }
	switch {
	case o.Receipt == "":
		return no("the original has no receipt number")
	case f.receiptNo == "":
		return no("the terminal keeps no transaction")
	case f.posSerial != o.Serial || f.tid != o.TID:
		return fmt.Errorf("%w: %w", link.ErrNotReversible, link.ErrSwapped)
	case !sameNumber(f.batchNo, o.Batch):
		return no("its batch is closed")
	case !sameNumber(f.receiptNo, o.Receipt):
		if f.transType == typeSale && number(f.receiptNo) < number(o.Receipt) {
			return no("its receipt number is not in this batch")
		}
		return nil
	case f.transType != typeSale:
		return no("that receipt has been voided already")
	case f.refNo != o.RRN || (!tx.Amount.IsZero() && t.settings.money(f) != tx.Amount):
		return no("that receipt is another payment, or its amount is another one")
	}
	return nil
}

func number(s string) int64 {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// Lookup asks what became of tx, in this order:
//
//  1. An answer to tx itself that came late is conclusive, if it is not
//     doubtful.
//  2. A last transaction that names our attempt is proof, whatever its batch:
//     no other command has that id. The amount is reported as it stands there.
//  3. One that names no attempt is proof of a purchase only with keypad:
//     locked, and of a reversal always, since a receipt is voided once. It must
//     come from the identity and batch of the baseline, be newer than it, and
//     have our operation, amount and currency.
//  4. Nothing of that: [link.ErrInProgress] until the longest time a payment can
//     take has passed. Then [link.ErrNotFound], if the profile says that the
//     terminal is silent while it is busy and everything is as it was before;
//     otherwise [link.ErrUnproven].
//
// A last transaction is never taken for a decline.
func (t *terminal) Lookup(ctx context.Context, tx payment.Transaction, quiet time.Duration) (payment.Outcome, error) {
	t.collect()
	for i, a := range t.strays {
		if t.settles(a, tx) {
			t.strays = append(t.strays[:i:i], t.strays[i+1:]...)
			return t.settings.outcome(a, payment.SourceLookup), nil
		}
	}
	var own *answer
	f, err := t.last(ctx, func(a answer) bool {
		if t.settles(a, tx) {
			own = &a
			return true
		}
		t.keep(a)
		return false
	})
	if own != nil {
		return t.settings.outcome(*own, payment.SourceLookup), nil
	}
	if err != nil {
		return payment.Outcome{}, err
	}
	proven, err := t.proves(f, tx)
	if err != nil {
		return payment.Outcome{}, err
	}
	if proven {
		a := answer{requestID: t.settings.wireID(tx.Attempt), command: commandOf(tx.Operation), status: statusDone, info: f}
		return t.settings.outcome(a, payment.SourceLookup), nil
	}
	return payment.Outcome{}, t.unproven(f, tx, quiet)
}

// gaveUp ends a sale that the terminal gave up with CANCELED. The word alone
// does not exclude that the bank approved before its line was lost, so the last
// transaction is read at once, on the same connection. If it is ours, it was
// approved. If terminal, batch and last transaction are what they were before
// the sale, two statements agree that nothing was booked, and the terminal will
// book nothing any more: it has ended the sale itself. Everything else stays
// doubtful.
func (t *terminal) gaveUp(ctx context.Context, tx payment.Transaction, a answer) (payment.Outcome, error) {
	f, err := t.last(ctx, nil)
	proven := false
	if err == nil {
		proven, err = t.proves(f, tx)
	}
	switch {
	case err != nil: // the question may not have been sent; the sale was
		return payment.Outcome{}, &link.Error{Op: cmdSale, Sent: true, Err: fmt.Errorf("%w; asked at once: %w", doubt(a), err)}
	case proven:
		return t.settings.outcome(answer{requestID: a.requestID, command: cmdSale, status: statusDone, info: f}, payment.SourceLookup), nil
	case !sameBaseline(f.baseline(), tx.Baseline):
		return payment.Outcome{}, &link.Error{Op: cmdSale, Sent: true, Err: doubt(a)}
	}
	o := t.settings.outcome(a, payment.SourceAnswer)
	o.Result, o.Condition, o.Text = payment.Cancelled, payment.CondCancel, "cancelled at the terminal"
	return o, nil
}

func sameBaseline(a, b payment.Baseline) bool {
	return a.Identity == b.Identity && a.Batch == b.Batch && string(a.Fingerprint) == string(b.Fingerprint)
}

// settles says whether a is the conclusive answer to tx.
func (t *terminal) settles(a answer, tx payment.Transaction) bool {
	return a.requestID == t.settings.wireID(tx.Attempt) && t.accept(a, tx) == nil
}

// proves says whether the last transaction f is tx.
func (t *terminal) proves(f info, tx payment.Transaction) (bool, error) {
	b := tx.Baseline
	if f.identity() != "" && b.Identity != "" && f.identity() != b.Identity {
		return false, link.ErrSwapped
	}
	a := answer{command: commandOf(tx.Operation), status: statusDone, info: f}
	if judge(a) != done || string(f.fingerprint()) == string(b.Fingerprint) {
		return false, nil
	}
	switch tx.Operation {
	case payment.Purchase:
		if f.transType != typeSale {
			return false, nil
		}
		if f.requestID != "" {
			return f.requestID == t.settings.wireID(tx.Attempt), nil
		}
		return t.settings.Keypad == KeypadLocked && t.positioned(f, tx) && t.settings.money(f) == tx.Amount, nil
	case payment.Reversal:
		if f.transType != typeVoid || t.echoes(f, tx) != nil {
			return false, nil
		}
		if f.requestID != "" {
			return f.requestID == t.settings.wireID(tx.Attempt), nil
		}
		return t.positioned(f, tx), nil
	}
	return false, nil // a settlement leaves no trace in the last transaction
}

// positioned says whether f stands where tx must: on the same terminal, in the
// same batch.
func (t *terminal) positioned(f info, tx payment.Transaction) bool {
	return f.identity() != "" && f.identity() == tx.Baseline.Identity && f.batchNo == tx.Baseline.Batch
}

// unproven says what it means that f is not tx. A terminal that keeps nothing
// proves nothing, even if it kept nothing before: between two looks the sale can
// have been made and its batch closed.
func (t *terminal) unproven(f info, tx payment.Transaction, quiet time.Duration) error {
	now, then := f.baseline(), tx.Baseline
	switch {
	case quiet <= t.longest:
		return link.ErrInProgress
	case !t.settings.SilentWhenBusy, f.receiptNo == "", tx.Operation == payment.Reconciliation:
		return link.ErrUnproven
	case now.Identity != "" && sameBaseline(now, then):
		return link.ErrNotFound
	}
	return link.ErrUnproven
}

// Diagnose tells who the terminal is and what it keeps as its last transaction.
func (t *terminal) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	f, err := t.last(ctx, nil)
	if err != nil {
		return link.Diagnosis{}, err
	}
	d := link.Diagnosis{Identity: f.identity(), Batch: f.batchNo, Facts: map[string]string{}, Inventory: payment.Inventory{Serial: f.posSerial, TID: f.tid}}
	for k, v := range map[string]string{
		"serial": f.posSerial, "tid": f.tid, "mid": f.mid,
		"last_receipt": f.receiptNo, "last_stan": f.stan, "last_time": f.time, "last_type": f.transType,
	} {
		if v != "" {
			d.Facts[k] = v
		}
	}
	return d, nil
}
