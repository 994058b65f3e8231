package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/oklog/ulid/v2"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// onceWithin bounds the one payment of demo --once.
const onceWithin = 60 * time.Second

// once is a kiosk controller: it connects to the broker as any MQTT client,
// reads the session, asks for one payment, and waits for its final event.
func (d *demoCmd) once(ctx context.Context, b *box) (payment.Record, error) {
	ctx, cancel := context.WithTimeout(ctx, onceWithin)
	defer cancel()
	url, err := b.broker.Wait(ctx)
	if err != nil {
		return payment.Record{}, err
	}
	amount, err := payment.ParseMoney(d.Amount, demoCurrency)
	if err != nil {
		return payment.Record{}, fmt.Errorf("amount %q: %w", d.Amount, err)
	}
	c := &controller{ctx: ctx, root: "tillgate/v1/" + b.config.Box + "/", news: make(chan news, 64)}
	if err := c.connect(url, b.config.MQTT.Broker.Username, b.kiosk); err != nil {
		return payment.Record{}, fmt.Errorf("connect to the broker as a controller: %w", err)
	}
	defer c.client.Disconnect(250)
	session, err := c.awaitSellable()
	if err != nil {
		return payment.Record{}, err
	}
	return c.purchase(session, payment.ID(ulid.Make().String()), amount)
}

// news is one message.
type news struct {
	topic   string // below the box
	payload []byte
}

type controller struct {
	ctx    context.Context
	root   string
	client paho.Client
	news   chan news
}

const replyName = "once"

func (c *controller) connect(url, user, password string) error {
	o := paho.NewClientOptions().AddBroker(url).SetClientID("demo-" + ulid.Make().String()).SetUsername(user).SetPassword(password).
		SetProtocolVersion(4).SetCleanSession(true).SetAutoReconnect(false).SetConnectTimeout(5 * time.Second)
	c.client = paho.NewClient(o)
	if err := c.done(c.client.Connect()); err != nil {
		return err
	}
	topics := map[string]byte{}
	for _, t := range []string{"info", "sellable", "reply/" + replyName, "event/#"} {
		topics[c.root+t] = 1
	}
	token := c.client.SubscribeMultiple(topics, func(_ paho.Client, m paho.Message) {
		select {
		case c.news <- news{m.Topic()[len(c.root):], m.Payload()}:
		case <-c.ctx.Done():
		}
	})
	if err := c.done(token); err != nil {
		return err
	}
	if s, ok := token.(*paho.SubscribeToken); ok {
		for topic, code := range s.Result() {
			if code == 0x80 { // MQTT 3.1.1, 3.9.3: failure
				return fmt.Errorf("the broker refuses the subscription to %s", topic)
			}
		}
	}
	return nil
}

func (c *controller) done(t paho.Token) error {
	select {
	case <-t.Done():
		return t.Error()
	case <-c.ctx.Done():
		return errors.New("the broker did not answer in time")
	}
}

func (c *controller) next(waitingFor string) (news, error) {
	select {
	case n := <-c.news:
		return n, nil
	case <-c.ctx.Done():
		return news{}, fmt.Errorf("waited for %s: %w", waitingFor, context.Cause(c.ctx))
	}
}

// awaitSellable waits until the box can sell, and returns its session.
func (c *controller) awaitSellable() (session string, err error) {
	for ok := false; session == "" || !ok; {
		n, err := c.next("the terminal to be ready")
		if err != nil {
			return "", err
		}
		switch n.topic {
		case "info":
			var info mqtt.Info
			if err := json.Unmarshal(n.payload, &info); err != nil {
				return "", fmt.Errorf("info: %w", err)
			}
			session = info.Session
		case "sellable":
			var s mqtt.Sellable
			if err := json.Unmarshal(n.payload, &s); err != nil {
				return "", fmt.Errorf("sellable: %w", err)
			}
			ok = s.OK
		}
	}
	return session, nil
}

// purchase publishes the command and waits for what becomes of it.
func (c *controller) purchase(session string, id payment.ID, amount payment.Money) (payment.Record, error) {
	var rec payment.Record
	command := mqtt.Envelope{
		Command: payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: id, Order: "demo", Operation: payment.Purchase, Amount: amount}},
		Session: session, Client: replyName,
	}
	b, err := json.Marshal(command)
	if err != nil {
		return rec, err
	}
	if err := c.done(c.client.Publish(c.root+"command/purchase", 1, false, b)); err != nil {
		return rec, fmt.Errorf("publish the command: %w", err)
	}
	ends := []string{"event/" + string(payment.EventFinal), "event/" + string(payment.EventInDoubt)}
	for {
		n, err := c.next("payment.final")
		if err != nil {
			return rec, err
		}
		switch {
		case n.topic == "reply/"+replyName:
			var r mqtt.Reply
			if err := json.Unmarshal(n.payload, &r); err != nil {
				return rec, fmt.Errorf("reply: %w", err)
			}
			if r.Status == payment.ReplyRefused {
				return rec, fmt.Errorf("refused (%s): %s", r.Reason, r.Text)
			}
		case slices.Contains(ends, n.topic):
			var e mqtt.CloudEvent
			if err := json.Unmarshal(n.payload, &e); err != nil {
				return rec, fmt.Errorf("event: %w", err)
			}
			if e.Subject != payment.About(id) {
				continue
			}
			return rec, json.Unmarshal(e.Data, &rec)
		}
	}
}
