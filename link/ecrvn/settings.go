package ecrvn

import (
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// Settings is the profile of one terminal: in what its bank's dialect differs.
// The defaults are the document's. They are made by [Driver]; the zero value is
// not valid.
type Settings struct {
	// ClientID is what the terminal is told about who asks. 1 to 20 characters.
	ClientID string `yaml:"client_id" json:"client_id,omitempty"`

	// RequestIDMax is how many characters of an id the terminal carries: 20, or
	// 12 at Techcombank. An attempt's id is cut to it; at least 12.
	RequestIDMax int `yaml:"request_id_max" json:"request_id_max,omitempty"`

	// Fields is how many of F1 to F5 a sale has: 5, or 0 at BIDV.
	Fields int `yaml:"fields" json:"fields,omitempty"`

	// F1 to F5 say what the fields carry: "order", "attempt", "id", or nothing.
	// The bank gets F3 and F5 with the transaction and reconciles by them.
	F1 string `yaml:"f1" json:"f1,omitempty"`
	F2 string `yaml:"f2" json:"f2,omitempty"`
	F3 string `yaml:"f3" json:"f3,omitempty"`
	F4 string `yaml:"f4" json:"f4,omitempty"`
	F5 string `yaml:"f5" json:"f5,omitempty"`

	// AmountFactor is how many units of an answer's amount make one minor unit:
	// 1, or 100 at Techcombank, whose terminals take VND and answer with two
	// more zeros. It is never guessed from an answer.
	AmountFactor int64 `yaml:"amount_factor" json:"amount_factor,omitempty"`

	// KeepZeros sends a receipt number to a void as the terminal wrote it. The
	// document's example sends 61 for 000061.
	KeepZeros bool `yaml:"keep_zeros" json:"keep_zeros,omitempty"`

	// SettleReceipt makes the terminal print at a settlement.
	SettleReceipt bool `yaml:"settle_receipt" json:"settle_receipt,omitempty"`

	// SilentWhenBusy promises that this terminal does not answer last_trans
	// while a sale is running. Only then an answer that shows nothing new,
	// after the longest time a payment can take, means that nothing was done;
	// otherwise such a payment stays in doubt until a person decides.
	SilentWhenBusy bool `yaml:"silent_when_busy" json:"silent_when_busy,omitempty"`

	// Keypad is "open", or "locked" where nobody can sell on the terminal by
	// hand. Only then a new last transaction that names no request counts as
	// ours when amount and currency match.
	Keypad string `yaml:"keypad" json:"keypad,omitempty"`

	// QueryTimeout is how long the terminal may take to answer last_trans.
	QueryTimeout time.Duration `yaml:"query_timeout" json:"query_timeout,omitempty"`

	// IdleGap is how long the line may be silent in the middle of an answer.
	IdleGap time.Duration `yaml:"idle_gap" json:"idle_gap,omitempty"`

	Web Web `yaml:"web" json:"web,omitzero"`
}

// Web is how the web service is reached, for an address that begins with
// http:// or https://.
type Web struct {
	Method  string            `yaml:"method" json:"method,omitempty"` // GET or POST
	Port    int               `yaml:"port" json:"port,omitempty"`     // where the address has none; 0 is the scheme's own
	Path    string            `yaml:"path" json:"path,omitempty"`     // where the address has none
	Headers map[string]string `yaml:"headers" json:"headers,omitempty"`
	Body    string            `yaml:"body" json:"body,omitempty"` // of a POST, sent as application/json

	// For https exactly one of these: the terminal's certificate is its own, so
	// no authority can vouch for it.
	CertificateFile   string `yaml:"certificate_file" json:"certificate_file,omitempty"`     // PEM
	CertificateSHA256 string `yaml:"certificate_sha256" json:"certificate_sha256,omitempty"` // of the certificate's DER, in hex; colons are ignored
}

// Keypad values.
const (
	KeypadOpen   = "open"
	KeypadLocked = "locked"
)

func defaults() *Settings {
	return &Settings{
		ClientID: "tillgate", RequestIDMax: maxText, Fields: 5, F3: "order", F5: "attempt", AmountFactor: 1,
		SettleReceipt: true, Keypad: KeypadOpen, QueryTimeout: 10 * time.Second, IdleGap: 500 * time.Millisecond,
		Web: Web{Method: "GET", Path: "/ecr"},
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
	check(s.ClientID != "" && len(s.ClientID) <= maxText && carried(s.ClientID), "client_id", "must be 1 to %d plain characters", maxText)
	check(s.RequestIDMax >= 12 && s.RequestIDMax <= maxText, "request_id_max", "must be between 12 and %d", maxText)
	check(s.Fields == 0 || s.Fields == 5, "fields", "must be 0 or 5")
	for i, f := range s.contents() {
		check(f == "" || f == "order" || f == "attempt" || f == "id", fmt.Sprintf("f%d", i+1), "must be order, attempt, id or empty")
	}
	check(s.AmountFactor == 1 || s.AmountFactor == 10 || s.AmountFactor == 100 || s.AmountFactor == 1000, "amount_factor", "must be 1, 10, 100 or 1000")
	check(s.Keypad == KeypadOpen || s.Keypad == KeypadLocked, "keypad", "must be open or locked")
	check(s.QueryTimeout > 0 && s.QueryTimeout <= time.Minute, "query_timeout", "must be more than 0 and at most 1m")
	check(s.IdleGap > 0 && s.IdleGap <= 10*time.Second, "idle_gap", "must be more than 0 and at most 10s")
	s.Web.validate(check)
	if len(v) == 0 {
		return nil
	}
	return v
}

func (w Web) validate(check func(ok bool, field, format string, a ...any)) {
	check(w.Method == "GET" || w.Method == "POST", "web.method", "must be GET or POST")
	check(w.Port >= 0 && w.Port <= 65535, "web.port", "must be between 0 and 65535")
	check(strings.HasPrefix(w.Path, "/") && carried(w.Path), "web.path", "must begin with / and have plain characters only")
	check(w.Body == "" || w.Method == "POST", "web.body", "needs the method POST")
	for k, h := range w.Headers {
		check(k != "" && carried(k) && !strings.ContainsAny(k, ":/ ") && !strings.ContainsAny(h, "\r\n\x00"), "web.headers", "has a name or a value that HTTP cannot carry")
	}
	if w.CertificateSHA256 != "" {
		check(w.CertificateFile == "", "web.certificate_sha256", "excludes certificate_file")
		_, err := w.fingerprint()
		check(err == nil, "web.certificate_sha256", "must be 64 hexadecimal digits")
	}
}

func (w Web) fingerprint() ([32]byte, error) {
	var sum [32]byte
	b, err := hex.DecodeString(strings.ReplaceAll(w.CertificateSHA256, ":", ""))
	if err != nil || len(b) != len(sum) {
		return sum, fmt.Errorf("want %d hexadecimal digits", 2*len(sum))
	}
	return [32]byte(b), nil
}

func (s *Settings) contents() [5]string { return [5]string{s.F1, s.F2, s.F3, s.F4, s.F5} }

func carried(s string) bool {
	for _, c := range s {
		if !carries(c) {
			return false
		}
	}
	return true
}
