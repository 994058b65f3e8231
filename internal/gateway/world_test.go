package gateway_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/ecrvn"
	"tillgate/store"
)

// world is a box with one terminal: the real store, the real driver, and the
// simulated terminal on the other end of a pipe.
type world struct {
	t     *testing.T
	dir   string
	sim   link.Simulator
	store *store.Store
	g     *gateway.Gateway
	opt   gateway.Options
	term  gateway.Terminal
	more  []gateway.Terminal // lanes beside term
	wrap  func(gateway.Journal) gateway.Journal

	stop   func()
	mu     sync.Mutex
	unplug bool
	cables []net.Conn
}

func newWorld(t *testing.T, script ...string) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	w.sim = simulator(t, script...)
	settings := ecrvn.Driver().Settings().(*ecrvn.Settings)
	settings.SilentWhenBusy = true
	w.term = gateway.Terminal{
		Name: "t1", Driver: ecrvn.Driver(), MaxAmount: vnd(5_000_000), Pace: 500 * time.Millisecond, Test: true,
		Link: link.Config{Currency: "VND", Longest: 60 * time.Second, Dial: w.dial, Settings: settings},
	}
	return w
}

func simulator(t *testing.T, script ...string) link.Simulator {
	t.Helper()
	sim, err := ecrvn.Driver().Simulate(link.SimulatorConfig{Script: script, Pace: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return sim
}

func vnd(n int64) payment.Money { return payment.Money{Minor: n, Currency: "VND"} }

// dial plugs a new cable into the terminal.
func (w *world) dial(context.Context) (link.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.unplug {
		return nil, &net.OpError{Op: "dial", Err: io.EOF}
	}
	near, far := net.Pipe()
	w.cables = append(w.cables, near)
	sim := w.sim
	go func() {
		_ = sim.Serve(context.Background(), far)
		far.Close()
	}()
	return near, nil
}

// pull takes the cable out, or puts it back.
func (w *world) pull(out bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unplug = out
	for _, c := range w.cables {
		c.Close()
	}
	w.cables = nil
}

func (w *world) start() {
	w.t.Helper()
	s, err := store.Open(store.Options{Dir: w.dir, SegmentSize: 256 << 10, Destinations: []string{"local"}, Now: w.now})
	if err != nil {
		w.t.Fatal(err)
	}
	opt := w.opt
	opt.Terminals, opt.Journal, opt.Now = append([]gateway.Terminal{w.term}, w.more...), s, w.now
	if w.wrap != nil {
		opt.Journal = w.wrap(s)
	}
	if testing.Verbose() {
		opt.Log = slog.New(slog.NewTextHandler(w.t.Output(), nil))
	}
	g, err := gateway.New(opt)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Run(ctx) }()
	w.store, w.g = s, g
	w.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
	synctest.Wait()
}

func (w *world) now() payment.Moment {
	return payment.Moment{Time: time.Now(), Clock: payment.ClockSynced}
}

func (w *world) close() {
	w.stop()
	w.sim.Close()
	w.pull(true)
	synctest.Wait()
}

func (w *world) do(c payment.Command) payment.Reply {
	w.t.Helper()
	return w.g.Do(context.Background(), c)
}

func (w *world) sell(id payment.ID, minor int64, edit ...func(*payment.Command)) payment.Reply {
	w.t.Helper()
	c := payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: id, Amount: vnd(minor)}}
	for _, e := range edit {
		e(&c)
	}
	return w.do(c)
}

// accepted sells and insists that it was accepted.
func (w *world) accepted(id payment.ID, minor int64, edit ...func(*payment.Command)) {
	w.t.Helper()
	if r := w.sell(id, minor, edit...); r.Status != payment.ReplyAccepted {
		w.t.Fatalf("%s: %s %s: %s", id, r.Status, r.Reason, r.Text)
	}
}

// final waits, in the bubble's time, until a payment is over.
func (w *world) final(id payment.ID, within time.Duration) payment.Record {
	w.t.Helper()
	return w.until(id, within, func(r payment.Record) bool { return r.State == payment.StateFinal })
}

func (w *world) until(id payment.ID, within time.Duration, ok func(payment.Record) bool) payment.Record {
	w.t.Helper()
	deadline := time.Now().Add(within)
	for {
		synctest.Wait()
		rec, err := w.store.Find(id)
		if err == nil && ok(rec) {
			return rec
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("%s is %s %s after %v (%v): %+v", id, rec.State, rec.Outcome.Result, within, err, w.g.Status())
		}
		time.Sleep(100 * time.Millisecond)
	}
}

func (w *world) result(id payment.ID, want payment.Result) payment.Record {
	w.t.Helper()
	rec := w.final(id, 10*time.Minute)
	if rec.Outcome.Result != want {
		w.t.Fatalf("%s is %s, want %s: %+v", id, rec.Outcome.Result, want, rec.Outcome)
	}
	return rec
}

func (w *world) events() []payment.Event {
	w.t.Helper()
	events, err := w.store.Range(1, w.store.LastSeq(), 10_000)
	if err != nil {
		w.t.Fatal(err)
	}
	return events
}

func (w *world) count(t payment.EventType, id payment.ID) int {
	n := 0
	for _, e := range w.events() {
		if e.Type == t && (id == "" || e.Subject == payment.About(id)) {
			n++
		}
	}
	return n
}

func (w *world) charges() (n int) {
	for _, e := range w.sim.Ledger() {
		if e.Charged && !e.Reversed {
			n++
		}
	}
	return n
}

func (w *world) alerted(code payment.AlertCode) bool {
	synctest.Wait()
	return slices.ContainsFunc(w.g.Status().Alerts, func(a payment.Alert) bool { return a.Code == code })
}

// bubble runs one story in virtual time and checks that nothing is left over.
func bubble(t *testing.T, script []string, story func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, script...)
		w.start()
		defer w.close()
		story(w)
	})
}
