package payment

import "time"

// Result is what became of an attempt. The empty Result means that nothing is
// known yet.
type Result string

const (
	Approved   Result = "approved"   // money moved, the amount is in the outcome
	Declined   Result = "declined"   // the bank or the card said no; no money moved
	Cancelled  Result = "cancelled"  // customer or controller gave up; no money moved
	Failed     Result = "failed"     // certainly not done
	InDoubt    Result = "in-doubt"   // money may have moved; neither paid nor not paid
	Reversed   Result = "reversed"   // it was approved and has been taken back
	Unreversed Result = "unreversed" // a reversal is owed and cannot be made
)

// Paid says whether the merchant has the customer's money for good.
func (r Result) Paid() bool { return r == Approved }

// NotPaid says whether it is known that no money moved, or that it went back.
func (r Result) NotPaid() bool {
	return r == Declined || r == Cancelled || r == Failed || r == Reversed
}

// Condition is a nexo ErrorCondition (Retailer Protocol 3.1, 9.6).
type Condition string

const (
	CondAborted            Condition = "Aborted"
	CondBusy               Condition = "Busy"
	CondCancel             Condition = "Cancel"
	CondDeviceOut          Condition = "DeviceOut"
	CondInProgress         Condition = "InProgress"
	CondInsertedCard       Condition = "InsertedCard"
	CondInvalidCard        Condition = "InvalidCard"
	CondLoggedOut          Condition = "LoggedOut"
	CondMessageFormat      Condition = "MessageFormat"
	CondNotAllowed         Condition = "NotAllowed"
	CondNotFound           Condition = "NotFound"
	CondPaymentRestriction Condition = "PaymentRestriction"
	CondRefusal            Condition = "Refusal"
	CondUnavailableDevice  Condition = "UnavailableDevice"
	CondUnavailableService Condition = "UnavailableService"
	CondUnreachableHost    Condition = "UnreachableHost"
	CondWrongPIN           Condition = "WrongPIN"
)

// VendorCode is the terminal's own word for a result, kept beside ours.
type VendorCode struct {
	Code string `json:"code,omitempty"`
	Text string `json:"text,omitempty"`
}

// Reference is how a transaction is named outside: at the terminal, at the
// acquirer, on the slip. Payment is our own id of it, where we have one.
type Reference struct {
	Payment ID     `json:"payment,omitempty"`
	STAN    string `json:"stan,omitempty"`      // ISO 8583 DE 11
	RRN     string `json:"rrn,omitempty"`       // DE 37
	Auth    string `json:"auth_code,omitempty"` // DE 38
	TID     string `json:"tid,omitempty"`       // DE 41
	MID     string `json:"mid,omitempty"`       // DE 42
	Batch   string `json:"batch,omitempty"`     // DE 60, private
	Receipt string `json:"receipt,omitempty"`   // number on the slip; what a void asks for
	Serial  string `json:"serial,omitempty"`    // of the terminal
	Time    string `json:"time,omitempty"`      // the terminal's own clock, as it printed it

	// What the original was, and the amount it was approved for. The gateway
	// fills them in for a payment of its own journal; in an outcome they are
	// empty.
	Operation Operation `json:"operation,omitempty"`
	Amount    Money     `json:"amount,omitzero"`
}

// EntryMode is how the card was read (ISO 8583 DE 22, simplified).
type EntryMode string

const (
	EntryChip        EntryMode = "chip"
	EntryContactless EntryMode = "contactless"
	EntryMagstripe   EntryMode = "magstripe"
	EntryFallback    EntryMode = "fallback" // magstripe, since the chip could not be read
	EntryManual      EntryMode = "manual"
	EntryQR          EntryMode = "qr"
)

// Card is what may be kept of a card. Holder, expiry date and track data have
// no field, so that no decoder can keep them.
type Card struct {
	PAN    PAN       `json:"pan,omitzero"`
	Scheme string    `json:"scheme,omitempty"`
	Entry  EntryMode `json:"entry,omitempty"`
	AID    string    `json:"aid,omitempty"`   // EMV tag 4F
	Label  string    `json:"label,omitempty"` // EMV tag 50
}

// Source tells from where an outcome is known.
type Source string

const (
	SourceAnswer       Source = "answer"       // the terminal's answer to the command itself
	SourceLookup       Source = "lookup"       // the terminal was asked afterwards
	SourceGateway      Source = "gateway"      // nothing was sent, or nobody could say
	SourcePerson       Source = "person"       // somebody resolved it
	SourceNotification Source = "notification" // the acquirer told us
)

// Outcome is what became of an attempt.
type Outcome struct {
	Result    Result     `json:"result"`
	Amount    Money      `json:"amount,omitzero"`     // as the terminal reported it; zero: it did not, or unreadably
	Discount  Money      `json:"discounted,omitzero"` // the discounted amount both sides agreed on before charging
	Reference Reference  `json:"reference,omitzero"`
	Condition Condition  `json:"condition,omitempty"`
	Response  string     `json:"response_code,omitempty"` // ISO 8583 DE 39, where the host answered
	Vendor    VendorCode `json:"vendor,omitzero"`
	Card      Card       `json:"card,omitzero"`
	Source    Source     `json:"source,omitempty"`
	Text      string     `json:"text,omitempty"` // a sentence for a person
	Receipt   []string   `json:"receipt,omitempty"`
	Offline   bool       `json:"offline,omitempty"` // approved by the terminal without its host

	// Signature is set on an approval that holds only with a signature which
	// nobody at this terminal looks at: it is reversed.
	Signature bool `json:"signature,omitempty"`

	// Pending is set on an unreversed payment whose money the terminal gives back
	// by itself when its batch is closed.
	Pending bool `json:"pending,omitempty"`

	// Attempt is set on an answer that belongs to another attempt than the one
	// that was waited for: Transaction.Attempt, or as many of its first
	// characters as the terminal's protocol carries.
	Attempt string `json:"attempt,omitempty"`
}

// Clock tells how far a time may be trusted. A kiosk often has no RTC.
type Clock string

const (
	ClockSynced   Clock = "synced"
	ClockUnsynced Clock = "unsynced"
)

// Moment is a wall-clock time with the quality of the clock that gave it. No
// money decision is made by it.
type Moment struct {
	Time  time.Time `json:"time"`
	Clock Clock     `json:"clock"`
}
