package notify

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/zengi"
)

// hostile are the ways in which a request is no notification; each is sent as
// often as the next.
var hostile = []string{"bad-length", "bad-text", "bad-padding", "wrong-sign", "wrong-key", "half", "huge", "huge+chunked", "approve+path:/other", "slow header", "slow body", "noise"}

// TestHostileRequests attacks a box that sells, beside another one that sells as
// much and is left alone: what is different is what the attack costs. HOSTILE is
// how many requests, with the times of a real box; without it a few with short
// times are enough to see whether anything is kept.
func TestHostileRequests(t *testing.T) {
	n, quick := 360, true
	if text := os.Getenv("HOSTILE"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatalf("HOSTILE=%s: %v", text, err)
		}
		quick = false
	}
	c, alone := startBox(t, quick), startBox(t, quick)
	a := attack{t: t, c: c, sources: 64}
	a.run(5*len(hostile), alone) // everything has been used once: pools, certificates, pages of the program
	c.report()
	alone.report()
	began := time.Now()
	peak, peakAlone := a.run(n, alone)
	took := time.Since(began)
	under, left := c.report(), alone.report()
	t.Logf("%d hostile requests in %v; answers: %v; genuine meanwhile: %d taken", n, took.Round(time.Millisecond), a.answers(), a.genuine.Load())
	t.Logf("attacked:   memory %.1f MiB at most, heap afterwards %.2f MiB, %d goroutines; %d sales, p50 %v, p99 %v, max %v",
		mib(peak), mib(int64(under.Heap)), under.Goroutines, under.Sales, under.P50, under.P99, under.Max)
	t.Logf("left alone: memory %.1f MiB at most, heap afterwards %.2f MiB, %d goroutines; %d sales, p50 %v, p99 %v, max %v",
		mib(peakAlone), mib(int64(left.Heap)), left.Goroutines, left.Sales, left.P50, left.P99, left.Max)
	if grown := peak - peakAlone; grown > 24<<20 {
		t.Errorf("the attack took %.1f MiB", mib(grown))
	}
	if under.Heap > left.Heap+4<<20 {
		t.Errorf("%.1f MiB are kept", mib(int64(under.Heap)-int64(left.Heap)))
	}
	if under.Goroutines > left.Goroutines+2*DefaultConnections {
		t.Errorf("goroutines: %d, and %d in the box that was left alone", under.Goroutines, left.Goroutines)
	}
	if under.Sales == 0 || under.Approved != under.Sales {
		t.Errorf("%d of %d sales were approved", under.Approved, under.Sales)
	}
	if a.taken.Load() != 0 {
		t.Errorf("%d hostile requests were taken", a.taken.Load())
	}
	if got := a.genuine.Load(); got == 0 || int(got) != c.report().External {
		t.Errorf("%d genuine notifications were answered 200, the journal announces %d", got, c.report().External)
	}
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

// attack sends hostile requests from many addresses of loopback.
type attack struct {
	t       *testing.T
	c       *child
	sources int

	mu      sync.Mutex
	counts  map[string]int
	taken   atomic.Int64
	genuine atomic.Int64
}

func (a *attack) answers() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, k := range slices.Sorted(maps.Keys(a.counts)) {
		all = append(all, fmt.Sprintf("%d %s", a.counts[k], k))
	}
	return strings.Join(all, ", ")
}

// run sends n requests and returns the most memory that the box, and the one
// that is left alone, had in use. Someone genuine posts all the time.
func (a *attack) run(n int, alone *child) (peak, peakAlone int64) {
	a.t.Helper()
	a.mu.Lock()
	a.counts = map[string]int{}
	a.mu.Unlock()
	stop := make(chan struct{})
	var others, workers sync.WaitGroup
	others.Go(func() {
		for {
			peak, peakAlone = max(peak, a.c.resident()), max(peakAlone, alone.resident())
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	others.Go(func() { a.honest(stop) })
	jobs := make(chan int)
	for w := range a.sources {
		workers.Go(func() {
			client := a.client(byte(w + 10))
			sims := map[string]link.NotifySimulator{}
			for i := range jobs {
				a.one(client, byte(w+10), sims, hostile[i%len(hostile)])
			}
		})
	}
	for i := range n {
		jobs <- i
	}
	close(jobs)
	workers.Wait()
	close(stop)
	others.Wait()
	return peak, peakAlone
}

func (a *attack) dialer(source byte) net.Dialer {
	return net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, source)}, Timeout: time.Minute}
}

func (a *attack) client(source byte) *http.Client {
	d := a.dialer(source)
	return &http.Client{Timeout: 2 * time.Minute, Transport: &http.Transport{DisableKeepAlives: true, DialContext: d.DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
}

func (a *attack) service(script string) link.NotifySimulator {
	s := zengi.Driver().Notify.Settings().(*zengi.Settings)
	s.KeyFile = a.c.dir + "/zengi.key"
	sim, err := zengi.Driver().Notify.Simulate(link.NotifySimulatorConfig{Settings: s, Script: []string{script}})
	if err != nil {
		panic(err) // the list above is wrong
	}
	return sim
}

var attackStory = link.NotifyStory{Operation: payment.Purchase, Name: "nobody", Amount: payment.Money{Minor: 1, Currency: "VND"}}

func (a *attack) one(client *http.Client, source byte, sims map[string]link.NotifySimulator, how string) {
	answer := ""
	switch how {
	case "slow header":
		answer = a.slowly(source, "POST /ipn HTTP/1.1\r\nHost: box\r\nX-Slow: ")
	case "slow body":
		answer = a.slowly(source, "POST /ipn HTTP/1.1\r\nHost: box\r\nContent-Length: 100000\r\n\r\n{\"data\":\"")
	case "noise":
		answer = a.noise(source)
	default:
		if sims[how] == nil {
			sims[how] = a.service(how)
		}
		posts, err := sims[how].Requests(attackStory)
		if err != nil {
			panic(err)
		}
		status, _ := a.send(client, posts[0])
		answer = strconv.Itoa(status)
		if status == http.StatusOK {
			a.taken.Add(1)
		}
	}
	a.mu.Lock()
	a.counts[how+" "+answer]++
	a.mu.Unlock()
}

// send posts one request; status 0 is a connection that was closed.
func (a *attack) send(client *http.Client, p link.NotifyPost) (status int, whole string) {
	path := p.Path
	if path == "" {
		path = "/ipn"
	}
	r, err := http.NewRequest(http.MethodPost, "https://"+a.c.addr+path, p.Body)
	if err != nil {
		panic(err)
	}
	maps.Copy(r.Header, p.Header)
	r.ContentLength = p.Size
	answer, err := client.Do(r)
	if err != nil {
		return 0, ""
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(answer.Body, 1<<16))
	answer.Header.Del("Date")
	var head bytes.Buffer
	_ = answer.Header.Write(&head)
	return answer.StatusCode, head.String() + string(b)
}

// slowly begins a request and goes on with a byte now and then until it is cut
// off.
func (a *attack) slowly(source byte, begin string) string {
	d := a.dialer(source)
	c, err := tls.DialWithDialer(&d, "tcp", a.c.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return "not let in"
	}
	defer c.Close()
	if _, err := io.WriteString(c, begin); err != nil {
		return "cut off"
	}
	until := time.Now().Add(time.Minute)
	for time.Now().Before(until) {
		if _, err := c.Write([]byte("a")); err != nil {
			return "cut off"
		}
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := c.Read(make([]byte, 512)); err != nil {
			if ne, ok := err.(net.Error); !ok || !ne.Timeout() {
				return "cut off"
			}
		}
	}
	a.t.Error("a slow connection was served for a minute")
	return "served"
}

// noise is no TLS.
func (a *attack) noise(source byte) string {
	d := a.dialer(source)
	c, err := d.Dial("tcp", a.c.addr)
	if err != nil {
		return "not let in"
	}
	defer c.Close()
	_, _ = c.Write(bytes.Repeat([]byte{0x16, 0x03, 0x01, 0x40}, 64))
	c.SetReadDeadline(time.Now().Add(time.Minute))
	if _, err := io.Copy(io.Discard, c); err != nil {
		return "cut off"
	}
	return "closed"
}

// honest posts genuine notifications until stop, each one until it is taken.
func (a *attack) honest(stop <-chan struct{}) {
	client, sim := a.client(9), a.service("approve")
	for {
		posts, err := sim.Requests(attackStory)
		if err != nil {
			panic(err)
		}
		body, err := io.ReadAll(posts[0].Body)
		if err != nil {
			panic(err)
		}
		for status := 0; status != http.StatusOK; {
			p := posts[0]
			p.Body = bytes.NewReader(body)
			status, _ = a.send(client, p)
			if status != http.StatusOK && status != 0 && status != http.StatusServiceUnavailable {
				a.t.Errorf("a genuine notification is answered %d", status)
				return
			}
		}
		a.genuine.Add(1)
		select {
		case <-stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// What was answered 200 is there after a kill, and is not told a second time.
func TestKilledAfterTheAnswer(t *testing.T) {
	c := startBox(t, false)
	a := attack{t: t, c: c}
	posts, err := a.service("approve").Requests(attackStory)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(posts[0].Body)
	if err != nil {
		t.Fatal(err)
	}
	post := func() int {
		p := posts[0]
		p.Body = bytes.NewReader(body)
		status, _ := a.send(a.client(8), p)
		return status
	}
	if status := post(); status != http.StatusOK {
		t.Fatalf("answered %d", status)
	}
	c.kill()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	a.c = startIn(t, exe, c.dir, false)
	if status := post(); status != http.StatusOK {
		t.Errorf("told again: answered %d", status)
	}
	if n := a.c.report().External; n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

// Everything that was read and is not genuine gets the same bytes: whoever asks
// learns neither that the padding was wrong, nor that it was right.
func TestRefusalsAreTheSameBytes(t *testing.T) {
	c := startBox(t, false)
	a := attack{t: t, c: c}
	client := a.client(7)
	want := ""
	for _, how := range []string{"bad-padding", "wrong-sign", "unsigned", "wrong-key", "bad-length", "bad-text", "plain", "half", "rubbish", "type"} {
		posts, err := a.service(how).Requests(attackStory)
		if err != nil {
			t.Fatal(err)
		}
		status, whole := a.send(client, posts[0])
		if want == "" {
			want = whole
		}
		if status != http.StatusBadRequest || whole != want {
			t.Errorf("%s: %d %q, want 400 %q", how, status, whole, want)
		}
	}
}

// BenchmarkRefusal compares how long padding and signature errors take: in
// Decode alone, and through the listener, which answers both after the same time.
func BenchmarkRefusal(b *testing.B) {
	dir := b.TempDir()
	key := dir + "/key"
	if err := os.WriteFile(key, []byte(strings.Repeat("5c", 32)), 0o600); err != nil {
		b.Fatal(err)
	}
	s := zengi.Driver().Notify.Settings().(*zengi.Settings)
	// The worst case: signed is what is inside, so that the padding is judged first.
	s.KeyFile, s.Sign, s.SignIn, s.SignName = key, "plaintext", "field", "signature"
	n, err := zengi.Driver().Notify.Open(link.NotifyConfig{Settings: s})
	if err != nil {
		b.Fatal(err)
	}
	o := Options{Address: "127.0.0.1:0", Gateway: &ledger{}, Senders: []Sender{{
		Name: "zengi", Path: "/ipn", Notifier: n, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Accepted: zengi.Driver().Notify.Accepted, Refused: zengi.Driver().Notify.Refused,
	}}, Hold: 20 * time.Millisecond}
	l, err := Listen(o)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- l.Serve(ctx) }()
	defer func() { cancel(); <-ended }()
	client := &http.Client{}
	requests := map[string][]byte{}
	for _, how := range []string{"bad-padding", "wrong-sign"} {
		sim, err := zengi.Driver().Notify.Simulate(link.NotifySimulatorConfig{Settings: s, Script: []string{how}})
		if err != nil {
			b.Fatal(err)
		}
		posts, err := sim.Requests(attackStory)
		if err != nil {
			b.Fatal(err)
		}
		if requests[how], err = io.ReadAll(posts[0].Body); err != nil {
			b.Fatal(err)
		}
	}
	for _, road := range []struct {
		name string
		ask  func(body []byte)
	}{
		{"decode", func(body []byte) { _, _ = n.Decode(link.NotifyRequest{Body: body}) }},
		{"answer", func(body []byte) {
			a, err := client.Post("http://"+l.Addr().String()+"/ipn", "application/json", bytes.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, a.Body)
			a.Body.Close()
		}},
	} {
		b.Run(road.name, func(b *testing.B) {
			times := map[string][]time.Duration{}
			for i := 0; b.Loop(); i++ { // by turns, so that both meet the same machine
				for how, body := range requests {
					began := time.Now()
					road.ask(body)
					times[how] = append(times[how], time.Since(began))
				}
			}
			for how, each := range times {
				slices.Sort(each)
				for name, at := range map[string]int{"p10": 10, "p50": 50, "p90": 90, "p99": 99} {
					b.ReportMetric(float64(each[len(each)*at/100].Nanoseconds())/1000, how+"-"+name+"-us")
				}
			}
		})
	}
}
