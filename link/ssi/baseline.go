package ssi

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// identity is what tells one terminal from another: its serial number, which
// GetTerminalInfo tells since 1.0.10 of the document, else the TID of its last
// result.
type identity struct {
	serial, tid string
	linux       bool              // it has neither RestartPaymentApp nor printing
	facts       map[string]string // what else it tells about itself
}

func (i identity) String() string {
	switch {
	case i.serial != "":
		return i.serial
	case i.tid != "":
		return "tid:" + i.tid
	}
	return ""
}

// inventory is what it tells of hardware and software. The TID is told only
// where it is no merchant's.
func (i identity) inventory() payment.Inventory {
	software := strings.TrimSpace(i.facts["application"] + " " + i.facts["version"])
	if i.linux {
		software = strings.TrimSpace(i.facts["firmware"] + " " + software)
	}
	return payment.Inventory{Serial: i.serial, TID: i.tid, Model: i.facts["model"], Software: software}
}

// identify asks the terminal who it is. One that does not know the question
// leaves it open.
func (t *terminal) identify(ctx context.Context) (identity, error) {
	a, err := t.ask(ctx, request{Method: mGetTerminalInfo})
	if err != nil || a.failed() {
		return identity{}, err
	}
	return a.Params.identity(), nil
}

// identity reads both shapes of GetTerminalInfo.
func (i terminalInfo) identity() identity {
	id := identity{serial: string(i.Serial), linux: i.linux(), facts: map[string]string{}}
	add := func(name string, value text) {
		if value != "" {
			id.facts[name] = string(value)
		}
	}
	if id.linux {
		id.serial = string(i.Serial2)
		id.facts["platform"] = "linux"
		add("model", i.Model2)
		add("version", i.OS)
		add("firmware", i.Firmware)
		add("boot", i.Boot)
		add("profile", i.Profile)
		add("api", i.NAPI)
	} else if i.Serial != "" || i.Android != "" {
		id.facts["platform"] = "android"
		add("model", i.Model)
		add("version", i.App.Version)
		add("application", i.App.Name)
		add("android", i.Android)
		add("security_driver", i.Security.Version)
		add("applications", text(strings.Join(i.Apps, ", ")))
	}
	add("serial", text(id.serial))
	return id
}

// known is the identity, asked for once in the life of a connection.
func (t *terminal) known(ctx context.Context) (err error) {
	if t.identity.serial == "" {
		t.identity, err = t.identify(ctx)
	}
	return err
}

// last reads the last result. An answer that is an error can be the result of a
// failed operation; one that is not becomes a refusedError.
func (t *terminal) last(ctx context.Context) (answer, error) {
	a, err := t.ask(ctx, request{Method: mGetLastResult})
	if err != nil {
		return a, err
	}
	if code := errorCodes[a.code()]; a.failed() && code.refused && a.Params.result == (result{}) {
		return a, &refusedError{mGetLastResult, a.code(), a.why()}
	}
	if t.identity.serial == "" && t.settings.TerminalID == "" { // else it changes with the merchant
		t.identity.tid = string(a.Params.TID)
	}
	return a, nil
}

// mark is what the journal keeps of the time before a command.
type mark struct {
	Last     string `json:"last"`               // result.fingerprint
	Report   string `json:"report,omitempty"`   // report.fingerprint, for a reconciliation
	Original int64  `json:"original,omitempty"` // for a reversal: what the terminal shows of the original, minor units
}

func markOf(b payment.Baseline) mark {
	var m mark
	if json.Unmarshal(b.Fingerprint, &m) != nil {
		return mark{}
	}
	return m
}

// fingerprint tells one result from any other. The transactionUid is not in it:
// a result that is shown with it now and without it then is the same one, and
// what moved money differs in number and RRN.
func (r result) fingerprint() string {
	return strings.Join([]string{
		string(r.Trn), string(r.Amount), string(r.Invoice), string(r.RRN), string(r.Auth), r.when(), string(r.Result), string(r.Response), string(r.TID),
	}, "|")
}

// Baseline reads the last result before a command. It refuses while the
// terminal is busy, and everything but a reconciliation and a reversal while it
// wants its batch closed (S06).
func (t *terminal) Baseline(ctx context.Context, tx payment.Transaction) (payment.Baseline, error) {
	var b payment.Baseline
	status, err := t.status(ctx)
	if err != nil {
		return b, err
	}
	if !over(status) {
		return b, payment.Refuse(payment.ReasonBusy, "the terminal is busy (%s)", payment.Word(status))
	}
	if status == statusNeedsZ && tx.Operation != payment.Reconciliation && tx.Operation != payment.Reversal {
		return b, payment.Refuse(payment.ReasonReconcile, "the terminal wants its batch closed before it sells (%s)", statusNeedsZ)
	}
	if err := t.known(ctx); err != nil {
		return b, err
	}
	a, err := t.last(ctx)
	if err != nil {
		return b, err
	}
	m := mark{Last: a.Params.result.fingerprint()}
	switch tx.Operation {
	case payment.Reconciliation:
		rep, err := t.lastReport(ctx)
		if err != nil {
			return b, err
		}
		m.Report = rep.fingerprint()
	case payment.Reversal:
		if m.Original, err = t.reversible(ctx, a, tx); err != nil {
			return b, err
		}
	}
	b.Identity = t.identity.String()
	if b.Fingerprint, err = json.Marshal(m); err != nil {
		return b, err
	}
	// The gap is waited for here, so that the command leaves at once when it is
	// given: the customer's time and an abort count from there.
	if err := t.pause(ctx, time.Until(t.next)); err != nil {
		return b, &link.Error{Op: "baseline", Err: err}
	}
	return b, nil
}
