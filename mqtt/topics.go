package mqtt

import (
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

// topics of one box: tillgate/v1/{box}/…
type topics struct{ root string }

func topicsOf(box string) topics { return topics{"tillgate/v1/" + box + "/"} }

func (t topics) status() string                   { return t.root + "status" }
func (t topics) info() string                     { return t.root + "info" }
func (t topics) health() string                   { return t.root + "health" }
func (t topics) sellable() string                 { return t.root + "sellable" }
func (t topics) outbox() string                   { return t.root + "outbox" }
func (t topics) alert(c payment.AlertCode) string { return t.root + "alert/" + level(string(c)) }
func (t topics) terminal(name, what string) string {
	return t.root + "terminal/" + level(name) + "/" + what
}
func (t topics) event(typ payment.EventType) string { return t.root + "event/" + level(string(typ)) }
func (t topics) reply(client string) string         { return t.root + "reply/" + client }
func (t topics) replay(client string) string        { return t.root + "replay/" + client }

// probe is the event type that stands in for gateway.started where retention
// took that one away. It has no number and is never in the outbox.
const probe payment.EventType = "gateway.probe"

// filters is what every edge subscribes to: its own retained topics, to find
// what an earlier process left behind, a twin, and a will that came late; and
// the event that proves that the broker lets our events through.
func (t topics) filters(commands bool) map[string]byte {
	f := map[string]byte{
		t.status():                    0,
		t.info():                      0,
		t.root + "alert/+":            0,
		t.root + "terminal/+/status":  0,
		t.root + "terminal/+/state":   0,
		t.event(payment.EventStarted): 0,
		t.event(probe):                0,
	}
	if commands {
		f[t.root+"command/+"] = 1
	}
	return f
}

// maxLevel is how long one topic level may be that others choose.
const maxLevel = 64

// levelProblem says why s cannot be one level of a topic, or "". Dots are left
// out, since the embedded broker gives them a meaning in client ids.
func levelProblem(s string) string {
	if s == "" || len(s) > maxLevel {
		return fmt.Sprintf("must have 1 to %d characters", maxLevel)
	}
	for _, c := range []byte(s) {
		if !plain(c) {
			return "may have letters, digits, '_' and '-' only"
		}
	}
	return ""
}

func plain(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-'
}

// level writes a name of our own as one topic level: what has a meaning in a
// topic, or none everywhere, becomes %XX.
func level(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if plain(c) || c == '.' || c == '~' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
