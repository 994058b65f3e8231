package qfpay

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// Settings is the profile of one terminal, as the configuration has it. The
// zero value is not usable; Driver.Settings makes one with its defaults.
type Settings struct {
	// KeyFile has the POS-KEY, 32 characters on one line: absolute, and readable
	// by its owner and group only. It is read again before each operation. It is
	// required, except for a simulated terminal, which has the printed key.
	KeyFile string `yaml:"key_file" json:"key_file,omitempty"`

	// SharedKey says that several terminals have this POS-KEY, so that it does not
	// tell who answers.
	SharedKey bool `yaml:"shared_key" json:"shared_key,omitempty"`

	// Key is "ascii", where the 32 characters themselves are the AES key, or
	// "hex", where they are the digits of a key of 16 bytes.
	Key string `yaml:"key" json:"key,omitempty"`

	Envelope   string `yaml:"envelope" json:"envelope,omitempty"`       // what is encrypted: "whole" or "content"
	Syntax     string `yaml:"syntax" json:"syntax,omitempty"`           // of what is inside: "odoo" {k=v} or "json"
	DigestOver string `yaml:"digest_over" json:"digest_over,omitempty"` // "plain", or "sealed" with envelope: content
	Plain      bool   `yaml:"plain" json:"plain,omitempty"`             // encryption is switched off on the terminal

	// Wire is "auto" by the address (packets on serial, USB and simulated lines, TCP
	// and HTTP as their schemes say), or "packet", "tcp", "http".
	Wire string `yaml:"wire" json:"wire,omitempty"`

	Model   string `yaml:"model" json:"model,omitempty"`     // "a8", or "a920", which takes no cards
	Channel string `yaml:"channel" json:"channel,omitempty"` // how the customer pays; see the page

	Camera          string        `yaml:"camera" json:"camera,omitempty"`                       // "back", "front", or "" for the terminal's own choice
	ScanType        string        `yaml:"scan_type" json:"scan_type,omitempty"`                 // QRCODE_PAY, SCAN_PAY, or "" for the way that was used last
	WaitCardTimeout time.Duration `yaml:"wait_card_timeout" json:"wait_card_timeout,omitempty"` // whole seconds; 0 is not sent
	PaymentTimeout  time.Duration `yaml:"payment_timeout" json:"payment_timeout,omitempty"`     // whole seconds; 0 is not sent
	MoveToBack      bool          `yaml:"move_to_back" json:"move_to_back,omitempty"`           // back to the home page afterwards

	// AllowModify lets somebody change the amount of a refund on the terminal.
	AllowModify bool `yaml:"allow_modify" json:"allow_modify,omitempty"`

	// AnswerAmount is the unit of amounts in answers: "minor" (cents, as a
	// client in use reads them) or "major". It is never guessed.
	AnswerAmount string `yaml:"answer_amount" json:"answer_amount,omitempty"`

	// LookupBy is the member in which function 4001 gets our id: "out_trade_no"
	// (since 4.32.5) or "orderId".
	LookupBy string `yaml:"lookup_by" json:"lookup_by,omitempty"`

	// IdleCode is what this terminal answers to function 5001 when nothing is
	// running, beside 6000: a promise. "" promises nothing.
	IdleCode string `yaml:"idle_code" json:"idle_code,omitempty"`

	// AbsentCodes are what this terminal answers to function 4001, itself or for
	// the transaction, when there is no such payment and none can come any more,
	// beside 6000 without data: a promise.
	AbsentCodes []string `yaml:"absent_codes" json:"absent_codes,omitempty"`

	PartSize     int           `yaml:"part_size" json:"part_size,omitempty"`         // bytes of data in one packet; more is split
	AckTimeout   time.Duration `yaml:"ack_timeout" json:"ack_timeout,omitempty"`     // beside the time that 9600 baud take
	PartGap      time.Duration `yaml:"part_gap" json:"part_gap,omitempty"`           // between the parts of a message
	QueryTimeout time.Duration `yaml:"query_timeout" json:"query_timeout,omitempty"` // for an answer to 3001, 3002, 4001 and 5001

	CAFile     string `yaml:"ca_file" json:"ca_file,omitempty"`         // for https: PEM of the only authority that is believed
	ServerName string `yaml:"server_name" json:"server_name,omitempty"` // the name in the terminal's certificate; "" does not compare it
	BareBody   bool   `yaml:"bare_body" json:"bare_body,omitempty"`     // HTTP: the Base64 text without the quotes of a JSON string
}

// Values of settings.
const (
	KeyASCII        = "ascii"
	KeyHex          = "hex"
	EnvelopeWhole   = "whole"
	EnvelopeContent = "content"
	SyntaxOdoo      = "odoo"
	SyntaxJSON      = "json"
	DigestPlain     = "plain"
	DigestSealed    = "sealed"
	WireAuto        = "auto"
	WirePacket      = "packet"
	WireTCP         = "tcp"
	WireHTTP        = "http"
	ModelA8         = "a8"
	ModelA920       = "a920"
	AmountMinor     = "minor"
	AmountMajor     = "major"
	ByOutTradeNo    = "out_trade_no"
	ByOrderID       = "orderId"
)

// channels are those of chapter 4; true: a card is read.
var channels = map[string]bool{
	"card_payment": true, "wx": false, "alipay": false, "payme": false, "union": false, "fps": false, "octopus": false,
	"unionpay_card": true, "amex_card": true,
}

// maxTimeout bounds the seconds that a terminal is told to wait. For PayMe more
// than 120 are refused, as QFPay's newer pages say.
const (
	maxTimeout      = 10 * time.Minute
	maxPayMeTimeout = 120 * time.Second
)

func defaults() *Settings {
	return &Settings{
		Key: KeyASCII, Envelope: EnvelopeWhole, Syntax: SyntaxOdoo, DigestOver: DigestPlain, Wire: WireAuto, Model: ModelA8, Channel: "card_payment",
		AnswerAmount: AmountMinor, LookupBy: ByOutTradeNo, PartSize: 1024,
		AckTimeout: time.Second, PartGap: 500 * time.Millisecond, QueryTimeout: 15 * time.Second,
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
	oneOf := func(value, field string, among ...string) {
		check(slices.Contains(among, value), field, "must be one of %v", among)
	}
	check(s.KeyFile == "" || filepath.IsAbs(s.KeyFile), "key_file", "must begin with a slash")
	oneOf(s.Key, "key", KeyASCII, KeyHex)
	oneOf(s.Envelope, "envelope", EnvelopeWhole, EnvelopeContent)
	oneOf(s.Syntax, "syntax", SyntaxOdoo, SyntaxJSON)
	oneOf(s.DigestOver, "digest_over", DigestPlain, DigestSealed)
	check(s.DigestOver != DigestSealed || s.Envelope == EnvelopeContent && !s.Plain, "digest_over", "sealed needs envelope: content, and encryption")
	oneOf(s.Wire, "wire", WireAuto, WirePacket, WireTCP, WireHTTP)
	oneOf(s.Model, "model", ModelA8, ModelA920)
	card, known := channels[s.Channel]
	check(known, "channel", "is not one of the document's")
	check(s.Model != ModelA920 || !card, "channel", "an a920 takes QR codes only, no cards")
	oneOf(s.Camera, "camera", "", "back", "front")
	oneOf(s.ScanType, "scan_type", "", "QRCODE_PAY", "SCAN_PAY")
	most := maxTimeout
	if s.Channel == "payme" {
		most = maxPayMeTimeout
	}
	check(seconds(s.WaitCardTimeout, maxTimeout), "wait_card_timeout", "must be whole seconds, at most %v", maxTimeout)
	check(seconds(s.PaymentTimeout, most), "payment_timeout", "must be whole seconds, at most %v", most)
	oneOf(s.AnswerAmount, "answer_amount", AmountMinor, AmountMajor)
	oneOf(s.LookupBy, "lookup_by", ByOutTradeNo, ByOrderID)
	check(s.IdleCode == "" || len(s.IdleCode) == 4 && digits(s.IdleCode), "idle_code", "must be four digits or empty")
	check(len(s.AbsentCodes) <= 16, "absent_codes", "has more than 16 entries")
	for _, c := range s.AbsentCodes {
		taken := slices.Contains([]string{"6000", "4003", "4007", "5001"}, c) || hosts[c].decision != doubtful
		check(len(c) == 4 && digits(c) && !taken, "absent_codes", "%s is not four digits, or says something else", show(c))
	}
	check(s.PartSize >= 16 && s.PartSize <= maxPart, "part_size", "must be between 16 and %d", maxPart)
	check(s.AckTimeout > 0 && s.AckTimeout <= 10*time.Second, "ack_timeout", "must be more than 0 and at most 10s")
	check(s.PartGap > 0 && s.PartGap <= 10*time.Second, "part_gap", "must be more than 0 and at most 10s")
	check(s.QueryTimeout > 0 && s.QueryTimeout <= time.Minute, "query_timeout", "must be more than 0 and at most 1m")
	check(s.CAFile == "" || filepath.IsAbs(s.CAFile), "ca_file", "must begin with a slash")
	if len(v) == 0 {
		return nil
	}
	return v
}

// ValidateAt asks for the key, which a simulated terminal alone can be without.
func (s *Settings) ValidateAt(address string) error {
	if s.KeyFile == "" && !simulated(address) {
		return payment.Invalid{{Field: "key_file", Text: needKey}}
	}
	return nil
}

// needKey says what is missing without a key.
const needKey = "is required: a file with the terminal's own POS-KEY on one line (Haojin app, My, Settings, POS key)"

// simulated says whether nobody can be charged at an address.
func simulated(address string) bool { return address == "" || strings.HasPrefix(address, "sim:") }

func seconds(d, most time.Duration) bool { return d >= 0 && d <= most && d%time.Second == 0 }

func digits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}
