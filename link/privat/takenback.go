package privat

import (
	"tillgate/internal/payment"
)

// cancelled says whether a receipt is of a payment that the bank had approved and
// that the terminal itself took back: it has the bank's authorisation, and a code
// of the terminal.
func (r receipt) cancelled() bool {
	_, own := terminalCodes[r.code]
	return r.kind == kindReceipt && r.txnType != typeVoid && r.rrn != "" && r.auth != "" && (own || r.code == codeApproved && r.taken())
}

// takenBack is the outcome of a payment that the bank approved and the terminal
// took back by itself. The document does not say when the bank hears of it. Where
// the receipt says that it has (trnStatus 3), the payment is reversed; otherwise
// that may be when the batch is closed (PrivatBank's terminals are known for it),
// and the customer's money is with the shop until then.
func (t *terminal) takenBack(r receipt, source payment.Source) payment.Outcome {
	o := t.outcome(r.answer, doubtful, source)
	o.Amount = t.money(r.amount)
	o.Result, o.Text = payment.Reversed, "approved by the bank, and taken back by the terminal"
	if r.status != statusReversed {
		o.Result, o.Text = payment.Unreversed, "approved by the bank, and cancelled by the terminal: the customer's money goes back when the batch is closed"
		o.Pending = true
	}
	if c, ok := terminalCodes[r.code]; ok {
		o.Condition = c.condition
	}
	return o
}
