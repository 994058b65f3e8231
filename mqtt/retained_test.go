package mqtt_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// publisher is the gateway's user, for what an earlier process or a broker
// would have done.
func publisher(t *testing.T, s *site) *controller {
	t.Helper()
	g := *s
	g.kiosk, g.kioskPassword = s.user, s.password
	return control(t, &g)
}

func (k *controller) put(topic, payload string, retained bool) {
	k.t.Helper()
	if tok := k.c.Publish("tillgate/v1/"+box+"/"+topic, 1, retained, payload); !tok.WaitTimeout(5e9) || tok.Error() != nil {
		k.t.Fatalf("publish %s: %v", topic, tok.Error())
	}
}

// The retained topics follow the gateway, and what an earlier process left is
// taken away.
func TestRetainedTopics(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		old := publisher(t, s)
		old.put("alert/payment-in-doubt", `{"code":"payment-in-doubt"}`, true)
		old.put("terminal/gone/status", "online", true)
		old.put("info", `{"session":"of an earlier process"}`, true)
		h := newHouse()
		e, stop := run(t, options(s, h))
		connected(t, e)
		k := control(t, s)
		until(t, "left-overs to go", func() bool {
			late := control(t, s, "alert/+", "terminal/gone/status", "status")
			until(t, "status, asked for last", func() bool { return late.last("status") != "" })
			return late.last("alert/payment-in-doubt") == "" && late.last("terminal/gone/status") == ""
		})
		if h.alert(payment.AlertTwin) {
			t.Error("a retained info of an earlier process was taken for a twin")
		}
		h.change(func() {
			h.status.Sellable, h.status.Reasons = false, []payment.Reason{payment.ReasonOffline}
			h.status.Terminals = []payment.TerminalStatus{{Name: "hall 1", Link: payment.LinkOffline, Stage: payment.StageIdle, Reasons: []payment.Reason{payment.ReasonOffline}}}
		})
		h.Raise(payment.AlertInDoubt, "p-1 is in doubt", "p-1")
		for topic, want := range map[string]string{
			"terminal/hall%201/status": "offline", "terminal/pos1/status": "",
			"sellable": `{"ok":false,"reasons":["terminal-offline"],"terminals":{"hall 1":{"ok":false,"reasons":["terminal-offline"]}}}`,
		} {
			until(t, topic, func() bool { return k.last(topic) == want })
		}
		until(t, "alert", func() bool { return strings.Contains(k.last("alert/payment-in-doubt"), "p-1 is in doubt") })
		h.Clear(payment.AlertInDoubt)
		until(t, "alert to go", func() bool { return k.last("alert/payment-in-doubt") == "" })
		h.emit(payment.EventFinal, 1)
		until(t, "outbox", func() bool {
			var o mqtt.OutboxState
			return json.Unmarshal([]byte(k.last("outbox")), &o) == nil && o.LastSeq == 2 && o.Delivered == 2
		})
		h.change(func() { h.status.Stopping = true })
		until(t, "stopping", func() bool { return k.last("status") == "stopping" })
		stop()
		late := control(t, s)
		until(t, "status after the end", func() bool { return late.last("status") == "stopping" })
	})
}

// The will of an earlier connection can come long after the next one was made.
func TestLateWillIsRepaired(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		o := options(s, newHouse())
		o.Commands = false   // so that no other change is repeated
		k := publisher(t, s) // listens from the first message on: the embedded server can lose a retained one for who comes at that moment
		e, _ := run(t, o)
		connected(t, e)
		until(t, "online", func() bool { return k.last("status") == "online" })
		k.put("status", "offline", true)
		t.Cleanup(func() {
			t.Logf("controller heard %q, is connected: %v; edge %+v", k.all("status"), k.c.IsConnectionOpen(), e.State())
		})
		// Our answer can be stored before what it answers; then the second one counts.
		until(t, "offline, and online twice more, at last", func() bool {
			all := k.all("status")
			online := 0
			for _, status := range all {
				if status == "online" {
					online++
				}
			}
			return slices.Contains(all, "offline") && online >= 3 && k.last("status") == "online"
		})
	})
}

// Two gateways with one name: both see it, both stop; when one leaves, the
// other goes on.
func TestTwinBox(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		a, b := newHouse(), newHouse()
		oa, ob := options(s, a), options(s, b)
		ea, _ := run(t, oa)
		connected(t, ea)
		eb, stopB := run(t, ob)
		connected(t, eb)
		until(t, "both to see it", func() bool { return a.alert(payment.AlertTwin) && b.alert(payment.AlertTwin) })
		if !ea.State().Twin || !eb.State().Twin {
			t.Error("the state does not show the twin")
		}
		stopB()
		until(t, "the alert to end", func() bool { return !a.alert(payment.AlertTwin) })
		k := control(t, s, "info", "status")
		until(t, "own info and status again", func() bool { return k.last("status") == "online" && k.session() == ea.State().Session })
	})
}

// A lost connection and a new one is no twin of itself.
func TestOwnSessionsAreNoTwin(t *testing.T) {
	s := debians(t, "")
	p := newProxy(t, s.url)
	h := newHouse()
	o := options(s, h)
	o.URL = "tcp://" + p.l.Addr().String()
	e, _ := run(t, o)
	connected(t, e)
	for range 5 {
		session := e.State().Session
		p.cutNext(0)
		until(t, "another session", func() bool { st := e.State(); return st.Connected && st.Session != session })
	}
	if h.alert(payment.AlertTwin) {
		t.Error("twin alert")
	}
}

func TestReplay(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		h := newHouse()
		for i := range 1500 {
			h.emit(payment.EventFinal, i)
		}
		k := control(t, s, "reply/+", "replay/+", "event/payment.final")
		e, _ := run(t, options(s, h))
		connected(t, e)
		until(t, "drain", func() bool { return len(k.all("event/payment.final")) == 1500 })
		r := k.ask("replay", "back", `{"from":101,"client":"back"}`)
		var re mqtt.Replayed
		b, _ := json.Marshal(r.Result)
		if err := json.Unmarshal(b, &re); err != nil || r.Status != payment.ReplyAccepted {
			t.Fatalf("reply is %+v", r)
		}
		if want := (mqtt.Replayed{From: 101, To: 1100, LastSeq: 1501}); re != want {
			t.Errorf("replayed %+v, want %+v", re, want)
		}
		until(t, "replay", func() bool { return len(k.all("replay/back")) == 1000 })
		if got, want := k.all("replay/back")[0], k.all("event/payment.final")[99]; got != want {
			t.Errorf("replayed %s, was %s", got, want)
		}
		if r := k.ask("replay", "back", `{"from":9000,"client":"back"}`); r.Reason != payment.ReasonNotFound {
			t.Errorf("events of the future: %+v", r)
		}
	})
}

// Each destination has its own cursor, and commands only where they belong.
func TestTwoDestinations(t *testing.T) {
	local, uplink := embedded(t), debians(t, "")
	h := newHouse()
	o := options(local, h)
	el, _ := run(t, o)
	o = options(uplink, h)
	o.Destination, o.Commands = "uplink", false
	eu, _ := run(t, o)
	connected(t, el)
	connected(t, eu)
	h.emit(payment.EventFinal, 1)
	until(t, "both cursors", func() bool { return h.at("local") == 2 && h.at("uplink") == 2 })
	k := control(t, uplink)
	k.publish("pause", `{"terminal":"pos1"}`, false)
	k.publish("purchase", fmt.Sprintf(`{%s,"session":%q}`, sale, k.session()), false)
	h.emit(payment.EventFinal, 2)
	until(t, "a later event", func() bool { return h.at("uplink") == 3 })
	if len(h.commands()) != 0 || k.last("reply/any") != "" {
		t.Error("a destination without commands took one")
	}
}

func TestOptionsAreChecked(t *testing.T) {
	h := newHouse()
	good := mqtt.Options{Box: box, Destination: "local", URL: "tcp://127.0.0.1", Gateway: h, Outbox: outbox{h}}
	for name, change := range map[string]func(*mqtt.Options){
		"box with a slash":    func(o *mqtt.Options) { o.Box = "a/b" },
		"no box":              func(o *mqtt.Options) { o.Box = "" },
		"no destination":      func(o *mqtt.Options) { o.Destination = "" },
		"no gateway":          func(o *mqtt.Options) { o.Gateway = nil },
		"password in the URL": func(o *mqtt.Options) { o.URL = "tcp://a:secret@127.0.0.1" },
		"another scheme":      func(o *mqtt.Options) { o.URL = "http://127.0.0.1" },
		"nobody":              func(o *mqtt.Options) { o.URL = "tcp://" },
		"window":              func(o *mqtt.Options) { o.Window = 5000 },
	} {
		o := good
		change(&o)
		_, err := mqtt.New(o)
		if err == nil {
			t.Errorf("%s: accepted", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the error shows the password", name)
		}
	}
	e, err := mqtt.New(good)
	if err != nil {
		t.Fatal(err)
	}
	if got := e.State().Broker; got != "tcp://127.0.0.1:1883" {
		t.Errorf("broker is %s", got)
	}
}
