package privat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Kinds of what GetReceiptInfo says.
const (
	kindReceipt = "receipt"
	kindEmpty   = "empty" // it says that there is none
	kindNone    = "none"  // it says something else
)

// receipt is what the terminal says about one receipt. Its responseCode is the
// one of the transaction; error is about the question (document, 4. and 5.30).
type receipt struct {
	answer
	kind string
}

// as makes it comparable with the answer to a money command.
func (r receipt) as(method string) answer {
	a := r.answer
	a.method, a.failed = method, a.code != codeApproved && a.code != codePartial
	return a
}

// receipt asks for a receipt by number, or for the last one of the batch: "".
func (t *terminal) receipt(ctx context.Context, invoice string) (receipt, error) {
	asked := invoice
	if asked == "" {
		asked = "0"
	}
	a, err := t.ask(ctx, receiptInfo(asked), nil)
	if err != nil {
		return receipt{}, err
	}
	return t.reading(a, invoice), nil
}

// reading is what an answer to GetReceiptInfo says.
func (t *terminal) reading(a answer, invoice string) receipt {
	r := receipt{answer: a, kind: kindReceipt}
	switch {
	case a.failed && saysEmpty(a.text):
		r.kind = kindEmpty
	case a.failed || a.code == "" || invoice != "" && !sameNumber(a.invoice, invoice):
		r.kind = kindNone
	}
	return r
}

// saysEmpty says whether an error of the terminal means that its log has no
// receipt. The document prints one such text (5.18.3), in English; terminals
// also speak Ukrainian.
func saysEmpty(text string) bool {
	text = strings.ToLower(text)
	for _, word := range []string{"empty", "порожн", "пуст"} {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// info reads who the terminal is: merchant and serial number, which follow the
// version of its software in one text (5.8.2).
func (t *terminal) info(ctx context.Context) (answer, error) {
	a, err := t.ask(ctx, request{method: methodInfo}, nil)
	if err != nil {
		return answer{}, err
	}
	t.identity = identityOf(a.version)
	return a, nil
}

// identityOf drops the version of the software, which changes with an update.
func identityOf(version string) string {
	if _, id, ok := strings.Cut(version, " "); ok {
		return strings.TrimSpace(id)
	}
	return version
}

// softwareOf is the version of the software in the same text; one that has no
// identity has no version either.
func softwareOf(version string) string {
	if software, _, ok := strings.Cut(version, " "); ok {
		return software
	}
	return ""
}

// mark is a receipt in the journal: enough to tell it from any other. For an
// operation with an original it has the original's amount too.
type mark struct {
	Kind    string `json:"kind"`
	Type    string `json:"type,omitempty"`
	Invoice string `json:"invoice,omitempty"`
	RRN     string `json:"rrn,omitempty"`
	Auth    string `json:"auth,omitempty"`
	Time    string `json:"time,omitempty"`
	Amount  string `json:"amount,omitempty"`
	Code    string `json:"code,omitempty"`
	Text    string `json:"text,omitempty"` // of an error

	OriginalAmount string `json:"original_amount,omitempty"`
}

func (r receipt) mark() mark {
	if r.kind != kindReceipt {
		return mark{Kind: r.kind, Code: r.code, Text: r.text}
	}
	return mark{Kind: r.kind, Type: r.txnType, Invoice: r.invoice, RRN: r.rrn, Auth: r.auth, Time: strings.TrimSpace(r.date + " " + r.time), Amount: r.amount, Code: r.code}
}

func readMark(b []byte) mark {
	var m mark
	if json.Unmarshal(b, &m) != nil {
		return mark{}
	}
	return m
}

// sameReceipt says whether two marks are of one receipt.
func sameReceipt(a, b mark) bool {
	a.OriginalAmount, b.OriginalAmount = "", ""
	return a == b
}

// Baseline reads who the terminal is and its last receipt. That it answers says
// that nothing is running. Before a reversal or a completion it also reads the
// original's receipt.
func (t *terminal) Baseline(ctx context.Context, tx payment.Transaction) (payment.Baseline, error) {
	if _, err := t.info(ctx); err != nil {
		return payment.Baseline{}, unable(err)
	}
	last, err := t.receipt(ctx, "")
	if err != nil {
		return payment.Baseline{}, unable(err)
	}
	// It is idle, so what was given up on this connection has been answered, or
	// never will be.
	t.unanswered.attempt, t.unanswered.method = "", ""
	m := last.mark()
	switch {
	case tx.Operation == payment.Refund && tx.Service == "" && tx.Original.Operation == payment.ServicePayment:
		return payment.Baseline{}, fmt.Errorf("%w: %w", link.ErrNotReversible, errAgreement)
	case tx.Operation == payment.Completion && !tx.Original.Amount.IsZero():
		if err := t.reserved(ctx, tx); err != nil {
			return payment.Baseline{}, unable(err)
		}
		m.OriginalAmount = tx.Original.Amount.Decimal()
	case tx.Operation.NeedsOriginal():
		r, err := t.original(ctx, tx)
		if err != nil {
			return payment.Baseline{}, unable(err)
		}
		m.OriginalAmount = r.amount
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings only
	}
	return payment.Baseline{Identity: t.identity, Fingerprint: b}, nil
}

// unable turns what a terminal refuses to answer before a command into a
// refusal of the command.
func unable(err error) error {
	switch {
	case errors.Is(err, errBusy):
		return payment.Refuse(payment.ReasonBusy, "%v", err)
	case errors.Is(err, errUnknownMethod):
		return payment.Refuse(payment.ReasonBaseline, "%v: its software is older than version 1.0.3.1 of the protocol", err)
	}
	return err
}

// original reads the receipt of the original of tx: it must be there, in this
// batch, and be the payment that is meant.
func (t *terminal) original(ctx context.Context, tx payment.Transaction) (receipt, error) {
	o := tx.Original
	no := func(why string) (receipt, error) {
		return receipt{}, fmt.Errorf("%w: %s", link.ErrNotReversible, why)
	}
	switch {
	case number("", o.Receipt, maxInvoice) != nil || number("", o.RRN, maxRRN) != nil:
		return no("the original has no receipt number or no RRN")
	case o.Serial != "" && o.Serial != t.identity:
		return receipt{}, fmt.Errorf("%w: %w", link.ErrNotReversible, link.ErrSwapped)
	}
	r, err := t.receipt(ctx, o.Receipt)
	switch {
	case err != nil:
		return receipt{}, err
	case r.kind != kindReceipt:
		return no("its receipt is not in this batch")
	case r.taken():
		return no("that receipt has been voided already")
	case r.rrn != o.RRN:
		return no("that receipt is another payment")
	}
	m := t.money(r.amount)
	if judge(r.as(methodPurchase)) != done || m.IsZero() || !tx.Amount.IsZero() && (m.Currency != tx.Amount.Currency || tx.Amount.Minor > m.Minor) {
		return no("that receipt is no approved payment of this amount")
	}
	return r, nil
}

// reserved makes sure that a preauthorization whose amount is known still holds,
// as far as the terminal can tell: its receipt need not be in this batch.
func (t *terminal) reserved(ctx context.Context, tx payment.Transaction) error {
	o := tx.Original
	switch {
	case o.Serial != "" && o.Serial != t.identity:
		return fmt.Errorf("%w: %w", link.ErrNotReversible, link.ErrSwapped)
	case tx.Amount.Currency != o.Amount.Currency || tx.Amount.Minor > o.Amount.Minor:
		return fmt.Errorf("%w: less was reserved", link.ErrNotReversible)
	case number("", o.Receipt, maxInvoice) != nil:
		return nil
	}
	r, err := t.receipt(ctx, o.Receipt)
	if err == nil && r.kind == kindReceipt && r.rrn == o.RRN && r.taken() {
		err = fmt.Errorf("%w: that receipt has been voided already", link.ErrNotReversible)
	}
	return err
}

// taken says whether a receipt shows that its payment was taken back.
func (r receipt) taken() bool {
	return r.txnType == typeVoid || r.status == statusReversed || r.status == statusCanceled
}
