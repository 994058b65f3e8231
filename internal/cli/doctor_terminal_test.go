package cli

import (
	"strings"
	"testing"

	"tillgate/internal/payment"
)

// What a person is told to do next fits what the terminal is at.
func TestRunningTerminal(t *testing.T) {
	for _, c := range []struct {
		status payment.TerminalStatus
		level  verdict
		next   string
	}{
		{payment.TerminalStatus{Link: payment.LinkOnline, Sellable: true}, good, ""},
		{payment.TerminalStatus{Link: payment.LinkOnline, Reasons: []payment.Reason{payment.ReasonReconcile}}, warning, "tillgate status"},
		{payment.TerminalStatus{Link: payment.LinkSettling, Error: "no answer"}, warning, "wait: "},
		{payment.TerminalStatus{Link: payment.LinkOffline, Error: "no answer"}, bad, "cable"},
	} {
		f := running(c.status)
		if f.Level != c.level || !strings.Contains(f.Next, c.next) || (c.next == "") != (f.Next == "") || !strings.Contains(f.Found, c.status.Error) {
			t.Errorf("%s: got %+v", c.status.Link, f)
		}
	}
}
