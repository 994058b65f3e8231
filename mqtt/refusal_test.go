package mqtt_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
)

const sale = `"id":"p-1","terminal":"pos1","amount":{"minor":5000,"currency":"VND"}`

// Every bad input of a command: a refusal with a reason and a sentence, nothing
// for the gateway, and the edge goes on.
func TestBadInputIsRefused(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		h := newHouse()
		e, _ := run(t, options(s, h))
		connected(t, e)
		k := control(t, s, "info", "reply/+")
		session := fmt.Sprintf(`,"session":%q`, k.session())
		for _, tt := range []struct {
			name, verb, payload string
			want                payment.Reason
			text                string
		}{
			{"empty", "purchase", ``, payment.ReasonInvalid, "not a JSON object"},
			{"no JSON", "purchase", `pay!`, payment.ReasonInvalid, "not a JSON object"},
			{"half", "purchase", `{` + sale, payment.ReasonInvalid, "not JSON"},
			{"list", "purchase", `[1]`, payment.ReasonInvalid, "not a JSON object"},
			{"two values", "purchase", `{` + sale + session + `}{}`, payment.ReasonInvalid, "after its JSON object"},
			{"broken UTF-8", "purchase", "{\"id\":\"\xff\"}", payment.ReasonInvalid, "UTF-8"},
			{"unknown member", "purchase", `{` + sale + session + `,"tip":1}`, payment.ReasonInvalid, `unknown member "tip"`},
			{"unknown member inside", "purchase", `{"id":"p-1","amount":{"minor":1,"currency":"VND","cents":2}` + session + `}`, payment.ReasonInvalid, "amount"},
			{"other case", "purchase", `{"ID":"p-1"` + session + `}`, payment.ReasonInvalid, `unknown member "ID"`},
			{"twice", "purchase", `{` + sale + session + `,"id":"p-2"}`, payment.ReasonInvalid, `"id" is given twice`},
			{"float", "purchase", `{"id":"p-1","amount":{"minor":50.5,"currency":"VND"}` + session + `}`, payment.ReasonInvalid, "amount"},
			{"text for a number", "purchase", `{` + sale + session + `,"timeout_ms":"soon"}`, payment.ReasonInvalid, "timeout_ms"},
			{"no currency of ISO 4217", "purchase", `{"id":"p-1","amount":{"minor":50,"currency":"XYZ"}` + session + `}`, payment.ReasonInvalid, "ISO 4217"},
			{"deep", "purchase", strings.Repeat(`{"a":`, 40) + `1` + strings.Repeat(`}`, 40), payment.ReasonInvalid, "nested"},
			{"wide", "purchase", `{` + members(100) + `}`, payment.ReasonInvalid, "more than 64"},
			{"oversized", "purchase", `{"id":"` + strings.Repeat("x", 17<<10) + `"}`, payment.ReasonOversized, "16384 bytes"},
			{"far oversized", "purchase", strings.Repeat("x", 250_000), payment.ReasonOversized, "16384 bytes"},
			{"no session", "purchase", `{` + sale + `}`, payment.ReasonStale, "session"},
			{"foreign session", "purchase", `{` + sale + `,"session":"yesterday"}`, payment.ReasonForeignSession, "session"},
			{"foreign session, no money", "lookup", `{"id":"p-1","session":"yesterday"}`, payment.ReasonForeignSession, "session"},
			{"refund without session", "refund", `{` + sale + `}`, payment.ReasonStale, "session"},
			{"reconcile without session", "reconcile", `{"terminal":"pos1"}`, payment.ReasonStale, "session"},
			{"unknown verb", "steal", `{` + sale + session + `}`, payment.ReasonInvalid, "no such verb"},
			{"another verb inside", "purchase", `{"verb":"refund",` + sale + session + `}`, payment.ReasonInvalid, "verb"},
			{"another operation inside", "purchase", `{"operation":"refund",` + sale + session + `}`, payment.ReasonInvalid, "operation"},
			{"reply elsewhere", "purchase", `{` + sale + session + `,"client":"../x/#"}`, payment.ReasonInvalid, "client"},
			{"long request id", "purchase", `{` + sale + session + `,"request_id":"` + strings.Repeat("r", 200) + `"}`, payment.ReasonInvalid, "request_id"},
			{"negative ttl", "purchase", `{` + sale + session + `,"ttl_ms":-1}`, payment.ReasonInvalid, "ttl_ms"},
		} {
			t.Run(tt.name, func(t *testing.T) {
				r := k.ask(tt.verb, "any", tt.payload)
				if r.Status != payment.ReplyRefused || r.Reason != tt.want || !strings.Contains(r.Text, tt.text) {
					t.Errorf("reply is %s %s %q, want %s with %q", r.Status, r.Reason, r.Text, tt.want, tt.text)
				}
			})
		}
		if got := h.commands(); len(got) != 0 {
			t.Errorf("the gateway got %d commands, want none", len(got))
		}
		if r := k.ask("purchase", "any", `{`+sale+session+`}`); r.Status != payment.ReplyAccepted {
			t.Errorf("afterwards a good one is %s: %s", r.Status, r.Text)
		}
	})
}

func members(n int) string {
	var m []string
	for i := range n {
		m = append(m, fmt.Sprintf(`"m%d":0`, i))
	}
	return strings.Join(m, ",")
}

// A refusal finds its way and names its request, even if the rest is wrong.
func TestRefusalIsAddressed(t *testing.T) {
	s := embedded(t)
	e, _ := run(t, options(s, newHouse()))
	connected(t, e)
	k := control(t, s, "reply/+")
	for verb, wrong := range map[string]string{"purchase": `"oops":true`, "refund": `"Amount":1`, "reversal": `"ttl_ms":1,"ttl_ms":2`, "lookup": `"a":{"b":{"c":{"d":{}}}}`, "no-such-verb": `"by":"me"`} {
		if r := k.ask(verb, "till-2", `{"id":"p-77","client":"till-2","request_id":"r-1",`+wrong+`}`); r.ID != "p-77" || r.RequestID != "r-1" || r.Reason != payment.ReasonInvalid {
			t.Errorf("%s: reply is %+v", wrong, r)
		}
	}
}

// One mistaken -r must not charge a card at each reconnect.
func TestRetainedCommandIsRefusedWithAnAlert(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		k := control(t, s)
		k.publish("purchase", `{`+sale+`}`, true)
		h := newHouse()
		e, _ := run(t, options(s, h))
		connected(t, e)
		until(t, "refusal", func() bool { return strings.Contains(k.last("reply/any"), `"reason":"retained"`) })
		until(t, "alert", func() bool { return k.last("alert/retained-command") != "" && h.alert(payment.AlertRetained) })
		if len(h.commands()) != 0 {
			t.Error("the gateway got the retained command")
		}
		k.publish("purchase", ``, true) // as mosquitto_pub -r -n does
		until(t, "alert to end", func() bool { return !h.alert(payment.AlertRetained) && k.last("alert/retained-command") == "" })
	})
}

// A command that outlived its ttl_ms behind a slow one is refused.
func TestCommandThatWaitedTooLongIsStale(t *testing.T) {
	s := embedded(t)
	h := newHouse()
	release := make(chan struct{})
	h.do = func(c payment.Command) payment.Reply {
		if c.ID == "p-1" {
			<-release
		}
		return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted}
	}
	e, _ := run(t, options(s, h))
	connected(t, e)
	k := control(t, s, "info", "reply/+")
	session := fmt.Sprintf(`,"session":%q`, k.session())
	k.publish("purchase", `{`+sale+session+`}`, false)
	until(t, "slow command", func() bool { return len(h.commands()) == 1 })
	k.publish("purchase", `{"id":"p-2","client":"late","ttl_ms":1,"terminal":"pos1"`+session+`}`, false)
	// The reply to a later command of another lane shows that p-2 has arrived.
	if r := k.ask("abort", "quick", `{"id":"p-9","client":"quick"}`); r.Status != payment.ReplyAccepted {
		t.Errorf("abort beside a slow purchase is %s", r.Status)
	}
	time.Sleep(2 * time.Millisecond) // longer than p-2 may wait
	close(release)
	until(t, "stale", func() bool { return strings.Contains(k.last("reply/late"), `"reason":"stale"`) })
}

// More commands than fit are refused as busy; an abort still gets through, and
// the order of one terminal holds.
func TestFlood(t *testing.T) {
	s := embedded(t)
	h := newHouse()
	release := make(chan struct{})
	h.do = func(c payment.Command) payment.Reply {
		if c.Verb == payment.VerbPurchase {
			<-release
		}
		return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted}
	}
	e, _ := run(t, options(s, h))
	connected(t, e)
	k := control(t, s, "info", "reply/+")
	session := k.session()
	const sent = 150
	for i := range sent {
		k.publish("purchase", fmt.Sprintf(`{"id":"p-%03d","terminal":"pos1","amount":{"minor":1,"currency":"VND"},"session":%q,"ttl_ms":60000}`, i, session), false)
	}
	if r := k.ask("abort", "quick", `{"id":"other","client":"quick"}`); r.Status != payment.ReplyAccepted {
		t.Errorf("abort in a flood is %s %s", r.Status, r.Reason)
	}
	close(release)
	until(t, "all replies", func() bool { return len(k.all("reply/any")) == sent })
	busy := strings.Count(strings.Join(k.all("reply/any"), "\n"), `"reason":"busy"`)
	got := h.commands()
	last, purchases := payment.ID(""), 0
	for _, c := range got {
		if c.Verb != payment.VerbPurchase {
			continue
		}
		if c.ID <= last {
			t.Errorf("%s came after %s", c.ID, last)
		}
		last = c.ID
		purchases++
	}
	if busy == 0 || purchases+busy != sent {
		t.Errorf("%d purchases and %d busy, want %d together and some busy", purchases, busy, sent)
	}
}

// An abort never overtakes the purchase that it is about.
func TestAbortWaitsForItsPurchase(t *testing.T) {
	s := embedded(t)
	h := newHouse()
	release := make(chan struct{})
	h.do = func(c payment.Command) payment.Reply {
		if c.ID == "first" {
			<-release
		}
		return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted}
	}
	e, _ := run(t, options(s, h))
	connected(t, e)
	k := control(t, s, "info", "reply/+")
	session := k.session()
	for _, id := range []string{"first", "second"} {
		k.publish("purchase", fmt.Sprintf(`{"id":%q,"amount":{"minor":1,"currency":"VND"},"session":%q}`, id, session), false)
	}
	k.publish("abort", `{"id":"second"}`, false)
	k.ask("lookup", "quick", `{"id":"x","client":"quick"}`)
	close(release)
	until(t, "replies", func() bool { return len(k.all("reply/any")) == 3 })
	var order []string
	for _, c := range h.commands() {
		if c.ID == "second" {
			order = append(order, string(c.Verb))
		}
	}
	if fmt.Sprint(order) != "[purchase abort]" {
		t.Errorf("order is %v", order)
	}
}

// Nor does it come before the gateway has answered the purchase, which is when the
// gateway knows the payment; and asking for the purchase twice changes nothing.
func TestAbortComesWhenThePaymentIsKnown(t *testing.T) {
	s := embedded(t)
	h := newHouse()
	reached, release := make(chan struct{}, 2), make(chan struct{})
	h.do = func(c payment.Command) payment.Reply {
		if c.Verb == payment.VerbPurchase {
			reached <- struct{}{}
			<-release
		}
		return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted}
	}
	e, _ := run(t, options(s, h))
	connected(t, e)
	k := control(t, s, "info", "reply/+")
	purchase := fmt.Sprintf(`{%s,"session":%q}`, sale, k.session())
	k.publish("purchase", purchase, false)
	k.publish("purchase", purchase, false)
	<-reached
	k.publish("abort", `{"id":"p-1"}`, false)
	k.ask("lookup", "quick", `{"id":"x","client":"quick"}`) // shows that the abort has arrived
	k.ask("abort", "quick", `{"id":"other","client":"quick"}`)
	release <- struct{}{} // the first purchase is answered, its repetition is not
	<-reached
	if r := k.ask("abort", "quick", `{"id":"other","client":"quick"}`); r.Status != payment.ReplyAccepted {
		t.Errorf("an abort of another payment is %s", r.Status)
	}
	for _, c := range h.commands() {
		if c.Verb == payment.VerbAbort && c.ID == "p-1" {
			t.Error("the abort came before the purchase was answered")
		}
	}
	close(release)
	until(t, "replies", func() bool { return len(k.all("reply/any")) == 3 })
}

// mosquitto_pub, as docs/mqtt.md shows it.
func TestOutsideClient(t *testing.T) {
	pub, err := exec.LookPath("mosquitto_pub")
	if err != nil {
		t.Skip("mosquitto_pub is not installed: apt-get install mosquitto-clients")
	}
	onBoth(t, func(t *testing.T, s *site) {
		e, _ := run(t, options(s, newHouse()))
		connected(t, e)
		k := control(t, s, "info", "reply/+")
		port := s.url[strings.LastIndex(s.url, ":")+1:]
		args := []string{"-h", "127.0.0.1", "-p", port, "-u", "kiosk", "-q", "1", "-t", "tillgate/v1/" + box + "/command/purchase", "-m", fmt.Sprintf(`{%s,"session":%q}`, sale, k.session())}
		if s.kioskPassword != "" {
			args = append(args, "-P", s.kioskPassword)
		}
		if out, err := exec.Command(pub, args...).CombinedOutput(); err != nil {
			t.Fatalf("mosquitto_pub: %v: %s", err, out)
		}
		until(t, "reply", func() bool { return strings.Contains(k.last("reply/any"), `"status":"accepted"`) })
	})
}
