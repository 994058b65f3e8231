package crashtest

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/store"
)

// box is a kiosk whose process can be cut at a durable write, and whose line
// can be cut at an operation. The terminal and its bank outlive both.
type box struct {
	t   *testing.T
	on  subject
	dir string
	sim link.Simulator
	mut mutation

	before int // entries in the bank's ledger when the story begins

	skew time.Duration // of the clock of the present process

	mu        sync.Mutex
	countdown int // durable writes until the process is cut; 0: never
	writes    int // durable writes so far, counted while armed
	sickAt    int // the durable write from which on the disk fails; 0: never
	sickFor   time.Duration
	sickUntil time.Time
	armed     bool
	dead      bool // the process was cut: nothing leaves it any more
	line      *lineBreak
	cables    []net.Conn

	store *store.Store
	g     *gateway.Gateway
	stop  func()

	granted map[payment.ID]int
}

var (
	errCut  = errors.New("the process was cut here")
	errDisk = errors.New("the disk is broken")
)

func newBox(t *testing.T, on subject, script []string, mut mutation) *box {
	sim, err := on.driver.Simulate(link.SimulatorConfig{Script: append([]string{"approve"}, script...), Currency: on.currency, Pace: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	return &box{t: t, on: on, dir: t.TempDir(), sim: sim, mut: mut, granted: map[payment.ID]int{}}
}

// hook cuts the process at a durable write: what is in flight on the line is
// lost, and nothing is sent or written any more. Or only the disk fails, and
// the process has to live with it.
func (b *box) hook(string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.armed {
		b.writes++
		if b.writes == b.sickAt {
			b.sickUntil = time.Now().Add(b.sickFor)
			return errDisk
		}
		if b.countdown > 0 {
			if b.countdown--; b.countdown == 0 {
				b.kill()
			}
		}
	}
	if b.dead {
		return errCut
	}
	if time.Now().Before(b.sickUntil) {
		return errDisk
	}
	return nil
}

func (b *box) unplug() {
	for _, c := range b.cables {
		c.Close()
	}
	b.cables = nil
}

// kill is what -9 does: nothing leaves the process any more. The journal keeps
// what was durable.
func (b *box) kill() {
	b.dead = true
	b.unplug()
}

// later breaks something d from now.
func (b *box) later(d time.Duration, f func()) {
	time.AfterFunc(d, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		f()
	})
}

func (b *box) dial(context.Context) (link.Conn, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dead {
		return nil, errCut
	}
	near, far := net.Pipe()
	b.cables = append(b.cables, near)
	go func() {
		_ = b.sim.Serve(context.Background(), far)
		far.Close()
	}()
	if b.line != nil {
		return b.line.over(near), nil
	}
	return near, nil
}

func (b *box) now() payment.Moment {
	return payment.Moment{Time: time.Now().Add(b.skew), Clock: payment.ClockSynced}
}

// start starts the process.
func (b *box) start() {
	s, err := store.Open(store.Options{Dir: b.dir, SegmentSize: 256 << 10, Destinations: []string{"local"}, Now: b.now, Hook: b.hook})
	if err != nil {
		b.t.Fatal(err)
	}
	driver := b.on.driver
	if b.mut.driver != nil {
		b.mut.driver(&driver)
	}
	if b.mut.terminal != nil {
		open := driver.Open
		driver.Open = func(ctx context.Context, c link.Config) (link.Terminal, error) {
			t, err := open(ctx, c)
			if err != nil {
				return nil, err
			}
			return whole(b.mut.terminal(t), t), nil
		}
	}
	var journal gateway.Journal = s
	if b.mut.journal != nil {
		journal = b.mut.journal(s)
	}
	g, err := gateway.New(gateway.Options{Journal: journal, Now: b.now, IDWindow: 100 * 365 * 24 * time.Hour, Terminals: []gateway.Terminal{{
		Name: "t1", Driver: driver, MaxAmount: b.on.money(1e6), Pace: 500 * time.Millisecond,
		Link: link.Config{Address: b.on.address, Currency: b.on.currency, Longest: b.on.lasts(), Dial: b.dial, Settings: b.on.settings()},
	}}})
	if err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Run(ctx) }()
	b.store, b.g = s, g
	b.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		_ = s.Close() // a process that was cut cannot close well
	})
}

// restart is what a watchdog does after the process was cut.
func (b *box) restart() {
	b.stop()
	b.mu.Lock()
	b.dead, b.countdown = false, 0
	b.mu.Unlock()
	b.start()
}

func (b *box) isDead() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.dead
}

func (b *box) end() {
	b.stop()
	b.sim.Close()
	b.mu.Lock()
	b.dead = true
	b.unplug()
	b.mu.Unlock()
	synctest.Wait()
}

// do sends a command as a controller would: again, with the same id, until it
// gets an answer that stands. An answer of a process that was cut meanwhile
// never arrived.
func (b *box) do(c payment.Command) payment.Reply {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		reply := b.g.Do(context.Background(), c)
		synctest.Wait()
		if b.isDead() {
			b.restart()
			continue
		}
		switch reply.Reason {
		case payment.ReasonBusy, payment.ReasonOffline, payment.ReasonUnsettled, payment.ReasonJournal, payment.ReasonBaseline, payment.ReasonAwaiting:
			time.Sleep(time.Second)
			continue
		}
		if reply.Status == payment.ReplyGranted {
			b.granted[c.ID]++
		}
		return reply
	}
	return payment.Reply{Status: payment.ReplyRefused, Reason: "stuck"}
}

// patience is the virtual time in which everything has to be over.
const patience = 20 * time.Minute

// wait follows a payment until ok says so, restarting the process if it is cut
// meanwhile.
func (b *box) wait(id payment.ID, ok func(payment.Record) bool) bool {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		synctest.Wait()
		if b.isDead() {
			b.restart()
			continue
		}
		if b.store.Healthy() != nil {
			continue // what it shows may not be on the disk
		}
		if rec, err := b.store.Find(id); err == nil && ok(rec) {
			return true
		}
	}
	return false
}

func isFinal(r payment.Record) bool { return r.State == payment.StateFinal }
