package payment

import (
	"errors"
	"fmt"
)

// Reason is why a command was refused, for programs. New ones may be added;
// an unknown one means "not done".
type Reason string

const (
	ReasonInvalid         Reason = "invalid"           // malformed, see the text
	ReasonOversized       Reason = "oversized"         // more bytes than a command may have
	ReasonRetained        Reason = "retained"          // a retained MQTT message is never a command
	ReasonStale           Reason = "stale"             // ttl_ms passed, or it quotes no current session
	ReasonForeignSession  Reason = "foreign-session"   // it quotes the session of another connection
	ReasonUnknownTerminal Reason = "unknown-terminal"  // no such name in the configuration
	ReasonUnsupported     Reason = "unsupported"       // the terminal's protocol has no such operation
	ReasonCurrency        Reason = "wrong-currency"    // the terminal takes another one
	ReasonAboveMaximum    Reason = "above-maximum"     // max_amount of the terminal
	ReasonDailyCap        Reason = "daily-cap"         // daily_cap of the terminal
	ReasonRefundCeiling   Reason = "refund-ceiling"    // more than the original was paid
	ReasonConflict        Reason = "conflict"          // the id is known with other content
	ReasonOrderBusy       Reason = "order-busy"        // the order is being paid, in doubt, or paid
	ReasonExpired         Reason = "id-expired"        // the id is older than what the journal keeps
	ReasonBusy            Reason = "busy"              // the terminal serves somebody else
	ReasonOffline         Reason = "terminal-offline"  // no connection to the terminal
	ReasonUnsettled       Reason = "unsettled"         // an earlier payment is not settled yet
	ReasonAwaiting        Reason = "awaiting-dispense" // an approved payment waits for its goods
	ReasonPaused          Reason = "paused"            // by a person
	ReasonDevice          Reason = "device-conflict"   // two lanes drive one device
	ReasonJournal         Reason = "journal-failed"    // nothing can be written down
	ReasonStopping        Reason = "stopping"          // the gateway shuts down
	ReasonUpdating        Reason = "updating"          // the box is being updated
	ReasonNotFound        Reason = "not-found"         // no such payment
	ReasonState           Reason = "wrong-state"       // the payment is not in a state for this
	ReasonTwin            Reason = "twin-box"          // another gateway uses this box's name
	ReasonPower           Reason = "power-failed"      // the box runs on its battery
	ReasonReconcile       Reason = "needs-reconcile"   // the batch must be closed first
	ReasonBlocked         Reason = "terminal-blocked"  // the terminal says that it cannot sell
	ReasonBaseline        Reason = "baseline"          // the terminal's state before the sale could not be read
)

// Refusal is an error that left no trace: nothing was journalled and nothing
// was sent to a terminal.
type Refusal struct {
	Reason Reason
	Text   string
}

func (r *Refusal) Error() string { return r.Text }

// Refuse makes a [Refusal].
func Refuse(reason Reason, format string, a ...any) error {
	return &Refusal{reason, fmt.Sprintf(format, a...)}
}

// ReasonOf finds the reason in err, or "" if err is no refusal.
func ReasonOf(err error) Reason {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Reason
	}
	return ""
}
