package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/mqtt"
	"tillgate/store"
)

// outage is how many events wait when the broker is back, window how many are
// under way at once, on both sides of the comparison.
const outage, window = 10_000, 32

// BenchmarkDrain is G8 with the events in the journal: the edge drains the store
// to Mosquitto, in turn with a bare paho client that publishes as many bytes
// from memory. BenchmarkDrain of package mqtt has the outbox in memory.
func BenchmarkDrain(b *testing.B) {
	s := newSite(b, "drain")
	if s.name == "embedded" {
		b.Log("mosquitto is not installed: this is the embedded broker")
	}
	j, _ := openStore(b, history(b))
	g, err := gateway.New(gateway.Options{Journal: j})
	if err != nil {
		b.Fatal(err)
	}
	var raw, edge time.Duration
	rounds := 0
	for b.Loop() {
		rounds++
		size := addEvents(b, j, rounds)
		raw += bare(b, s, size)
		edge += drained(b, s, g, j)
	}
	total := float64(rounds * outage)
	b.ReportMetric(raw.Seconds()/edge.Seconds(), "G8-edge/paho")
	b.ReportMetric(total/edge.Seconds(), "edge-events/s")
	b.ReportMetric(total/raw.Seconds(), "paho-events/s")
	b.ReportMetric(0, "ns/op")
}

// addEvents puts the events of an outage into the journal and returns the size
// of one on the wire.
func addEvents(b *testing.B, j *store.Store, round int) (size int) {
	for i := 0; i < outage; {
		var events []payment.Event
		for range 50 {
			_, e := sale(transaction(fmt.Sprintf("outage-%d-%d", round, i)))
			events = append(events, e)
			i++
		}
		if err := j.Append(nil, events); err != nil {
			b.Fatal(err)
		}
		size = len(events[0].Data) + 250 // of the CloudEvent around it
	}
	return size
}

// drained is how long the edge takes from its start to the last PUBACK.
func drained(b *testing.B, s site, g *gateway.Gateway, j *store.Store) time.Duration {
	edge, err := mqtt.New(mqtt.Options{
		Box: "drain", Destination: local, URL: "tcp://" + s.address, Username: s.gateway.name, Password: func() (string, error) { return s.gateway.password, nil },
		Gateway: g, Outbox: j, Window: window,
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	last := j.LastSeq()
	begin := time.Now()
	go func() { done <- edge.Run(ctx) }()
	until(b, "the outbox to be empty", func() bool { return edge.State().Delivered == last })
	d := time.Since(begin)
	cancel()
	if err := <-done; err != nil {
		b.Fatal(err)
	}
	return d
}

// bare is how long a paho client takes for as many messages, from its
// connection to the last PUBACK.
func bare(b *testing.B, s site, size int) time.Duration {
	begin := time.Now()
	c := paho.NewClient(paho.NewClientOptions().AddBroker("tcp://" + s.address).SetClientID("bare").SetUsername(s.gateway.name).SetPassword(s.gateway.password).
		SetProtocolVersion(4).SetAutoReconnect(false))
	if t := c.Connect(); t.Wait() && t.Error() != nil {
		b.Fatal(t.Error())
	}
	defer c.Disconnect(50)
	payload := make([]byte, size)
	var line []paho.Token
	for range outage {
		if len(line) == window {
			line[0].Wait()
			line = line[1:]
		}
		line = append(line, c.Publish("tillgate/v1/drain/event/payment.final", 1, false, payload))
	}
	for _, t := range line {
		t.Wait()
	}
	return time.Since(begin)
}
