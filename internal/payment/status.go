package payment

import "time"

// Stage is how far a terminal is in serving a customer.
type Stage string

const (
	StageIdle        Stage = "idle"
	StageWaitingCard Stage = "waiting-card"
	StagePIN         Stage = "pin"
	StageHost        Stage = "host"
	StagePrinting    Stage = "printing"
	StageRemoveCard  Stage = "remove-card"
)

// Progress is news of a running payment. It is not journalled and never
// carries a result.
type Progress struct {
	ID       ID         `json:"id"`
	Terminal string     `json:"terminal"`
	Stage    Stage      `json:"stage"`
	Vendor   VendorCode `json:"vendor,omitzero"`
}

// Link is whether the gateway talks to a terminal.
type Link string

const (
	LinkOffline  Link = "offline"  // no connection
	LinkSettling Link = "settling" // connected; earlier payments are being looked up
	LinkOnline   Link = "online"   // connected and settled
)

// TerminalStatus is one terminal, now.
type TerminalStatus struct {
	Name     string   `json:"name"`
	Driver   string   `json:"driver"`
	Link     Link     `json:"status"`
	Stage    Stage    `json:"state"`
	Sellable bool     `json:"ok"`
	Reasons  []Reason `json:"reasons"`
	Payment  ID       `json:"payment,omitempty"` // being served or unsettled
	Identity string   `json:"identity,omitempty"`

	Inventory Inventory  `json:"inventory,omitzero"` // what it is, as it said last
	Paired    *Inventory `json:"paired,omitempty"`   // what it was when a person last accepted it, if that differs

	Error    string `json:"error,omitempty"`    // why it is offline
	Next     string `json:"next,omitempty"`     // what a person can do about that
	Recovery string `json:"recovery,omitempty"` // the last step of recovery since it is away, and how it ended
	Paused   string `json:"paused,omitempty"`   // who paused it, and why
	Test     bool   `json:"test,omitempty"`
}

// AlertCode is a condition that a person should look at.
type AlertCode string

const (
	AlertInDoubt      AlertCode = "payment-in-doubt"
	AlertUnreversed   AlertCode = "payment-unreversed"
	AlertContradicted AlertCode = "payment-contradicted"
	AlertAmount       AlertCode = "amount-mismatch"
	AlertCommit       AlertCode = "commit-missing"
	AlertJournal      AlertCode = "journal-failed"
	AlertSwapped      AlertCode = "terminal-swapped"
	AlertDevice       AlertCode = "device-conflict"
	AlertTwin         AlertCode = "twin-box"
	AlertRetained     AlertCode = "retained-command"
	AlertReconcile    AlertCode = "reconciliation-missed"
	AlertOrphan       AlertCode = "terminal-missing"
	AlertUnreachable  AlertCode = "terminal-unreachable"
	AlertPower        AlertCode = "power-failed"
	AlertListener     AlertCode = "listener-offline"  // the notification listener cannot have its address
	AlertNotice       AlertCode = "notice-unreadable" // somebody who has the keys tells what nobody here understands; until a restart
	AlertFirmware     AlertCode = "firmware-failed"
	AlertChanged      AlertCode = "terminal-changed" // another software, serial number or TID than the accepted one
)

// Alert is raised until it is cleared.
type Alert struct {
	Code  AlertCode `json:"code"`
	Text  string    `json:"text"`
	IDs   []ID      `json:"ids,omitempty"`
	Since time.Time `json:"since"`
}

// Status is the whole box, now. It is a snapshot: fronts publish the
// difference to the one before.
type Status struct {
	Sellable  bool             `json:"ok"` // at least one terminal can sell
	Reasons   []Reason         `json:"reasons"`
	Terminals []TerminalStatus `json:"terminals"`
	Alerts    []Alert          `json:"alerts"`
	Stopping  bool             `json:"stopping,omitempty"`
}
