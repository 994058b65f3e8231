package mqtt_test

import (
	"context"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// benchEvents is how many events wait for the broker, benchWindow how many
// are under way at once, on both sides of the comparison.
const benchEvents, benchWindow = 10_000, 32

// BenchmarkDrain (G8) drains an outbox after an outage, and beside it lets a
// bare paho client publish the same bytes with the same window. It reports both
// rates and their ratio.
func BenchmarkDrain(b *testing.B) {
	b.Run("embedded", func(b *testing.B) { drainAt(b, embedded(b)) })
	b.Run("mosquitto", func(b *testing.B) { drainAt(b, debians(b, "")) })
}

func drainAt(b *testing.B, s *site) {
	h := newHouse()
	for range benchEvents {
		h.emit(payment.EventFinal, map[string]string{"id": "p-1", "result": "approved", "text": "about as long as an outcome is, which is some hundred bytes"})
	}
	var raw, edge time.Duration
	for b.Loop() {
		raw += rawPaho(b, s, 400)
		h.mu.Lock()
		h.cursor["local"] = 0
		h.mu.Unlock()
		begin := time.Now()
		e, err := mqtt.New(options(s, h))
		if err != nil {
			b.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		for h.at("local") != benchEvents+1 {
			time.Sleep(time.Millisecond)
		}
		edge += time.Since(begin)
		cancel()
		<-done
	}
	perSecond := func(d time.Duration) float64 { return float64(b.N) * benchEvents / d.Seconds() }
	b.ReportMetric(perSecond(edge), "edge-events/s")
	b.ReportMetric(perSecond(raw), "raw-events/s")
	b.ReportMetric(raw.Seconds()/edge.Seconds(), "edge/raw")
}

func rawPaho(b *testing.B, s *site, size int) time.Duration {
	b.Helper()
	o := paho.NewClientOptions().AddBroker(s.url).SetUsername(s.user).SetPassword(s.password).SetClientID("raw").SetProtocolVersion(4).SetAutoReconnect(false)
	c := paho.NewClient(o)
	if tok := c.Connect(); tok.Wait() && tok.Error() != nil {
		b.Fatal(tok.Error())
	}
	defer c.Disconnect(100)
	payload := make([]byte, size)
	begin := time.Now()
	var line []paho.Token
	for range benchEvents {
		if len(line) == benchWindow {
			line[0].Wait()
			line = line[1:]
		}
		line = append(line, c.Publish("tillgate/v1/"+box+"/event/payment.final", 1, false, payload))
	}
	for _, t := range line {
		t.Wait()
	}
	return time.Since(begin)
}
