package mqtt

import (
	"encoding/json"
	"fmt"
	"time"

	"tillgate/internal/payment"
)

// CloudEvent is an event as it is published: CloudEvents 1.0, JSON event
// format, structured mode (the only one that MQTT 3.1.1 allows: CloudEvents
// MQTT binding 1.0.2, 3). The same event always has the same bytes.
type CloudEvent struct {
	SpecVersion string          `json:"specversion"` // "1.0"
	ID          string          `json:"id"`          // {box}/{epoch}/{seq}; de-duplicate by it
	Source      string          `json:"source"`      // /tillgate/{box}
	Type        string          `json:"type"`        // tillgate.{type}.v1
	Subject     string          `json:"subject,omitempty"`
	Time        time.Time       `json:"time"` // RFC 3339, UTC
	ContentType string          `json:"datacontenttype"`
	Sequence    string          `json:"sequence,omitempty"` // 16 digits; gaps are found by it
	Clock       payment.Clock   `json:"clock"`
	Test        bool            `json:"test,omitempty"` // a simulated terminal
	Data        json.RawMessage `json:"data"`
}

func encodeEvent(box string, e payment.Event) ([]byte, error) {
	data := e.Data
	if len(data) == 0 {
		data = json.RawMessage("null")
	}
	b, err := json.Marshal(CloudEvent{
		SpecVersion: "1.0",
		ID:          fmt.Sprintf("%s/%s/%d", box, e.Epoch, e.Seq),
		Source:      "/tillgate/" + box,
		Type:        "tillgate." + string(e.Type) + ".v1",
		Subject:     e.Subject,
		Time:        e.Time.UTC(),
		ContentType: "application/json",
		Sequence:    fmt.Sprintf("%016d", e.Seq),
		Clock:       e.Clock,
		Test:        e.Test,
		Data:        data,
	})
	if err != nil {
		return nil, fmt.Errorf("event %d: %w", e.Seq, err)
	}
	return b, nil
}

// encodeProbe makes the event that only proves the way: it has no number.
func encodeProbe(box, epoch, session string, now time.Time) []byte {
	data, _ := json.Marshal(map[string]string{"session": session})
	b, _ := json.Marshal(CloudEvent{
		SpecVersion: "1.0",
		ID:          box + "/" + epoch + "/probe-" + session,
		Source:      "/tillgate/" + box,
		Type:        "tillgate." + string(probe) + ".v1",
		Time:        now.UTC(),
		ContentType: "application/json",
		Clock:       payment.ClockUnsynced,
		Data:        data,
	})
	return b
}
