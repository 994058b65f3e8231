package payment

import "slices"

// Operation is one thing a terminal or its host can be asked to do, named
// after the services of the nexo Retailer Protocol 3.1.
type Operation string

const (
	Purchase         Operation = "purchase"         // nexo Payment, Normal
	Refund           Operation = "refund"           // nexo Payment, Refund
	Reversal         Operation = "reversal"         // nexo Reversal; a void, in full or by amount
	Preauthorization Operation = "preauthorization" // nexo Payment, FirstReservation
	Completion       Operation = "completion"       // nexo Payment, Completion
	CashAdvance      Operation = "cash-advance"     // nexo Payment, CashAdvance
	Deposit          Operation = "deposit"          // nexo Payment, CashDeposit
	ServicePayment   Operation = "service-payment"  // nexo Payment, Instalment and other services
	Balance          Operation = "balance"          // nexo BalanceInquiry
	CardAcquisition  Operation = "card-acquisition" // nexo CardAcquisition
	Reconciliation   Operation = "reconciliation"   // nexo Reconciliation; settlement, Z report
	Totals           Operation = "totals"           // nexo GetTotals; X report
	Diagnosis        Operation = "diagnosis"        // nexo Diagnosis, of the terminal or of its host
	Lookup           Operation = "lookup"           // nexo TransactionStatus
	Abort            Operation = "abort"            // nexo Abort
	Print            Operation = "print"            // nexo Print
)

var (
	moneyOperations = []Operation{Purchase, Refund, Reversal, Preauthorization, Completion, CashAdvance, Deposit, ServicePayment}
	otherOperations = []Operation{Balance, CardAcquisition, Reconciliation, Totals, Diagnosis, Lookup, Abort, Print}
)

// Operations lists every operation, those that move money first.
func Operations() []Operation { return slices.Concat(moneyOperations, otherOperations) }

// MovesMoney says whether the operation can change what a cardholder owns.
// Such an operation is never sent twice.
func (o Operation) MovesMoney() bool { return slices.Contains(moneyOperations, o) }

// Journalled says whether the operation is one attempt under an id of its own:
// all that move money, the reconciliation that closes their batch, and those
// that need a customer with a card. It is durable before its first byte is sent.
func (o Operation) Journalled() bool {
	return o.MovesMoney() || o == Reconciliation || o.ReadsCard()
}

// ReadsCard says whether the operation needs a customer and moves no money.
// What a restart cuts short of it has failed, and nobody has to be asked.
func (o Operation) ReadsCard() bool { return o == Balance || o == CardAcquisition }

// NeedsOriginal says whether the operation is about an earlier payment.
func (o Operation) NeedsOriginal() bool { return o == Reversal || o == Completion }

// Known says whether o is one of [Operations].
func (o Operation) Known() bool { return slices.Contains(Operations(), o) }
