package bench

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/ecrvn"
	"tillgate/mqtt"
	"tillgate/store"
)

// record is a journal with its outbox: the store, or the floor.
type record interface {
	gateway.Journal
	mqtt.Outbox
}

// openStore opens a journal with the history, and counts its commits.
func openStore(b *testing.B, n int) (*store.Store, *atomic.Int64) {
	b.Helper()
	commits := new(atomic.Int64)
	s, err := store.Open(store.Options{Dir: journalDir(b, n), Destinations: []string{local}, MaxSegments: maxSegments, Hook: func(point string) error {
		if point == "commit.after" {
			commits.Add(1)
		}
		return nil
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s, commits
}

// road is everything between a controller and a terminal, in this process but
// for the broker:
//
//	controller ─► broker ─► mqtt ─► gateway ─► driver ─► pty ─► terminal
//	                                   │ journal
type road struct {
	b        *testing.B
	box      string
	gateway  *gateway.Gateway
	ctl      *controller
	terminal *terminal
	mu       sync.Mutex
	line     *gatewayEnd
	n        int
}

func newRoad(b *testing.B, box string, journal record) *road {
	b.Helper()
	s := newSite(b, box)
	r := &road{b: b, box: box, terminal: newTerminal(b, link.SimulatorConfig{})}
	address, err := link.ParseAddress(r.terminal.port)
	if err != nil {
		b.Fatal(err)
	}
	dial := func(ctx context.Context) (link.Conn, error) {
		c, err := address.Dial(ctx)
		if err != nil {
			return nil, err
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.line = &gatewayEnd{Conn: c}
		return r.line, nil
	}
	r.gateway = newGateway(b, journal, lane("front", dial))
	edge, err := mqtt.New(mqtt.Options{
		Box: box, Destination: local, URL: "tcp://" + s.address, Username: s.gateway.name, Password: func() (string, error) { return s.gateway.password, nil },
		Commands: true, Gateway: r.gateway, Outbox: journal,
	})
	if err != nil {
		b.Fatal(err)
	}
	background(b, edge.Run)
	r.ctl = newController(b, s, box)
	r.ctl.ready()
	return r
}

// lane is a terminal of the gateway.
func lane(name string, dial func(context.Context) (link.Conn, error)) gateway.Terminal {
	d := ecrvn.Driver()
	return gateway.Terminal{
		Name: name, Driver: d, Device: name, MaxAmount: payment.Money{Minor: 5_000_000, Currency: "VND"},
		Link: link.Config{Name: name, Address: name, Dial: dial, Currency: "VND", Settings: d.Settings()},
	}
}

func newGateway(b *testing.B, journal gateway.Journal, terminals ...gateway.Terminal) *gateway.Gateway {
	b.Helper()
	g, err := gateway.New(gateway.Options{Journal: journal, Terminals: terminals})
	if err != nil {
		b.Fatal(err)
	}
	background(b, g.Run)
	until(b, "the terminals to be ready", func() bool {
		for _, t := range terminals {
			if !ready(g, t.Name) {
				return false
			}
		}
		return true
	})
	return g
}

// background runs f until the benchmark ends.
func background(b *testing.B, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := f(ctx); err != nil {
			b.Error(err)
		}
	}()
	b.Cleanup(func() { cancel(); <-done })
}

func ready(g *gateway.Gateway, terminal string) bool {
	return slices.ContainsFunc(g.Status().Terminals, func(t payment.TerminalStatus) bool {
		return t.Name == terminal && t.Link == payment.LinkOnline && len(t.Reasons) == 0
	})
}

// pay takes one payment along the road. toWire is from the command to the first
// byte of the money command at the terminal, without the exchange before it,
// which is baseline; toEvent is from the terminal's answer to the event.
func (r *road) pay() (toWire, baseline, toEvent time.Duration) {
	r.b.Helper()
	until(r.b, "the terminal to be ready", func() bool { return ready(r.gateway, "front") })
	r.n++
	id := payment.ID(fmt.Sprintf("%s-%d", r.box, r.n))
	sent := r.ctl.pay(id)
	heard := r.ctl.final(id)
	at := r.terminal.now()
	r.mu.Lock()
	baseline = r.line.before()
	r.mu.Unlock()
	return at.sale.Sub(sent) - baseline, baseline, heard.Sub(at.answered)
}

// BenchmarkPayment is G1, G2 and the commits of G3: payments along the road,
// in turn with payments on the floor N and with the floors C and F.
func BenchmarkPayment(b *testing.B) {
	n := history(b)
	b.Run(fmt.Sprintf("history=%d", n), func(b *testing.B) {
		journal, commits := openStore(b, n)
		real, floor, d := newRoad(b, "real", journal), newRoad(b, "floor", newFloorJournal()), newDisk(b)
		for range 20 { // caches, and the first growth of every buffer
			real.pay()
			floor.pay()
			d.commit()
			d.flush()
		}
		var wire, event, wireN, eventN, base, c, f sample
		before := commits.Load()
		for b.Loop() {
			w, bl, e := real.pay()
			wire.add(w)
			base.add(bl)
			event.add(e)
			w, _, e = floor.pay()
			wireN.add(w)
			eventN.add(e)
			c.add(d.commit())
			f.add(d.flush())
		}
		b.ReportMetric(float64(commits.Load()-before)/float64(len(wire)), "G3-commits/sale")
		ratio := func(goal string, real, n sample) {
			for _, q := range []struct {
				name string
				at   float64
			}{{"p50", 0.50}, {"p99", 0.99}} {
				b.ReportMetric(float64(real.p(q.at))/float64(n.p(q.at)+c.p(q.at)), goal+"-"+q.name+"-x(N+C)")
				b.ReportMetric(micros(real.p(q.at)), goal+"-"+q.name+"-µs")
				b.ReportMetric(micros(n.p(q.at)), goal+"-"+q.name+"-N-µs")
			}
		}
		ratio("G1", wire, wireN)
		ratio("G2", event, eventN)
		b.ReportMetric(micros(base.p(0.5)), "baseline-p50-µs")
		b.ReportMetric(micros(c.p(0.5)), "C-p50-µs")
		b.ReportMetric(micros(c.p(0.99)), "C-p99-µs")
		b.ReportMetric(micros(f.p(0.5)), "F-p50-µs")
		b.ReportMetric(micros(f.p(0.99)), "F-p99-µs")
		b.ReportMetric(0, "ns/op") // the sum of everything in turn says nothing
	})
}
