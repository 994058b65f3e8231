package privat

import (
	"fmt"
	"time"

	"tillgate/internal/payment"
)

// Settings is the profile of one terminal. The defaults are the document's.
// They are made by [Driver]; the zero value is not valid.
type Settings struct {
	// MerchantID is the index of the merchant that sells: 0 to 99. 0 is the
	// document's example.
	MerchantID string `yaml:"merchant_id" json:"merchant_id,omitempty"`

	// SubMerchant is sent with a sale. The bank must know it; "" is none.
	SubMerchant string `yaml:"sub_merchant" json:"sub_merchant,omitempty"`

	// Keypad is "open", or "locked" where nobody can sell on the terminal by
	// hand. Only then a new last receipt with our operation and amount counts
	// as ours, since a receipt names no request.
	Keypad string `yaml:"keypad" json:"keypad,omitempty"`

	// Signature is what becomes of a sale for which the customer has to sign
	// (signVerif 1): "reverse", since nobody looks at a signature at a kiosk, or
	// "accept".
	Signature string `yaml:"signature" json:"signature,omitempty"`

	// Refund is how a refund is made that names no service: "refund", or
	// "service" where the bank has switched on ServiceRefund instead.
	Refund string `yaml:"refund" json:"refund,omitempty"`

	// Discounts are whole percent, 1 to 99, by the name of the card's discount
	// group. A purchase is made cheaper while the terminal offers it (status 11);
	// poll may not be 0 then.
	Discounts map[string]int `yaml:"discounts" json:"discounts,omitempty"`

	// Print is where receipts and the journal of the batch come out that are
	// asked for: "text" hands them over, "paper" has the terminal print them.
	Print string `yaml:"print" json:"print,omitempty"`

	// Dialogue is how a connection is made: "reference" is the only way that the
	// bank vouches for (handshake and identify on connections of their own),
	// "single" does both on the connection that is kept.
	Dialogue string `yaml:"dialogue" json:"dialogue,omitempty"`

	// Pause is how long the reference dialogue waits before it connects once more
	// to a terminal that is not ready for its next connection: 1s, and 3s to 5s
	// for Verifone.
	Pause time.Duration `yaml:"pause" json:"pause,omitempty"`

	// QueryTimeout is how long the terminal may take to answer a question.
	QueryTimeout time.Duration `yaml:"query_timeout" json:"query_timeout,omitempty"`

	// Poll is how often a terminal that serves a customer is asked how far it
	// is; 0 is never.
	Poll time.Duration `yaml:"poll" json:"poll,omitempty"`
}

// Values of [Settings].
const (
	KeypadOpen        = "open"
	KeypadLocked      = "locked"
	SignatureReverse  = "reverse"
	SignatureAccept   = "accept"
	RefundPlain       = "refund"
	RefundService     = "service"
	PrintText         = "text"
	PrintPaper        = "paper"
	DialogueReference = "reference"
	DialogueSingle    = "single"
)

func defaults() *Settings {
	return &Settings{
		MerchantID: "0", Keypad: KeypadOpen, Signature: SignatureReverse, Refund: RefundPlain, Print: PrintText, Dialogue: DialogueReference,
		Pause: time.Second, QueryTimeout: 10 * time.Second, Poll: time.Second,
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
	check(isMerchant(s.MerchantID), "merchant_id", "must be a number from 0 to 99")
	check(isSubMerchant(s.SubMerchant), "sub_merchant", "must have at most %d printable bytes", maxValue)
	check(s.Keypad == KeypadOpen || s.Keypad == KeypadLocked, "keypad", "must be open or locked")
	check(s.Signature == SignatureReverse || s.Signature == SignatureAccept, "signature", "must be reverse or accept")
	check(s.Refund == RefundPlain || s.Refund == RefundService, "refund", "must be refund or service")
	check(s.Print == PrintText || s.Print == PrintPaper, "print", "must be text or paper")
	for group, percent := range s.Discounts {
		check(group != "" && len(group) <= maxValue && percent >= 1 && percent <= 99, "discounts", "must be whole percent from 1 to 99, by the name of a discount group")
	}
	check(len(s.Discounts) == 0 || s.Poll > 0, "discounts", "need poll, to see when the terminal offers one")
	check(s.Dialogue == DialogueReference || s.Dialogue == DialogueSingle, "dialogue", "must be reference or single")
	check(s.Pause >= 0 && s.Pause <= 10*time.Second, "pause", "must be between 0 and 10s")
	check(s.QueryTimeout > 0 && s.QueryTimeout <= time.Minute, "query_timeout", "must be more than 0 and at most 1m")
	check(s.Poll == 0 || s.Poll >= 100*time.Millisecond && s.Poll <= time.Minute, "poll", "must be 0, or between 100ms and 1m")
	if len(v) == 0 {
		return nil
	}
	return v
}
