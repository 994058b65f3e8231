package payment

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// Bounds of what a request may carry. They are wide enough for every terminal;
// a driver refuses what its own protocol cannot carry (Driver.Check).
const (
	MaxID      = 64               // characters of an ID
	MaxOrder   = 64               // characters of an order
	MaxText    = 256              // characters of a reason or a name
	MaxMinor   = 999_999_999_999  // ISO 8583 DE 4: twelve digits
	MaxTimeout = 10 * time.Minute // from accepted to card read
	MaxFulfil  = time.Hour        // from approved to dispensed
)

// DefaultTimeout is how long a customer has to present a card.
const DefaultTimeout = 120 * time.Second

// ID names one attempt at one payment. The same id with the same content is
// always the same attempt and has the same answer. It is 1 to [MaxID] letters,
// digits, '.', '_', ':' or '-'; '~' is kept for ids that Tillgate derives.
type ID string

// ReversalOf is the id of the automatic reversal of a payment.
func ReversalOf(id ID) ID { return id + "~rev" }

// RefundOf is the id of the refund made where a reversal is no longer possible.
func RefundOf(id ID) ID { return id + "~refund" }

// Derived says whether Tillgate made this id itself.
func (id ID) Derived() bool { return strings.Contains(string(id), "~") }

func (id ID) problem() string {
	if id == "" {
		return "is required: one id for each attempt"
	}
	if len(id) > MaxID {
		return fmt.Sprintf("is longer than %d characters", MaxID)
	}
	for _, c := range strings.TrimSuffix(strings.TrimSuffix(string(id), "~rev"), "~refund") {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.ContainsRune("._:-", c)) {
			return "may have letters, digits, '.', '_', ':' and '-' only"
		}
	}
	return ""
}

// Request is what is asked of one terminal.
type Request struct {
	ID        ID        `json:"id"`
	Order     string    `json:"order,omitempty"`    // the shop's own key: bill, cart, vend
	Terminal  string    `json:"terminal,omitempty"` // name in the configuration; may be left out where there is only one
	Operation Operation `json:"operation"`
	Amount    Money     `json:"amount,omitzero"`
	Original  Reference `json:"original,omitzero"` // of a refund, reversal or completion

	Cashback Money  `json:"cashback,omitzero"`  // the part of Amount that a purchase gives out in cash
	Merchant string `json:"merchant,omitempty"` // which of the terminal's merchants is paid; "" is the profile's own
	Service  string `json:"service,omitempty"`  // what a service-payment pays, or a refund of one needs, in the terminal's own notation

	// Timeout is how long the customer has to present a card; 0 means
	// [DefaultTimeout]. When it is over the terminal is asked to stop, and the
	// terminal's answer decides.
	Timeout Millis `json:"timeout_ms,omitempty"`

	// FulfilWithin keeps an approved payment reversible until the goods have
	// been granted, this long at most. 0 means the payment is final at once.
	FulfilWithin Millis `json:"fulfil_within_ms,omitempty"`

	// Split allows a further purchase for an order that has one already.
	Split bool `json:"split,omitempty"`
}

// SameContent says whether two requests with one id ask for the same thing. A
// reversal that named no amount asked for all that was left, and an original is
// the same if our id of it is: the gateway fills in the rest.
func (r Request) SameContent(o Request) bool {
	if r.Operation == Reversal && (r.Amount.IsZero() || o.Amount.IsZero()) {
		r.Amount, o.Amount = Money{}, Money{}
	}
	if r.Original.Payment != "" && r.Original.Payment == o.Original.Payment {
		r.Original, o.Original = Reference{}, Reference{}
		if r.Merchant == "" || o.Merchant == "" {
			r.Merchant, o.Merchant = "", ""
		}
	}
	return r == o
}

// Problem is one reason why a request is refused.
type Problem struct {
	Field string `json:"field"`
	Text  string `json:"text"`
}

// Invalid is every reason why a request is refused.
type Invalid []Problem

func (v Invalid) Error() string {
	texts := make([]string, len(v))
	for i, p := range v {
		texts[i] = p.Field + " " + p.Text
	}
	return strings.Join(texts, "; ")
}

func (v *Invalid) add(field, format string, a ...any) {
	*v = append(*v, Problem{field, fmt.Sprintf(format, a...)})
}

// Validate returns nil or an [Invalid] with every reason at once. It knows the
// rules that hold for all terminals; currency, maximum and field lengths of one
// terminal are checked by its lane.
func (r Request) Validate() error {
	var v Invalid
	if p := r.ID.problem(); p != "" {
		v.add("id", "%s", p)
	}
	checkText(&v, "order", r.Order, MaxOrder)
	checkText(&v, "terminal", r.Terminal, MaxOrder)
	if !r.Operation.Known() {
		v.add("operation", "%q is not known", Excerpt(string(r.Operation)))
	}
	r.validateAmount(&v)
	r.validateCashback(&v)
	r.validateOriginal(&v)
	checkText(&v, "merchant", r.Merchant, MaxOrder)
	checkText(&v, "service", r.Service, MaxText)
	if r.Service != "" && r.Operation != ServicePayment && r.Operation != Refund {
		v.add("service", "is for a service-payment or its refund only")
	}
	checkDuration(&v, "timeout_ms", r.Timeout, MaxTimeout)
	checkDuration(&v, "fulfil_within_ms", r.FulfilWithin, MaxFulfil)
	if r.FulfilWithin > 0 && r.Operation != Purchase {
		v.add("fulfil_within_ms", "is for a purchase only")
	}
	if r.Split && r.Order == "" {
		v.add("split", "needs an order")
	}
	if len(v) == 0 {
		return nil
	}
	return v
}

func (r Request) validateAmount(v *Invalid) {
	needs := r.Operation.MovesMoney() && r.Operation != Reversal
	switch {
	case r.Amount.IsZero() && needs:
		v.add("amount", "is required")
	case r.Amount.IsZero():
	case !r.Operation.MovesMoney():
		v.add("amount", "has no meaning for a %s", Excerpt(string(r.Operation)))
	case r.Amount.Minor <= 0:
		v.add("amount", "must be more than zero")
	case r.Amount.Minor > MaxMinor:
		v.add("amount", "has more than 12 digits")
	}
	if !r.Amount.IsZero() {
		if _, ok := Exponent(r.Amount.Currency); !ok {
			v.add("amount", "has a currency that is not in ISO 4217")
		}
	}
}

func (r Request) validateCashback(v *Invalid) {
	switch c := r.Cashback; {
	case c.IsZero():
	case r.Operation != Purchase:
		v.add("cashback", "is for a purchase only")
	case c.Currency != r.Amount.Currency:
		v.add("cashback", "must be in the currency of the amount")
	case c.Minor <= 0 || c.Minor >= r.Amount.Minor:
		v.add("cashback", "must be more than zero and less than the amount, which it is a part of")
	}
}

func (r Request) validateOriginal(v *Invalid) {
	if r.Operation.NeedsOriginal() && r.Original.Payment == "" {
		v.add("original", "is required: the id of the payment this is about")
	}
	if r.Original.Payment != "" {
		if p := r.Original.Payment.problem(); p != "" {
			v.add("original", "%s", p)
		}
	}
}

func checkText(v *Invalid, field, s string, most int) {
	if len([]rune(s)) > most {
		v.add(field, "is longer than %d characters", most)
	}
	if strings.ContainsFunc(s, unicode.IsControl) || !validText(s) {
		v.add(field, "may not have control characters or broken UTF-8")
	}
}

func validText(s string) bool { return strings.ToValidUTF8(s, "") == s }

func checkDuration(v *Invalid, field string, d Millis, most time.Duration) {
	if d < 0 || d > InMillis(most) {
		v.add(field, "must be between 0 and %d", InMillis(most))
	}
}
