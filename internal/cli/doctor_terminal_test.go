package cli

import (
	"strings"
	"testing"

	"tillgate/internal/payment"
)

// What a person is told to do next fits what the terminal is at: nobody is sent to
// the cable of a connected one.
func TestRunningTerminal(t *testing.T) {
	for _, c := range []struct {
		status      payment.TerminalStatus
		level       verdict
		found, next string
	}{
		{payment.TerminalStatus{Link: payment.LinkOnline, Sellable: true, Identity: "17/4"}, good, "online, 17/4", ""},
		{payment.TerminalStatus{Link: payment.LinkOnline, Reasons: []payment.Reason{payment.ReasonReconcile}}, warning, "online, does not sell: needs-reconcile", "tillgate status"},
		{payment.TerminalStatus{Link: payment.LinkSettling}, warning, "asked what became of an earlier payment;", "then: tillgate status"},
		{payment.TerminalStatus{Link: payment.LinkSettling, Payment: "A1"}, warning, "asked what became of payment A1;", "then: tillgate journal show A1"},
		{payment.TerminalStatus{Link: payment.LinkOffline}, warning, "offline", "it is being opened for the first time"},
		{payment.TerminalStatus{Link: payment.LinkOffline, Error: "no answer"}, bad, "offline: no answer", "the line broke, and is opened again"},
		{payment.TerminalStatus{Link: payment.LinkOffline, Error: "gone", Next: "put it in", Recovery: "usb-reset failed: no such device"},
			bad, "offline: gone; last step of recovery: usb-reset failed: no such device", "put it in"},
	} {
		f := running(c.status)
		if f.Level != c.level || !strings.Contains(f.Found, c.found) || !strings.Contains(f.Next, c.next) || (c.next == "") != (f.Next == "") {
			t.Errorf("%+v: got %+v", c.status, f)
		}
	}
}
