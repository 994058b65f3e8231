package notify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/ecrvn"
	"tillgate/link/zengi"
	"tillgate/store"
)

// TestMain is a whole box as well, if the environment says so: what strangers do
// to a listener is measured from outside its process.
func TestMain(m *testing.M) {
	if dir := os.Getenv("NOTIFY_BOX"); dir != "" {
		if err := box(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// report is what the box says of itself since the report before.
type report struct {
	Sales, Approved int
	P50, P99, Max   time.Duration // from the command to the durable outcome
	Heap            uint64        // bytes in use after a collection
	Goroutines      int
	External        int // payment.external events since the start
}

// box runs store, gateway, a simulated terminal that sells all the time, and the
// listener with link/zengi. It prints its address, then a report for each line
// it reads, and ends with its input.
func box(dir string) error {
	s, err := store.Open(store.Options{Dir: dir + "/journal", Destinations: []string{"local"}})
	if err != nil {
		return err
	}
	defer s.Close()
	sim, err := ecrvn.Driver().Simulate(link.SimulatorConfig{Name: "front"})
	if err != nil {
		return err
	}
	settings := ecrvn.Driver().Settings().(*ecrvn.Settings)
	g, err := gateway.New(gateway.Options{Journal: s, Notices: true, Terminals: []gateway.Terminal{{
		Name: "front", Driver: ecrvn.Driver(), MaxAmount: payment.Money{Minor: 5_000_000, Currency: "VND"}, Test: true,
		Link: link.Config{Name: "front", Currency: "VND", Settings: settings, Dial: func(context.Context) (link.Conn, error) {
			near, far := net.Pipe()
			go func() { _ = sim.Serve(context.Background(), far) }()
			return near, nil
		}},
	}}})
	if err != nil {
		return err
	}
	l, err := listenFor(g, dir)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { _ = g.Run(ctx) })
	parts.Go(func() { _ = l.Serve(ctx) })
	till := &till{g: g, s: s}
	parts.Go(func() { till.sell(ctx) })
	fmt.Println(l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if err := json.NewEncoder(os.Stdout).Encode(till.report()); err != nil {
			return err
		}
	}
	stop()
	return nil
}

// listenFor is the listener of a box: HTTPS, one sender, the times of the
// environment.
func listenFor(g Gateway, dir string) (*Server, error) {
	settings := zengi.Driver().Notify.Settings().(*zengi.Settings)
	settings.KeyFile = dir + "/zengi.key"
	n, err := zengi.Driver().Notify.Open(link.NotifyConfig{Name: "zengi", Currency: "VND", Settings: settings})
	if err != nil {
		return nil, err
	}
	o := Options{
		Address: "127.0.0.1:0", CertFile: dir + "/cert.pem", KeyFile: dir + "/cert.key", Gateway: g,
		Senders: []Sender{{
			Name: "zengi", Path: "/ipn", Notifier: n, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Accepted: zengi.Driver().Notify.Accepted, Refused: zengi.Driver().Notify.Refused, Test: true,
		}},
	}
	if os.Getenv("NOTIFY_QUICK") != "" {
		o.HeaderTimeout, o.BodyTimeout, o.Hold, o.PerSecond = 500*time.Millisecond, time.Second, 10*time.Millisecond, 60
	}
	return Listen(o)
}

// till sells one thing after another and measures.
type till struct {
	g *gateway.Gateway
	s *store.Store

	mu       sync.Mutex
	times    []time.Duration
	approved int
}

func (k *till) sell(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		id := payment.ID("sale-" + strconv.Itoa(n))
		began := time.Now()
		changed := k.s.Changed()
		r := k.g.Do(ctx, payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: id, Amount: payment.Money{Minor: 1000, Currency: "VND"}}})
		for r.Status == payment.ReplyAccepted && ctx.Err() == nil {
			rec, err := k.s.Find(id)
			if err == nil && rec.State == payment.StateFinal {
				k.mu.Lock()
				k.times = append(k.times, time.Since(began))
				if rec.Outcome.Result == payment.Approved {
					k.approved++
				}
				k.mu.Unlock()
				break
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
			changed = k.s.Changed()
		}
		select { // a kiosk that is very busy
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func (k *till) report() report {
	k.mu.Lock()
	times, approved := k.times, k.approved
	k.times, k.approved = nil, 0
	k.mu.Unlock()
	slices.Sort(times)
	r := report{Sales: len(times), Approved: approved}
	if len(times) > 0 {
		r.P50, r.P99, r.Max = times[len(times)/2], times[len(times)*99/100], times[len(times)-1]
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Heap, r.Goroutines = m.HeapInuse, runtime.NumGoroutine()
	for from := uint64(1); ; {
		events, err := k.s.Range(from, k.s.LastSeq(), 1000)
		if err != nil || len(events) == 0 {
			return r
		}
		for _, e := range events {
			if e.Type == payment.EventExternal {
				r.External++
			}
		}
		from = events[len(events)-1].Seq + 1
	}
}

// child is a box in a process of its own.
type child struct {
	t    testing.TB
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
	dir  string

	killed bool
}

// kill is a power cut, as far as a process can have one.
func (c *child) kill() {
	c.t.Helper()
	c.killed = true
	if err := c.cmd.Process.Kill(); err != nil {
		c.t.Fatal(err)
	}
	_ = c.cmd.Wait() // it says that it was killed
}

func startBox(t testing.TB, quick bool) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startIn(t, exe, t.TempDir(), quick)
}

// startIn starts a box in a folder that may have a past.
func startIn(t testing.TB, exe, dir string, quick bool) *child {
	t.Helper()
	c := &child{t: t, dir: dir, cmd: exec.Command(exe)}
	var err error
	if err := os.WriteFile(c.dir+"/zengi.key", []byte(strings.Repeat("5c", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	writeCertificate(t, c.dir+"/cert.pem", c.dir+"/cert.key", "box")
	c.cmd.Env = append(os.Environ(), "NOTIFY_BOX="+c.dir)
	if quick {
		c.cmd.Env = append(c.cmd.Env, "NOTIFY_QUICK=1")
	}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.in.Close()
		if c.killed {
			return
		}
		if err := c.cmd.Wait(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Errorf("the box: %v", err)
		}
	})
	c.out = bufio.NewReader(out)
	line, err := c.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the box did not start: %v", err)
	}
	c.addr = strings.TrimSpace(line)
	return c
}

func (c *child) report() (r report) {
	c.t.Helper()
	if _, err := io.WriteString(c.in, "report\n"); err != nil {
		c.t.Fatal(err)
	}
	line, err := c.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		c.t.Fatalf("the box's report: %v", err)
	}
	return r
}

// resident is the process's own memory that is in use, in bytes: without the
// pages of the journal, which grow with what is sold.
func (c *child) resident() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.cmd.Process.Pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if text, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			kib, _ := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}
