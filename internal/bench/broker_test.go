package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/broker"
	"tillgate/internal/mosquitto"
	"tillgate/internal/payment"
)

const childEnv = "TILLGATE_BENCH_BROKER"

// TestMain lets this binary be the child process of the embedded broker.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(broker.Main(os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// user is who somebody is at a broker.
type user struct{ name, password string }

// site is a broker.
type site struct {
	name     string
	address  string // host:port
	gateway  user
	customer user
}

// newSite starts Mosquitto, or the embedded broker where that is not installed.
func newSite(b *testing.B, box string) site {
	b.Helper()
	if !mosquitto.Installed() {
		return embedded(b, box)
	}
	return site{name: "mosquitto", address: mosquitto.Start(b).Address}
}

func embedded(b *testing.B, box string) site {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	const password = "sesame"
	s := &broker.Supervisor{Box: box, Users: []broker.User{broker.KioskUser(box, password)}, Dir: b.TempDir(), Command: []string{exe}, Env: []string{childEnv + "=1"}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			b.Errorf("broker: %v", err)
		}
	}()
	b.Cleanup(func() { cancel(); <-done })
	wait, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	url, err := s.Wait(wait)
	if err != nil {
		b.Fatal(err)
	}
	name, secret := s.Gateway()
	return site{name: "embedded", address: strings.TrimPrefix(url, "tcp://"), gateway: user{name, secret}, customer: user{"kiosk", password}}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// until waits for a condition; its pause is short because what is waited for
// may be what is measured next.
func until(b *testing.B, what string, ok func() bool) {
	b.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(200 * time.Microsecond) {
		if time.Now().After(deadline) {
			b.Fatalf("waited in vain for %s", what)
		}
	}
}

// controller is what a kiosk has: it sends purchases and hears events.
type controller struct {
	b      *testing.B
	root   string
	client paho.Client

	mu      sync.Mutex
	session string
	online  time.Time                // status became online
	sells   time.Time                // sellable became ok
	replies map[payment.ID]string    // last status heard
	finals  map[payment.ID]time.Time // first final event
	results map[payment.ID]payment.Result
}

func newController(b *testing.B, s site, box string) *controller {
	b.Helper()
	c := &controller{b: b, root: "tillgate/v1/" + box + "/", replies: map[payment.ID]string{}, finals: map[payment.ID]time.Time{}, results: map[payment.ID]payment.Result{}}
	until(b, "the broker to take a controller", func() bool { return c.connect(s) == nil })
	b.Cleanup(func() { c.client.Disconnect(50) })
	return c
}

// connect joins the broker once.
func (c *controller) connect(s site) error {
	o := paho.NewClientOptions().AddBroker("tcp://" + s.address).SetClientID("controller").SetUsername(s.customer.name).SetPassword(s.customer.password).
		SetProtocolVersion(4).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	client := paho.NewClient(o)
	if t := client.Connect(); t.Wait() && t.Error() != nil {
		return t.Error()
	}
	filters := map[string]byte{}
	for _, topic := range []string{"status", "sellable", "info", "reply/controller", "event/+"} {
		filters[c.root+topic] = 1
	}
	if t := client.SubscribeMultiple(filters, c.hear); t.Wait() && t.Error() != nil {
		client.Disconnect(0)
		return t.Error()
	}
	c.client = client
	return nil
}

func (c *controller) hear(_ paho.Client, m paho.Message) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch topic := strings.TrimPrefix(m.Topic(), c.root); topic {
	case "status":
		c.online = time.Time{}
		if strings.Contains(string(m.Payload()), "online") {
			c.online = now
		}
	case "sellable":
		c.sells = time.Time{}
		if strings.Contains(string(m.Payload()), `"ok":true`) {
			c.sells = now
		}
	case "info":
		var info struct{ Session string }
		_ = json.Unmarshal(m.Payload(), &info)
		c.session = info.Session
	case "reply/controller":
		var r struct {
			ID             payment.ID
			Status, Reason string
		}
		_ = json.Unmarshal(m.Payload(), &r)
		c.replies[r.ID] = strings.TrimSpace(r.Status + " " + r.Reason)
	case "event/payment.final":
		var e struct {
			Subject string
			Data    struct {
				Outcome struct{ Result payment.Result }
			}
		}
		_ = json.Unmarshal(m.Payload(), &e)
		id := payment.ID(strings.TrimPrefix(e.Subject, "payment/"))
		if _, again := c.finals[id]; !again {
			c.finals[id], c.results[id] = now, e.Data.Outcome.Result
		}
	}
}

// pay sends a purchase and returns when it left.
func (c *controller) pay(id payment.ID) time.Time {
	c.b.Helper()
	c.mu.Lock()
	session := c.session
	c.mu.Unlock()
	body, err := json.Marshal(map[string]any{"id": id, "order": "bill-" + string(id), "amount": payment.Money{Minor: 125000, Currency: "VND"}, "session": session, "client": "controller"})
	if err != nil {
		c.b.Fatal(err)
	}
	begin := time.Now()
	c.client.Publish(c.root+"command/purchase", 1, false, body)
	return begin
}

// final waits for the event that ends a payment, which has to be approved.
func (c *controller) final(id payment.ID) time.Time {
	c.b.Helper()
	var at time.Time
	var reply string
	until(c.b, fmt.Sprintf("the event of %s", id), func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		at, reply = c.finals[id], c.replies[id]
		return !at.IsZero() || strings.HasPrefix(reply, string(payment.ReplyRefused))
	})
	if at.IsZero() {
		c.b.Fatalf("%s was %s", id, reply)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.results[id] != payment.Approved {
		c.b.Fatalf("%s is %s, want approved", id, c.results[id])
	}
	return at
}

func (c *controller) onlineSince() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.online
}

func (c *controller) sellsSince() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sells
}

func (c *controller) hasSession() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session != ""
}

func (c *controller) reply(id payment.ID) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.replies[id]
}

// ready waits until a gateway is online, has said its session, and sells.
func (c *controller) ready() {
	c.b.Helper()
	until(c.b, "the gateway to sell", func() bool {
		return c.hasSession() && !c.onlineSince().IsZero() && !c.sellsSince().IsZero()
	})
}

// forget makes the next online and session those of the next process.
func (c *controller) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.online, c.sells, c.session = time.Time{}, time.Time{}, ""
}
