package bench

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/ecrvn"
	"tillgate/store"
)

// BenchmarkLanes is G4: how many payments a second eight lanes take together,
// as a multiple of what one lane takes, through gateway, journal and driver. The
// slow flush is made by a pause of 1 ms for each of the two flushes of a commit.
func BenchmarkLanes(b *testing.B) {
	for _, flush := range []time.Duration{0, time.Millisecond} {
		b.Run(fmt.Sprintf("flush+%s", flush), func(b *testing.B) {
			var one, eight time.Duration
			var rounds float64
			const each, most = 25, 8
			x := newLanes(b, flush)
			x.pay(most, 4)
			for b.Loop() {
				rounds++
				one += x.pay(1, each)
				eight += x.pay(most, each)
			}
			b.ReportMetric(most*one.Seconds()/eight.Seconds(), "G4-8-lanes/1-lane")
			b.ReportMetric(float64(each)*rounds/one.Seconds(), "1-lane-payments/s")
			b.ReportMetric(float64(each*most)*rounds/eight.Seconds(), "8-lanes-payments/s")
			b.ReportMetric(0, "ns/op")
		})
	}
}

type lanes struct {
	b       *testing.B
	gateway *gateway.Gateway
	journal *store.Store
	n       int
}

func newLanes(b *testing.B, flush time.Duration) *lanes {
	s, err := store.Open(store.Options{Dir: journalDir(b, history(b)), Destinations: []string{local}, MaxSegments: maxSegments, Hook: func(point string) error {
		if point == "commit.before" && flush > 0 {
			time.Sleep(2 * flush)
		}
		return nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	var all []gateway.Terminal
	for i := range 8 {
		sim, err := ecrvn.Driver().Simulate(link.SimulatorConfig{})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { sim.Close() })
		all = append(all, lane(name(i), func(context.Context) (link.Conn, error) {
			ours, its := net.Pipe()
			go func() { _ = sim.Serve(context.Background(), numbered{its, i}) }() // until sim is closed
			return ours, nil
		}))
	}
	return &lanes{b: b, gateway: newGateway(b, s, all...), journal: s}
}

// numbered gives each simulated terminal a serial number of its own: two that
// say the same are taken for one, and may not sell.
type numbered struct {
	link.Conn
	lane int
}

func (c numbered) Write(p []byte) (int, error) {
	const key = `"posSerial":"`
	if i := bytes.Index(p, []byte(key)); i >= 0 {
		p = bytes.Clone(p)
		p[i+len(key)] = byte('1' + c.lane)
	}
	return c.Conn.Write(p)
}

func name(lane int) string { return fmt.Sprintf("lane-%d", lane) }

// pay takes payments on each of so many lanes at once.
func (x *lanes) pay(lanes, each int) time.Duration {
	x.n++
	begin := time.Now()
	var wg sync.WaitGroup
	for l := range lanes {
		wg.Go(func() {
			for i := range each {
				x.one(name(l), payment.ID(fmt.Sprintf("g4-%d-%d-%d", x.n, l, i)))
			}
		})
	}
	wg.Wait()
	return time.Since(begin)
}

// one takes a payment, and returns when its lane is ready for the next.
func (x *lanes) one(lane string, id payment.ID) {
	r := x.gateway.Do(context.Background(), payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{
		ID: id, Order: string(id), Terminal: lane, Amount: payment.Money{Minor: 125000, Currency: "VND"},
	}})
	if r.Status != payment.ReplyAccepted {
		x.b.Errorf("%s is %s: %s", id, r.Status, r.Text)
		return
	}
	// The reply comes before the lane shows that it is busy, so that it looks
	// ready is not enough.
	over := func() bool {
		rec, err := x.journal.Find(id)
		return err == nil && rec.State == payment.StateFinal && ready(x.gateway, lane)
	}
	for {
		changed := x.gateway.Changed()
		if over() {
			return
		}
		<-changed
	}
}
