package tmaster

// Operation is what a terminal can be asked to do.
type Operation string

const (
	Purchase         Operation = "purchase"
	Refund           Operation = "refund"      // by RRN, or by agreement
	Void             Operation = "void"        // by receipt number, all of it
	VoidPartly       Operation = "void-partly" // by receipt number
	Preauthorization Operation = "preauthorization"
	Completion       Operation = "completion" // by RRN
	CashAdvance      Operation = "cash-advance"
	Deposit          Operation = "deposit"
	Service          Operation = "service" // instalments and others that the bank has
	Balance          Operation = "balance"
	IdentifyCard     Operation = "identify-card"
	Settlement       Operation = "settlement"
)

// MovesMoney says whether an operation can change what a cardholder owns.
func (o Operation) MovesMoney() bool { return o != Balance && o != IdentifyCard && o != Settlement }

// silent operations show nobody a card reader.
func (o Operation) silent() bool { return o == Void || o == VoidPartly || o == Settlement }

// Command is one operation with all it is about. Amounts are in minor units.
type Command struct {
	Operation Operation
	Amount    int64  // before the discount, and without cash
	Discount  int64  // what is taken off
	Cash      int64  // given in cash, and charged with the amount
	Reserved  int64  // of a completion: what was reserved
	Merchant  int    // index
	Invoice   int    // of a void: the receipt
	RRN       string // of a refund or completion: the original's
	Auth      string // of a completion: the original's
	Service   string // its number
	Agreement string // of a refund of instalments
}

// total is what the card is charged.
func (c Command) total() int64 { return c.Amount - c.Discount + c.Cash }

// Response codes that are not the host's. Those below 1000 are.
const (
	Approved    = 0
	Partial     = 10   // a smaller amount was approved, or the payment without its cash
	General     = 1000 // exceptional cases
	Cancelled   = 1001
	ChipDecline = 1002
	LogFull     = 1003
	NoHost      = 1004
	NoPaper     = 1005
	NoKeys      = 1006
	NoReader    = 1007
	Complete    = 1008
)

// Texts of the terminal's own codes, as the guide has them.
var texts = map[int]string{
	General: "General error", Cancelled: "Transaction canceled by user", ChipDecline: "EMV Decline", LogFull: "Transaction log is full. Need close batch",
	NoHost: "No connection with host", NoPaper: "No paper in printer", NoKeys: "Error Crypto keys", NoReader: "Card reader is not connected",
	Complete: "Transaction is already complete",
}

// Text is what the terminal says about a code of its own.
func Text(code int) string { return texts[code] }

// Fault is what the wire makes of an answer.
type Fault int

const (
	Sound   Fault = iota
	Silent        // it is never said
	Half          // it stops in the middle
	Garbage       // noise
	HangUp        // it is not said, and the line breaks
	Says          // [Behaviour.Arg] is said instead of the code; "" is no code
)

// Answer is what a terminal has to say about an operation that is over.
type Answer struct {
	Command   Command
	Code      int    // [Approved], [Partial], a host's, or the terminal's own
	Text      string // about Code, for a person
	Slip      Slip   // where the host answered; else the zero Slip
	Report    string // text of a settlement
	Totals    Totals // of a settlement
	Balance   int64  // of a balance
	Fault     Fault
	Behaviour Behaviour // of the script; its features are the face's business
}

// Good says whether the operation was done, in whole or in part.
func (a Answer) Good() bool { return a.Code == Approved || a.Code == Partial }

// TrnStatus is the state of a receipt, with the values of the guide.
type TrnStatus int

const (
	StatusUndefined TrnStatus = iota
	StatusApproved
	StatusDeclined
	StatusReversed // taken back, and the bank knows
	StatusCanceled // taken back, and the bank is told when the batch is closed
)

// Totals are those of the open batch, or of the one that was closed.
type Totals struct {
	DebitNum, CreditNum, CancelledNum int
	DebitAmt, CreditAmt, CancelledAmt int64
}
