package mqtt_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// The embedded broker's users can do what they should, and no more.
func TestEmbeddedPermissions(t *testing.T) {
	s := embedded(t)
	h := newHouse()
	e, _ := run(t, options(s, h))
	connected(t, e)
	k := control(t, s)
	forged := []string{"event/payment.final", "reply/till", "status", "info", "alert/twin-box"}
	for _, topic := range forged {
		k.c.Publish("tillgate/v1/"+box+"/"+topic, 1, false, "forged").WaitTimeout(5 * time.Second)
	}
	k.c.Publish("tillgate/v1/other/command/purchase", 1, false, "{}").WaitTimeout(5 * time.Second)
	if r := k.ask("lookup", "any", `{"id":"p-1"}`); r.Status != payment.ReplyAccepted {
		t.Errorf("lookup is %+v", r)
	}
	for _, topic := range forged {
		if strings.Contains(strings.Join(k.all(topic), " "), "forged") {
			t.Errorf("the kiosk user published %s", topic)
		}
	}
	for _, filter := range []string{"#", "$MQTT/#", "$JS/#", "+/v1/#"} {
		token := k.c.Subscribe(filter, 1, nil)
		token.WaitTimeout(5 * time.Second)
		if code, ok := token.(*paho.SubscribeToken).Result()[filter]; ok && code != 0x80 {
			t.Errorf("the kiosk user may subscribe to %s: %#x", filter, code)
		}
		if !k.c.IsConnectionOpen() {
			k = control(t, s)
		}
	}
	// The gateway's user commands nobody.
	g := publisher(t, s)
	before := len(h.commands())
	g.c.Publish("tillgate/v1/"+box+"/command/lookup", 1, false, `{"id":"p-1"}`).WaitTimeout(5 * time.Second)
	k.ask("lookup", "any", `{"id":"p-2"}`)
	if n := len(h.commands()); n != before+1 {
		t.Errorf("%d commands arrived, want 1", n-before)
	}
}

// A subscriber that never reads, and more than the store holds, refuse nobody:
// the oldest messages go.
func TestEmbeddedStoreDiscardsTheOldest(t *testing.T) {
	s := embedded(t)
	o := paho.NewClientOptions().AddBroker(s.url).SetUsername(s.kiosk).SetPassword(s.kioskPassword).SetClientID("sleeper").SetCleanSession(false).SetProtocolVersion(4)
	sleeper := paho.NewClient(o)
	if tok := sleeper.Connect(); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	if tok := sleeper.Subscribe("tillgate/v1/"+box+"/event/#", 1, nil); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		t.Fatal(tok.Error())
	}
	sleeper.Disconnect(100) // its session stays and collects
	h := newHouse()
	const n = 3000 // of 16 KiB: more than all of the store
	text := strings.Repeat("x", 16<<10)
	for range n {
		h.emit(payment.EventFinal, text)
	}
	e, _ := run(t, options(s, h))
	until(t, "drain", func() bool { return h.at("local") == n+1 })
	k := control(t, s, "event/payment.final", "reply/+")
	h.emit(payment.EventFinal, "newest")
	until(t, "a new client to hear the newest event", func() bool { return strings.Contains(k.last("event/payment.final"), "newest") })
	if r := k.ask("lookup", "any", `{"id":"p-1"}`); r.Status != payment.ReplyAccepted {
		t.Errorf("lookup is %+v", r)
	}
	if e.State().Failures != 0 {
		t.Errorf("state is %+v", e.State())
	}
}

// Without gateway.started in the outbox, a probe proves the way; it has no
// number.
func TestProbeStandsIn(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		h := newHouse()
		h.events[0].Type = payment.EventFinal
		k := control(t, s, "event/+")
		e, _ := run(t, options(s, h))
		connected(t, e)
		until(t, "cursor", func() bool { return h.at("local") == 1 })
		until(t, "probe", func() bool { return k.last("event/gateway.probe") != "" })
		var ce mqtt.CloudEvent
		if err := json.Unmarshal([]byte(k.last("event/gateway.probe")), &ce); err != nil || ce.Sequence != "" || ce.Type != "tillgate.gateway.probe.v1" {
			t.Errorf("probe is %+v, %v", ce, err)
		}
	})
}
