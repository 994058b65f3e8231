package mqtt_test

import (
	"encoding/json"
	"fmt"
	"testing"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// A first payment over a real broker: retained topics, accepted, event, and a
// goodbye.
func TestFirstPayment(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		h := newHouse()
		h.do = func(c payment.Command) payment.Reply {
			h.emit(payment.EventFinal, map[string]any{"id": c.ID, "result": "approved"})
			return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted}
		}
		e, stop := run(t, options(s, h))
		connected(t, e)
		k := control(t, s)
		session := k.session()
		r := k.ask("purchase", "till", fmt.Sprintf(`{"id":"p-1","terminal":"pos1","amount":{"minor":123456,"currency":"VND"},"session":%q,"client":"till","request_id":"r-9"}`, session))
		if r.Status != payment.ReplyAccepted || r.RequestID != "r-9" || r.Session != session || r.ID != "p-1" {
			t.Errorf("reply is %+v", r)
		}
		until(t, "event", func() bool { return k.last("event/payment.final") != "" })
		var ce mqtt.CloudEvent
		if err := json.Unmarshal([]byte(k.last("event/payment.final")), &ce); err != nil {
			t.Fatal(err)
		}
		if ce.ID != "kiosk-7/e1/2" || ce.SpecVersion != "1.0" || ce.Type != "tillgate.payment.final.v1" || ce.Subject != "payment/p-1" || ce.Sequence != "0000000000000002" || !ce.Test {
			t.Errorf("event is %+v", ce)
		}
		got := h.commands()
		if len(got) != 1 || got[0].Operation != payment.Purchase || got[0].Front != "mqtt:local" || got[0].Client != "till" || got[0].Amount.Minor != 123456 {
			t.Errorf("gateway got %+v", got)
		}
		until(t, "cursor", func() bool { return h.at("local") == 2 })
		for topic, want := range map[string]string{"status": "online", "terminal/pos1/status": "online", "terminal/pos1/state": "idle"} {
			until(t, topic, func() bool { return k.last(topic) == want })
		}
		h.news <- payment.Progress{ID: "p-1", Terminal: "pos1", Stage: payment.StagePIN}
		until(t, "progress", func() bool { return k.last("terminal/pos1/progress") != "" })
		stop()
		until(t, "status stopping", func() bool { return k.last("status") == "stopping" })
	})
}
