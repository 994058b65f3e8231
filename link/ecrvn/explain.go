package ecrvn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link/frame"
)

// Explain writes what captured bytes mean: requests, answers, and what stands
// around them. Card numbers are masked, card holder and expiry date are told
// only to be there. The error says that the bytes are not valid.
func Explain(w io.Writer, b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return errors.New("no bytes")
	}
	var problems []error
	found := false
	if bytes.HasPrefix(b, []byte("/ecr?")) {
		text, rest := b, []byte(nil)
		if i := bytes.IndexByte(b, '{'); i >= 0 {
			text, rest = b[:i], b[i:]
		}
		problems = append(problems, explainRequest(w, string(bytes.TrimSpace(text))))
		b, found = rest, true
	}
	objects := frame.NewObjects(bytes.NewReader(b), max(len(b), 1)+1)
	used := 0
	for {
		o, err := objects.Next()
		if err != nil {
			if errors.Is(err, io.ErrUnexpectedEOF) {
				problems = append(problems, fmt.Errorf("an answer without an end: %d bytes", objects.Pending()))
			}
			break
		}
		found, used = true, used+len(o)
		problems = append(problems, explainAnswer(w, o))
	}
	if n := len(bytes.TrimSpace(b)) - used - objects.Pending(); n > 0 {
		fmt.Fprintf(w, "%d bytes beside it that belong to nothing\n", n)
	}
	if !found {
		problems = append(problems, errors.New("neither a request nor an answer"))
	}
	return errors.Join(problems...)
}

func explainRequest(w io.Writer, text string) error {
	r, err := parseRequest(text)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "request %s\n", payment.Printable(r.command))
	row(w, "requestId", r.id)
	row(w, "clientId", r.client)
	var errs []error
	limit := func(name, s string, most int) {
		row(w, name, s)
		if len(s) > most {
			errs = append(errs, fmt.Errorf("%s has %d characters, at most %d are allowed", name, len(s), most))
		}
	}
	if len(r.id) > maxText || len(r.client) > maxText {
		errs = append(errs, fmt.Errorf("requestId or clientId has more than %d characters", maxText))
	}
	for i, a := range r.args {
		switch {
		case r.command == cmdSale && i == 0:
			limit("amount", a, maxAmount)
			if a == "" || strings.Trim(a, "0123456789") != "" {
				errs = append(errs, errors.New("amount is not digits"))
			}
		case r.command == cmdSale:
			limit(fmt.Sprintf("F%d", i), a, maxText)
		case r.command == cmdVoid:
			limit("receiptNo", a, maxText)
		case r.command == cmdSettle:
			limit("printReceipt", a, 3)
		default:
			limit(fmt.Sprintf("argument %d", i+1), a, maxText)
		}
	}
	return errors.Join(errs...)
}

func explainAnswer(w io.Writer, b []byte) error {
	a, err := decode(b)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "answer to %s, %d bytes: %s\n", payment.Printable(a.command), len(b), meaning(a))
	row(w, "requestId", a.requestID)
	row(w, "clientId", a.clientID)
	row(w, "status", a.status)
	if !a.hasInfo {
		return nil
	}
	f := &a.info
	row(w, "  cardNo", f.card.String())
	for _, key := range kept {
		row(w, "  "+key, *f.field(key))
	}
	for _, key := range dropped {
		if bytes.Contains(b, []byte(`"`+key+`"`)) {
			row(w, "  "+key, "(dropped)")
		}
	}
	return nil
}

// meaning is what an answer says about money.
func meaning(a answer) string {
	if a.command == cmdLast {
		return "the last transaction, which proves at most a payment"
	}
	verdict := judge(a)
	if verdict == doubtful {
		return "doubtful: " + doubt(a).Error()
	}
	return verdict.String()
}

func row(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "  %-16s %s\n", name, payment.Printable(value))
	}
}
