package crashtest

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/payment"
)

// controller is a kiosk controller as an integrator would write it: it reads
// the session, sends a command again with the same id until it is accepted,
// and waits for the final event. It stays connected while the gateway dies.
type controller struct {
	t        *testing.T
	root     string // of the topics
	currency string
	client   paho.Client

	mu      sync.Mutex
	session string
	reply   map[payment.ID]string            // last status heard
	finals  map[payment.ID]map[string][]byte // data by event id
	seen    map[uint64]string                // event id by sequence number
	problem []string
}

func newController(t *testing.T, broker, box, currency string) *controller {
	c := &controller{t: t, currency: currency, root: "tillgate/v1/" + box + "/", reply: map[payment.ID]string{}, finals: map[payment.ID]map[string][]byte{}, seen: map[uint64]string{}}
	o := paho.NewClientOptions().AddBroker("tcp://" + broker).SetClientID("controller").SetProtocolVersion(4).SetAutoReconnect(false)
	c.client = paho.NewClient(o)
	deadline := time.Now().Add(10 * time.Second)
	for { // the broker is just starting
		token := c.client.Connect()
		if token.Wait() && token.Error() == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("broker: ", token.Error())
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Cleanup(func() { c.client.Disconnect(100) })
	token := c.client.SubscribeMultiple(map[string]byte{c.root + "info": 1, c.root + "status": 1, c.root + "reply/controller": 1, c.root + "event/#": 1}, c.hear)
	if token.Wait() && token.Error() != nil {
		t.Fatal(token.Error())
	}
	return c
}

func (c *controller) hear(_ paho.Client, m paho.Message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch topic := strings.TrimPrefix(m.Topic(), c.root); {
	case topic == "info":
		var info struct{ Session string }
		_ = json.Unmarshal(m.Payload(), &info)
		c.session = info.Session
	case topic == "status" && !strings.Contains(string(m.Payload()), "online"):
		c.session = "" // the will: whoever is next has another session
	case topic == "reply/controller":
		var r struct {
			ID     payment.ID
			Status string
			Reason string
		}
		_ = json.Unmarshal(m.Payload(), &r)
		c.reply[r.ID] = r.Status + " " + r.Reason
	case strings.HasPrefix(topic, "event/"):
		c.event(m.Payload())
	}
}

func (c *controller) event(payload []byte) {
	var e struct {
		ID, Type, Subject, Sequence string
		Data                        json.RawMessage
	}
	if err := json.Unmarshal(payload, &e); err != nil {
		c.problem = append(c.problem, err.Error())
		return
	}
	if e.Sequence == "" {
		return // the probe of a new connection: it has no place in the stream
	}
	seq, err := strconv.ParseUint(e.Sequence, 10, 64)
	if err != nil {
		c.problem = append(c.problem, err.Error())
		return
	}
	if known, ok := c.seen[seq]; ok && known != e.ID {
		c.problem = append(c.problem, fmt.Sprintf("event %d has two ids, %s and %s", seq, known, e.ID))
	}
	c.seen[seq] = e.ID
	if e.Type != "tillgate.payment.final.v1" {
		return
	}
	id := payment.ID(strings.TrimPrefix(e.Subject, "payment/"))
	if c.finals[id] == nil {
		c.finals[id] = map[string][]byte{}
	}
	if old, ok := c.finals[id][e.ID]; ok && string(old) != string(e.Data) {
		c.problem = append(c.problem, "event "+e.ID+" came again with other bytes")
	}
	c.finals[id][e.ID] = e.Data
}

// gap is the first missing or contradictory event, or "".
func (c *controller) gap() string {
	if len(c.problem) > 0 {
		return c.problem[0]
	}
	first, last := ^uint64(0), uint64(0)
	for seq := range c.seen {
		first, last = min(first, seq), max(last, seq)
	}
	for seq := first; seq < last; seq++ {
		if _, ok := c.seen[seq]; !ok {
			return fmt.Sprintf("event %d was never heard", seq)
		}
	}
	return ""
}

// send publishes one purchase, if a gateway can be heard.
func (c *controller) send(id payment.ID, minor int64) {
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	if session == "" {
		return
	}
	b, err := json.Marshal(map[string]any{"id": id, "order": string(id), "amount": payment.Money{Minor: minor, Currency: c.currency}, "session": session, "client": "controller"})
	if err != nil {
		c.t.Fatal(err)
	}
	c.client.Publish(c.root+"command/purchase", 1, false, b).Wait()
}

func (c *controller) over(id payment.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.finals[id]) > 0
}

func (c *controller) accepted(id payment.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strings.HasPrefix(c.reply[id], "accepted")
}

// pay sends a purchase, again and again with the same id, until it is over.
func (c *controller) pay(k *kiosk, id payment.ID, minor int64) {
	c.t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for next := time.Now(); !c.over(id); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			k.tell(id)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.t.Fatalf("%s is not over after a minute; last reply %q, session %q", id, c.reply[id], c.session)
		}
		if time.Now().After(next) && !c.accepted(id) {
			c.send(id, minor)
			next = time.Now().Add(100 * time.Millisecond)
		}
	}
}
