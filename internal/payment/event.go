package payment

import (
	"encoding/json"
	"fmt"
	"time"
)

// EventType is the last part of a CloudEvents type, and of an MQTT topic.
type EventType string

const (
	EventFinal          EventType = "payment.final"
	EventAuthorised     EventType = "payment.authorised"
	EventInDoubt        EventType = "payment.in-doubt"
	EventContradicted   EventType = "payment.contradicted"
	EventUnreversed     EventType = "payment.unreversed"
	EventResolved       EventType = "payment.resolved" // after its final event: by a person, or by what the terminal showed later
	EventExternal       EventType = "payment.external" // an acquirer told of a transaction that is not ours
	EventReconciliation EventType = "reconciliation.final"
	EventStarted        EventType = "gateway.started"
	EventGap            EventType = "gateway.gap"
	EventFirstLook      EventType = "gateway.first-look" // what doctor found when the box was started for the first time
	EventFirmware       EventType = "firmware.final"     // an update of the box ended, see its data
	EventTerminalLost   EventType = "terminal.offline"
	EventTerminalReady  EventType = "terminal.online"

	EventTerminalRecovery EventType = "terminal.recovery" // a step for a terminal that stays away or hangs
	EventTerminalChanged  EventType = "terminal.changed"  // its software, serial number or TID is not the one before
)

// Event is something that the journal announces, once durable, to everybody.
// Seq is gap-free for one box; Epoch is new at every start of the gateway. Both
// are given by the journal when the event is written. An event never changes,
// so every delivery of it has the same id and the same bytes.
type Event struct {
	Seq     uint64          `json:"seq"`
	Epoch   string          `json:"epoch"`
	Type    EventType       `json:"type"`
	Subject string          `json:"subject,omitempty"` // "payment/{id}"
	Time    time.Time       `json:"time"`
	Clock   Clock           `json:"clock"`
	Test    bool            `json:"test,omitempty"` // a simulated terminal
	Data    json.RawMessage `json:"data"`
}

// About is the subject of an event about a payment.
func About(id ID) string { return "payment/" + string(id) }

// Gap is the data of gateway.gap: the events From to To, both included, were
// removed by a cap or by retention before this destination had them.
type Gap struct {
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// NewEvent makes an event whose data is the JSON of v. It panics if v has none,
// which is a fault of the program.
func NewEvent(t EventType, subject string, at Moment, test bool, v any) Event {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("payment: data of %s: %v", t, err))
	}
	return Event{Type: t, Subject: subject, Time: at.Time.UTC(), Clock: at.Clock, Test: test, Data: b}
}
