package ssi

import (
	"fmt"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// Settings is the profile of one terminal: in what its firmware and its bank
// differ. The defaults are made by [Driver]; the zero value is not valid.
type Settings struct {
	// Wire is "auto": HTTP where the address is http://, frames elsewhere. Or
	// "frames", or "http" for a web service behind a tcp:// address.
	Wire string `yaml:"wire" json:"wire,omitempty"`

	// MerchantID says for which merchant a terminal with several works, where a
	// request names none; "" leaves it to the terminal. TerminalID is needed where
	// that merchant has several.
	MerchantID string `yaml:"merchant_id" json:"merchant_id,omitempty"`
	TerminalID string `yaml:"terminal_id" json:"terminal_id,omitempty"`

	// UID is "auto": transactionUid goes with each command, and the terminal is
	// asked by it; the document has a terminal ignore keys it does not know. Or
	// "off", for one that refuses them.
	UID string `yaml:"uid" json:"uid,omitempty"`

	// UIDLength is how many characters of an attempt go as transactionUid, 12 to
	// 20. No document has a limit; a tester's script sends 12.
	UIDLength int `yaml:"uid_length" json:"uid_length,omitempty"`

	// Steps is how a purchase is sent: "" without the key step, "one" with step
	// 0, or "two": step 1, then step 2 when the card is known.
	Steps string `yaml:"steps" json:"steps,omitempty"`

	// DiscountPercent, if not 0, offers discountedAmount with each purchase: so
	// much less, rounded down to a minor unit, for the cards for which the
	// terminal's profile has a discount. 1 to 99.
	DiscountPercent int `yaml:"discount_percent" json:"discount_percent,omitempty"`

	// Cashback says what transAmount of a CashBack is, on which the document is
	// silent: "within", the whole with the cash in it, or "beside", what is paid
	// for goods, the cash comes on top. "" refuses purchases with cash: what is
	// right has to be tried with a small amount.
	Cashback string `yaml:"cashback" json:"cashback,omitempty"`

	// Keypad is "open", or "locked" where nobody can sell on the terminal by
	// hand. Only then a new last result that names no transactionUid counts as
	// ours when operation and amount match.
	Keypad string `yaml:"keypad" json:"keypad,omitempty"`

	// TakesBack promises that this terminal takes back by itself what its bank
	// may have approved when their connection was lost. Only then
	// CONNECTION_TIMEOUT and its like mean that nothing was paid, once the
	// longest time a payment can take has passed.
	TakesBack bool `yaml:"takes_back" json:"takes_back,omitempty"`

	// Connection is "auto": over TCP each request has a connection of its own, on
	// other lines one is kept. Or "each" or "kept".
	Connection string `yaml:"connection" json:"connection,omitempty"`

	// PrintLRC is how the check byte of a PrintXml is written, on which the
	// document is silent: "hex" or "decimal". Font is a file of the terminal's
	// folder content; "" is its usual one.
	PrintLRC string `yaml:"print_lrc" json:"print_lrc,omitempty"`
	Font     string `yaml:"font" json:"font,omitempty"`

	RequestTimeout time.Duration `yaml:"request_timeout" json:"request_timeout,omitempty"` // for one answer; 1s to 1m
	Poll           time.Duration `yaml:"poll" json:"poll,omitempty"`                       // between two questions for the status; 250ms to 5s
	Gap            time.Duration `yaml:"gap" json:"gap,omitempty"`                         // between any two requests; at most 2s
	IdleGap        time.Duration `yaml:"idle_gap" json:"idle_gap,omitempty"`               // silence in the middle of a message; at most 10s
}

// Values of settings.
const (
	WireAuto   = "auto"
	WireFrames = "frames"
	WireHTTP   = "http"

	CashbackWithin = "within"
	CashbackBeside = "beside"

	LRCHex     = "hex"
	LRCDecimal = "decimal"

	UIDAuto = "auto"
	UIDOff  = "off"

	StepsOne = "one"
	StepsTwo = "two"

	KeypadOpen   = "open"
	KeypadLocked = "locked"

	ConnectionAuto = "auto"
	ConnectionEach = "each"
	ConnectionKept = "kept"
)

func defaults() *Settings {
	return &Settings{
		Wire: WireAuto, UID: UIDAuto, UIDLength: 20, Keypad: KeypadOpen, PrintLRC: LRCHex, Connection: ConnectionAuto,
		RequestTimeout: 15 * time.Second, Poll: 500 * time.Millisecond, Gap: 250 * time.Millisecond, IdleGap: 500 * time.Millisecond,
	}
}

// Validate returns nil or a [payment.Invalid] with every reason at once.
func (s *Settings) Validate() error {
	var v payment.Invalid
	check := func(ok bool, field, format string, a ...any) {
		if !ok {
			v = append(v, payment.Problem{Field: field, Text: fmt.Sprintf(format, a...)})
		}
	}
	check(s.Wire == WireAuto || s.Wire == WireFrames || s.Wire == WireHTTP, "wire", "must be auto, frames or http")
	check(plain(s.MerchantID), "merchant_id", "must be at most %d plain characters", maxField)
	check(plain(s.TerminalID), "terminal_id", "must be at most %d plain characters", maxField)
	check(s.UID == UIDAuto || s.UID == UIDOff, "uid", "must be auto or off")
	check(s.UIDLength >= 12 && s.UIDLength <= 20, "uid_length", "must be between 12 and 20")
	check(s.Steps == "" || s.Steps == StepsOne || s.Steps == StepsTwo, "steps", "must be one, two or empty")
	check(s.DiscountPercent >= 0 && s.DiscountPercent < 100, "discount_percent", "must be between 0 and 99")
	check(s.Cashback == "" || s.Cashback == CashbackWithin || s.Cashback == CashbackBeside, "cashback", "must be within, beside or empty")
	check(s.PrintLRC == LRCHex || s.PrintLRC == LRCDecimal, "print_lrc", "must be hex or decimal")
	check(plain(s.Font), "font", "must be at most %d plain characters", maxField)
	check(s.Keypad == KeypadOpen || s.Keypad == KeypadLocked, "keypad", "must be open or locked")
	check(s.Connection == ConnectionAuto || s.Connection == ConnectionEach || s.Connection == ConnectionKept, "connection", "must be auto, each or kept")
	check(s.RequestTimeout >= time.Second && s.RequestTimeout <= time.Minute, "request_timeout", "must be between 1s and 1m")
	check(s.Poll >= 250*time.Millisecond && s.Poll <= 5*time.Second, "poll", "must be between 250ms and 5s")
	check(s.Gap >= 0 && s.Gap <= 2*time.Second, "gap", "must be between 0 and 2s")
	check(s.IdleGap > 0 && s.IdleGap <= 10*time.Second, "idle_gap", "must be more than 0 and at most 10s")
	if len(v) == 0 {
		return nil
	}
	return v
}

// maxField bounds ids that go to the terminal, in characters. The document has
// none; its longest has 15.
const maxField = 40

// plain says whether s can stand in any field: printable ASCII.
func plain(s string) bool {
	return len(s) <= maxField && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c > '~' })
}

// merchant is for whom the terminal works: a merchant, and its TID where it has
// several. A request may name another one than the profile, as MERCHANT or
// MERCHANT@TID.
func (s *Settings) merchant(named string) (mid, tid string) {
	if named == "" {
		return s.MerchantID, s.TerminalID
	}
	mid, tid, _ = strings.Cut(named, "@")
	if tid == "" && mid == s.MerchantID {
		tid = s.TerminalID
	}
	return mid, tid
}

// uid is what the terminal gets to see of an attempt.
func (s *Settings) uid(attempt string) string {
	if s.UID == UIDOff {
		return ""
	}
	return attempt[:min(len(attempt), s.UIDLength)]
}

// discounted is the amount that is offered for cards with a discount, or 0.
func (s *Settings) discounted(minor int64) int64 {
	if s.DiscountPercent == 0 {
		return 0
	}
	return minor/100*int64(100-s.DiscountPercent) + minor%100*int64(100-s.DiscountPercent)/100
}
