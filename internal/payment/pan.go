package payment

import (
	"fmt"
	"log/slog"
)

// PAN is what may be kept of a card number (ISO 8583 DE 2): its last four
// digits. The full number is cut off when the value is made, so no format
// verb, reflection, core dump or log can show what is not there (PCI DSS 4.0.1,
// 3.4.1 and 3.5.1). The zero value is "no card".
type PAN struct{ last4 string }

// MaskPAN keeps the last four digits of a card number in any notation: whole,
// with blanks, or already masked by the terminal ("9704 XXXX XXXX 6163",
// "457362******1234"). Without four closing digits nothing is kept.
func MaskPAN(s string) PAN {
	var last []byte
	for i := len(s) - 1; i >= 0 && len(last) < 4; i-- {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			last = append([]byte{c}, last...)
		case c == ' ' || c == '-':
		default:
			return PAN{}
		}
	}
	if len(last) < 4 {
		return PAN{}
	}
	return PAN{string(last)}
}

// Last4 is the last four digits, or "" if there is no card.
func (p PAN) Last4() string { return p.last4 }

// String shows the card as "************6163", or "" if there is none.
func (p PAN) String() string {
	if p.last4 == "" {
		return ""
	}
	return "************" + p.last4
}

func (p PAN) GoString() string             { return fmt.Sprintf("payment.MaskPAN(%q)", p.String()) }
func (p PAN) LogValue() slog.Value         { return slog.StringValue(p.String()) }
func (p PAN) MarshalText() ([]byte, error) { return []byte(p.String()), nil }
func (p PAN) IsZero() bool                 { return p.last4 == "" }

// UnmarshalText never fails: whatever it is given, it keeps at most four digits.
func (p *PAN) UnmarshalText(b []byte) error { *p = MaskPAN(string(b)); return nil }
