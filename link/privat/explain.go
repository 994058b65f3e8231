package privat

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tillgate/internal/payment"
)

// Explain writes what captured bytes mean: requests and answers, one or many.
// Card numbers are masked; what a customer owns or enters is told only to be
// there. The error says that the bytes are not valid.
func Explain(w io.Writer, b []byte) error {
	var problems []error
	found := 0
	for i, f := range bytes.Split(b, []byte{0}) {
		last := i == bytes.Count(b, []byte{0})
		if len(bytes.TrimSpace(f)) == 0 {
			if i == 0 && !last {
				fmt.Fprintln(w, "a 00 before the message: the handshake, or the end of something")
			}
			continue
		}
		found++
		if len(f) > maxFrame {
			problems = append(problems, errTooLong)
			continue
		}
		if err := explainFrame(w, f); err != nil {
			problems = append(problems, fmt.Errorf("message %d: %w", found, err))
		}
		if last {
			fmt.Fprintln(w, "  (no 00 behind it)")
		}
	}
	if found == 0 {
		problems = append(problems, errors.New("no message"))
	}
	return errors.Join(problems...)
}

func explainFrame(w io.Writer, b []byte) error {
	a, err := decode(b)
	if err == nil {
		explainAnswer(w, a, b)
		return nil
	}
	r, bad := parseRequest(b)
	if bad != nil {
		return err
	}
	return explainRequest(w, r)
}

func explainRequest(w io.Writer, r request) error {
	fmt.Fprintf(w, "request %s\n", payment.Printable(r.method))
	var errs []error
	for _, p := range r.params {
		value := p.value
		if slices.Contains(droppedKeys, p.key) || p.key == "pan" {
			value = "(dropped)"
		}
		row(w, p.key, payment.Clip(value, maxValue))
		if strings.Contains(strings.ToLower(p.key), "amount") && p.key != "amountOfParts" && p.value != "" {
			if _, err := payment.ParseMoney(strings.Replace(p.value, ",", ".", 1), "UAH"); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", payment.Printable(payment.Clip(p.key, maxValue)), err))
			}
		}
	}
	return errors.Join(errs...)
}

func explainAnswer(w io.Writer, a answer, b []byte) {
	fmt.Fprintf(w, "answer to %s, %d bytes: %s\n", payment.Printable(a.method), len(b), meaning(a))
	row(w, "responseCode", a.code)
	row(w, "error", fmt.Sprint(a.failed))
	row(w, "errorDescription", a.text)
	row(w, "  pan", a.card.String())
	for _, key := range keptKeys {
		row(w, "  "+key, *a.field(key))
	}
	for _, n := range slices.Sorted(maps.Keys(a.list)) {
		row(w, "  "+n, a.list[n])
	}
	for _, key := range droppedKeys {
		if bytes.Contains(b, []byte(`"`+key+`"`)) {
			row(w, "  "+key, "(dropped)")
		}
	}
	for _, line := range receiptLines(a) {
		row(w, "  |", line)
	}
}

// meaning is what an answer says about money.
func meaning(a answer) string {
	switch {
	case a.method == methodService:
		return "a service message, " + payment.Printable(a.msgType)
	case a.method == methodReceipt:
		return "a receipt, which proves at most a payment"
	case !moves(a.method):
		return "no money"
	}
	switch judge(a) {
	case done:
		if a.code == codePartial {
			return "done, for a smaller amount than was asked"
		}
		return "done"
	case notDone:
		return "not done: " + payment.ResponseCodeOf(a.host()).Text
	case ended:
		return "ended by the terminal: " + terminalCodes[a.code].text + "; the last receipt decides"
	}
	return "doubtful: " + doubt(a).Error()
}

func row(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "  %-18s %s\n", payment.Printable(payment.Clip(name, maxValue)), payment.Printable(value))
	}
}
