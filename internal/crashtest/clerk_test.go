package crashtest

import (
	"sync"
	"testing"
	"time"

	"tillgate/internal/control"
	"tillgate/internal/payment"
)

// clerk asks for payments over the control socket, as `tillgate pay` does.
type clerk struct {
	t        *testing.T
	socket   string
	currency string

	asking sync.WaitGroup
	mu     sync.Mutex
	known  map[payment.ID]bool // that are over
}

func newClerk(k *kiosk) *clerk {
	c := &clerk{t: k.t, socket: k.socket, currency: k.on.currency, known: map[payment.ID]bool{}}
	k.t.Cleanup(c.asking.Wait)
	return c
}

func (c *clerk) send(id payment.ID, minor int64) {
	c.asking.Go(func() { c.ask(id, minor) })
}

// ask follows a payment until it is over or the gateway is gone.
func (c *clerk) ask(id payment.ID, minor int64) {
	gateway, err := control.Dial(c.socket)
	if err != nil {
		return
	}
	defer gateway.Close()
	amount := payment.Money{Minor: minor, Currency: c.currency}
	for line, err := range gateway.Follow(c.t.Context(), payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: id, Operation: payment.Purchase, Order: string(id), Amount: amount}}) {
		if err != nil {
			return
		}
		if line.Payment != nil && line.Payment.State == payment.StateFinal {
			c.mu.Lock()
			c.known[id] = true
			c.mu.Unlock()
		}
	}
}

func (c *clerk) over(id payment.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[id]
}

func (c *clerk) pay(k *kiosk, id payment.ID, minor int64) {
	c.t.Helper()
	for deadline := time.Now().Add(time.Minute); !c.over(id); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			k.tell(id)
			c.t.Fatalf("%s is not over after a minute", id)
		}
		c.ask(id, minor)
	}
}
