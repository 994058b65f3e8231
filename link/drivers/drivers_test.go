package drivers

import (
	"regexp"
	"testing"

	"tillgate/internal/payment"
)

// TestAll holds every driver to what the configuration, the gateway and the
// command line take for granted.
func TestAll(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range All() {
		if seen[d.Name] || !regexp.MustCompile(`^[a-z][a-z0-9]*$`).MatchString(d.Name) {
			t.Errorf("%q: a name is lower case and there once", d.Name)
		}
		seen[d.Name] = true
		if d.Title == "" || d.Explain == nil {
			t.Errorf("%s: title and Explain are required", d.Name)
		}
		if !d.Notifies() && (d.Open == nil || d.Simulate == nil || d.Check == nil) {
			t.Errorf("%s: Open, Check and Simulate are required of a terminal", d.Name)
		}
		if n := d.Notify; n != nil && (n.Path == "" || n.Open == nil || n.Simulate == nil || n.Accepted.Status != 200 || n.Refused.Status < 400 || n.Refused.Status > 499) {
			t.Errorf("%s: path, Open, Simulate and both answers are required of a notifier", d.Name)
		}
		if _, ok := payment.Exponent(d.Currency); !ok {
			t.Errorf("%s: the usual currency %q is not in ISO 4217", d.Name, d.Currency)
		}
		if _, err := d.Address("/dev/ttyS0"); err != nil {
			t.Errorf("%s: its line %q: %v", d.Name, d.Line, err)
		}
		for _, op := range append(d.Operations, d.Preserving...) {
			if !op.Known() {
				t.Errorf("%s: operation %q is not known", d.Name, op)
			}
		}
		for _, op := range d.Preserving {
			if op.MovesMoney() || op == payment.Reconciliation {
				t.Errorf("%s: %s cannot preserve evidence", d.Name, op)
			}
		}
	}
}
