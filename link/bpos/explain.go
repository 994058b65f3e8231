package bpos

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link/bpos/bridge"
)

// Explain writes what lines of the bridge mean: requests and answers, one or
// many. Texts are masked as everywhere. The error says what is not valid.
func Explain(w io.Writer, b []byte) error {
	var problems []error
	found := 0
	for line := range bytes.SplitSeq(b, []byte("\n")) {
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		found++
		if err := explainLine(w, line); err != nil {
			problems = append(problems, fmt.Errorf("line %d: %w", found, err))
		}
	}
	if found == 0 {
		problems = append(problems, errors.New("no line"))
	}
	return errors.Join(problems...)
}

func explainLine(w io.Writer, line []byte) error {
	if len(line) > bridge.MaxAnswer {
		return fmt.Errorf("longer than %d bytes", bridge.MaxAnswer)
	}
	r, err := bridge.ParseRequest(line)
	if err == nil {
		explainRequest(w, r)
		return nil
	}
	if a, bad := bridge.ParseAnswer(line); bad == nil {
		explainAnswer(w, a)
		return nil
	}
	return err
}

func explainRequest(w io.Writer, r bridge.Request) {
	switch {
	case r.Hello != 0:
		fmt.Fprintf(w, "request %d: hello, version %d of the line protocol: load the library\n", r.ID, r.Hello)
	case r.Call != "":
		m, _ := bridge.FindMethod(r.Call)
		fmt.Fprintf(w, "request %d: call %s%s\n", r.ID, r.Call, told(m))
		for i, a := range m.Args {
			value := fmt.Sprint(r.Args[i])
			if a.Name == "bsKey" {
				value = "(dropped)"
			}
			fmt.Fprintf(w, "  %-18s %s\n", a.Name, payment.Printable(payment.Clip(payment.MaskNumbers(value), maxField)))
		}
	default:
		fmt.Fprintf(w, "request %d: get %s\n", r.ID, strings.Join(r.Get, ", "))
	}
}

// told says what a method does about money.
func told(m bridge.Method) string {
	switch {
	case m.Name == "Confirm":
		return ": the commit point, the terminal keeps the payment"
	case m.Terminal:
		return ": the terminal works on it, LastResult is 2 until it is done"
	}
	return ""
}

func explainAnswer(w io.Writer, a bridge.Answer) {
	switch {
	case a.Error != "":
		fmt.Fprintf(w, "answer %d: the bridge refuses (%s): %s\n", a.ID, payment.Printable(string(a.Error)), payment.Printable(payment.Clip(a.Text, maxField*4)))
	case a.Hello != 0:
		fmt.Fprintf(w, "answer %d: hello from a %s bridge, library %s\n", a.ID, payment.Printable(a.Kind), payment.Printable(a.Library))
	case a.Code != nil:
		fmt.Fprintf(w, "answer %d: the library returned %d%s\n", a.ID, *a.Code, returned(*a.Code))
	default:
		fmt.Fprintf(w, "answer %d: properties\n", a.ID)
		for _, name := range slices.Sorted(maps.Keys(a.Values)) {
			explainValue(w, name, a.Values[name])
		}
	}
}

func returned(code int) string {
	switch {
	case code == 0:
		return ": done, or begun"
	case unsent(code):
		return " (" + returns[code] + "): nothing was sent"
	case code > 0 && code < len(returns):
		return " (" + returns[code] + ")"
	}
	return ""
}

func explainValue(w io.Writer, name string, v any) {
	text := payment.Printable(payment.Clip(payment.MaskNumbers(fmt.Sprint(v)), maxField*8))
	switch v := v.(type) {
	case nil:
		text = "(the library has it not)"
	case []byte:
		text = fmt.Sprintf("%d bytes", len(v))
	case int64:
		if m := meaning(name, v); m != "" {
			text += " (" + m + ")"
		}
	}
	fmt.Fprintf(w, "  %-22s %s\n", name, text)
}

// meaning is what a value of a property says, or "".
func meaning(property string, n int64) string {
	switch property {
	case "LastResult":
		return map[int64]string{resultDone: "done", resultError: "error", resultWorking: "in progress"}[n]
	case "LastErrorCode":
		return faults[n]
	case "LastStatMsgCode":
		return statuses[n].text
	case "ResponseCode":
		if c, ok := terminalCodes[n]; ok {
			return c.text + "; " + c.verdict.String()
		}
	case "TxnType":
		return txnTypes[n]
	case "TrnStatus":
		return trnStatuses[n]
	case "EntryMode":
		return string(entryModes[n])
	case "TermStatus":
		return termStatuses[n].text
	}
	return ""
}
