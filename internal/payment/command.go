package payment

import "errors"

// Verb is what a command wants. The money verbs are named like the operation
// they start.
type Verb string

const (
	VerbPurchase         Verb = "purchase"
	VerbRefund           Verb = "refund"
	VerbReversal         Verb = "reversal"
	VerbPreauthorization Verb = "preauthorization"
	VerbCompletion       Verb = "completion"
	VerbCashAdvance      Verb = "cash-advance"
	VerbDeposit          Verb = "deposit"
	VerbServicePayment   Verb = "service-payment"
	VerbBalance          Verb = "balance"
	VerbCardAcquisition  Verb = "card-acquisition"

	VerbDispense  Verb = "dispense"  // ask for the grant, once per payment
	VerbCommit    Verb = "commit"    // the goods were given
	VerbRollback  Verb = "rollback"  // the goods were not given: reverse
	VerbAbort     Verb = "abort"     // stop asking for a card; the terminal's answer decides
	VerbLookup    Verb = "lookup"    // what became of an id
	VerbReconcile Verb = "reconcile" // close the batch
	VerbTotals    Verb = "totals"    // read the batch without closing it
	VerbDiagnose  Verb = "diagnose"  // ask the terminal, or with Host its host, how it is
	VerbPrint     Verb = "print"     // have the terminal print, or hand over what it would print
	VerbRestart   Verb = "restart"   // restart the terminal's payment application, or with Deep the terminal
	VerbPause     Verb = "pause"
	VerbResume    Verb = "resume"
	VerbReplay    Verb = "replay"  // events From to To again
	VerbResolve   Verb = "resolve" // a person ends a doubt
	VerbUpdate    Verb = "update"  // fetch a signed bundle and install it when nobody is paying
	VerbAccept    Verb = "accept"  // a terminal is what it says now: software, serial number, TID
)

// Verbs lists every verb.
func Verbs() []Verb {
	return []Verb{
		VerbPurchase, VerbRefund, VerbReversal, VerbPreauthorization, VerbCompletion, VerbCashAdvance, VerbDeposit, VerbServicePayment, VerbBalance, VerbCardAcquisition,
		VerbDispense, VerbCommit, VerbRollback, VerbAbort, VerbLookup, VerbReconcile, VerbTotals, VerbDiagnose, VerbPrint, VerbRestart, VerbPause, VerbResume, VerbReplay, VerbResolve, VerbUpdate, VerbAccept,
	}
}

// Operation is the journalled operation a verb starts; ok is false for the
// others.
func (v Verb) Operation() (op Operation, ok bool) {
	if op = Operation(v); op.Journalled() {
		return op, true
	}
	if v == VerbReconcile {
		return Reconciliation, true
	}
	return "", false
}

// Command is what every front (MQTT, command line, HTTP, console) hands to the
// gateway. The Request's Operation is set from the verb; of the Request, the
// verbs about an existing payment use only ID, and those about a terminal only
// Terminal. Front and Client are set by the front, never by the sender.
type Command struct {
	Verb Verb `json:"verb"`
	Request

	Result Result `json:"result,omitempty"` // resolve: approved, declined, failed or reversed
	By     string `json:"by,omitempty"`     // resolve, pause, resume, accept: who
	Reason string `json:"reason,omitempty"` // resolve, pause, rollback, accept: why
	Force  bool   `json:"force,omitempty"`  // resolve as not paid without a lookup since the doubt began

	Host     bool      `json:"host,omitempty"`     // diagnose: the way to the host too
	Deep     bool      `json:"deep,omitempty"`     // restart: the whole terminal
	Print    PrintKind `json:"print,omitempty"`    // print: what; "" is the receipt of ID
	Document string    `json:"document,omitempty"` // print document: the document itself, or where the terminal finds it

	Bundle string `json:"bundle,omitempty"` // update: https address of the bundle

	From uint64 `json:"from,omitempty"` // replay: first event
	To   uint64 `json:"to,omitempty"`   // replay: last event, 0 for the newest

	Front  string `json:"-"` // "mqtt:local", "cli", ...
	Client string `json:"-"` // who, as far as the front can tell
}

// PrintKind is what a terminal is asked to print.
type PrintKind string

const (
	PrintReceipt        PrintKind = "receipt"        // of one payment, once more
	PrintTotals         PrintKind = "totals"         // of the open batch
	PrintReconciliation PrintKind = "reconciliation" // the last one, once more
	PrintJournal        PrintKind = "journal"        // every payment of the open batch
	PrintDocument       PrintKind = "document"       // something of the shop's own
)

// PrintKinds lists every kind.
func PrintKinds() []PrintKind {
	return []PrintKind{PrintReceipt, PrintTotals, PrintReconciliation, PrintJournal, PrintDocument}
}

// ReplyStatus is the answer to a command, given at once.
type ReplyStatus string

const (
	ReplyAccepted       ReplyStatus = "accepted"        // durable; the outcome follows as an event
	ReplyRefused        ReplyStatus = "refused"         // nothing happened, see Reason
	ReplyDone           ReplyStatus = "done"            // it happened
	ReplyGranted        ReplyStatus = "granted"         // give the goods now
	ReplyAlreadyGranted ReplyStatus = "already-granted" // do not give them again
)

// Reply answers a [Command].
type Reply struct {
	Verb    Verb        `json:"verb,omitempty"` // "" where there is no such verb
	ID      ID          `json:"id,omitempty"`
	Status  ReplyStatus `json:"status"`
	Known   bool        `json:"known,omitempty"` // the id had been accepted before; Payment tells how it stands
	Reason  Reason      `json:"reason,omitempty"`
	Text    string      `json:"text,omitempty"`
	Payment *Record     `json:"payment,omitempty"`
	Result  any         `json:"result,omitempty"` // totals, diagnosis, lines of print
}

// Refused makes the reply for err. An error that is no [Refusal] is reported
// as a failed journal, the only thing that can fail before a command is taken.
func Refused(c Command, err error) Reply {
	reason := ReasonOf(err)
	if reason == "" {
		reason = ReasonJournal
	}
	if _, ok := errors.AsType[Invalid](err); ok {
		reason = ReasonInvalid
	}
	return Reply{Verb: c.Verb, ID: c.ID, Status: ReplyRefused, Reason: reason, Text: err.Error()}
}
