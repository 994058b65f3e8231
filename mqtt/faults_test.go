package mqtt_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// sequences are the numbers of the events that a controller has heard, in order
// of arrival.
func (k *controller) sequences() []int {
	k.mu.Lock()
	defer k.mu.Unlock()
	var seqs []int
	for _, p := range k.by["event/payment.final"] {
		var ce mqtt.CloudEvent
		_ = json.Unmarshal([]byte(p), &ce)
		n, _ := strconv.Atoi(ce.Sequence)
		seqs = append(seqs, n)
	}
	return seqs
}

// gapFree says whether from..to are all there and each came first in order.
func gapFree(seqs []int, from, to int) error {
	next := from
	for _, n := range seqs {
		if n > next {
			return fmt.Errorf("event %d came before %d", n, next)
		}
		if n == next {
			next++
		}
	}
	if next != to+1 {
		return fmt.Errorf("event %d is missing, want up to %d", next, to)
	}
	return nil
}

// Ten thousand events that waited for the broker arrive in order, once.
func TestDrainInOrder(t *testing.T) {
	const n = 10_000
	onBoth(t, func(t *testing.T, s *site) {
		h := newHouse()
		for i := range n {
			h.emit(payment.EventFinal, i)
		}
		k := control(t, s, "event/payment.final")
		run(t, options(s, h))
		until(t, "cursor", func() bool { return h.at("local") == n+1 })
		until(t, "events", func() bool { return len(k.all("event/payment.final")) >= n })
		seqs := k.sequences()
		if err := gapFree(seqs, 2, n+1); err != nil {
			t.Error(err)
		}
		// The embedded broker gives a subscriber again what it is slow to acknowledge.
		if s.kioskPassword == "" && len(seqs) != n {
			t.Errorf("%d deliveries, want %d on an unbroken line", len(seqs), n)
		}
		if h.backing {
			t.Error("the cursor went backwards")
		}
	})
}

// The broker is killed with -9 again and again while events are made: no gap
// in what the outbox calls delivered, retained topics are there again.
func TestBrokerKilled(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		h := newHouse()
		e, _ := run(t, options(s, h))
		connected(t, e)
		const kills = 5
		sessions := map[string]bool{}
		for i := range kills {
			session := e.State().Session
			sessions[session] = true
			for range 50 {
				h.emit(payment.EventFinal, i)
			}
			s.kill()
			until(t, "a new session", func() bool { st := e.State(); return st.Connected && st.Session != session })
		}
		if len(sessions) != kills {
			t.Errorf("%d different sessions, want %d", len(sessions), kills)
		}
		k := control(t, s)
		for _, topic := range []string{"status", "info", "health", "sellable", "outbox", "terminal/pos1/status", "terminal/pos1/state"} {
			until(t, "retained "+topic, func() bool { return k.last(topic) != "" })
		}
		until(t, "cursor", func() bool { return h.at("local") == 1+50*kills })
		if h.backing {
			t.Error("the cursor went backwards")
		}
	})
}

// proxy forwards packets between an edge and a broker and cuts the line after
// a number of them.
type proxy struct {
	l      net.Listener
	target string
	next   atomic.Int64 // packets that the next connection gets, both ways together; 0: all
	cuts   atomic.Int64
	mu     sync.Mutex
	now    func() // cuts the present connection
	wg     sync.WaitGroup
}

// cutNext ends the present connection and the next one at its n-th packet.
func (p *proxy) cutNext(n int) {
	p.next.Store(int64(n))
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now != nil {
		p.now()
	}
}

func newProxy(t testing.TB, target string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: strings.TrimPrefix(target, "tcp://")}
	p.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); p.wg.Wait() })
	return p
}

func (p *proxy) serve(c net.Conn) {
	b, err := net.Dial("tcp", p.target)
	if err != nil {
		c.Close()
		return
	}
	both := func() { c.Close(); b.Close() }
	p.mu.Lock()
	p.now = both
	p.mu.Unlock()
	var left atomic.Int64
	left.Store(p.next.Swap(0))
	p.wg.Go(func() { defer both(); p.pump(b, c, &left) })
	p.pump(c, b, &left)
	both()
}

// pump forwards whole packets, and half of the one that is cut.
func (p *proxy) pump(dst io.Writer, src io.Reader, left *atomic.Int64) {
	for {
		packet, err := readRaw(src)
		if err != nil {
			return
		}
		if left.Add(-1) == 0 {
			p.cuts.Add(1)
			_, _ = dst.Write(packet[:len(packet)/2])
			return
		}
		if _, err := dst.Write(packet); err != nil {
			return
		}
	}
}

// readRaw reads one MQTT packet as bytes.
func readRaw(r io.Reader) ([]byte, error) {
	head := make([]byte, 1, 5)
	if _, err := io.ReadFull(r, head); err != nil {
		return nil, err
	}
	length := 0
	for shift := 0; shift <= 21; shift += 7 {
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		head = append(head, b[0])
		length |= int(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			break
		}
	}
	packet := append(head, make([]byte, length)...)
	_, err := io.ReadFull(r, packet[len(head):])
	return packet, err
}

// R9: the line is cut at every packet of a session, one after another. Set
// TILLGATE_CUTS for more rounds.
func TestCutAtEveryPacket(t *testing.T) {
	rounds, _ := strconv.Atoi(os.Getenv("TILLGATE_CUTS"))
	if rounds == 0 {
		rounds = 60
	}
	onBoth(t, func(t *testing.T, s *site) {
		p := newProxy(t, s.url)
		h := newHouse()
		o := options(s, h)
		o.URL = "tcp://" + p.l.Addr().String()
		o.AckTimeout, o.BackoffMax = 2*time.Second, 10*time.Millisecond
		e, _ := run(t, o)
		connected(t, e)
		k := control(t, s, "event/payment.final")
		last := uint64(1)
		for n := 1; n <= rounds; n++ {
			// The session in use ends, the next one is cut at its n-th packet,
			// and the one after that must bring everything.
			before := p.cuts.Load()
			for range 8 {
				h.emit(payment.EventFinal, n)
				last++
			}
			p.cutNext(1 + n%53)
			until(t, "the cut", func() bool {
				h.change(func() { h.status.Terminals[0].Identity = fmt.Sprint(time.Now().UnixNano()) })
				return p.cuts.Load() > before
			})
			until(t, fmt.Sprintf("everything after cut %d", n), func() bool {
				return e.State().Connected && h.at("local") == last
			})
		}
		until(t, "the last event", func() bool { return gapFree(k.sequences(), 2, int(last)) == nil })
		if h.backing {
			t.Error("the cursor went backwards")
		}
		t.Logf("%d cuts, %d events, %d deliveries", p.cuts.Load(), last-1, len(k.sequences()))
	})
}

// Mosquitto acknowledges a publish that its ACL forbids. The cursor must not
// move, and the error must say what is wrong.
func TestForbiddenEventsAreNotDelivered(t *testing.T) {
	root := "tillgate/v1/" + box + "/"
	s := debians(t, "user gateway\ntopic read "+root+"#\ntopic write "+root+"status\ntopic write "+root+"info\ntopic write "+root+"reply/#\n")
	h := newHouse()
	h.emit(payment.EventFinal, 1)
	o := options(s, h)
	o.AckTimeout = 300 * time.Millisecond
	e, _ := run(t, o)
	until(t, "three attempts, and a word of the ACL", func() bool {
		st := e.State() // on a slow machine an attempt can also end before the broker has answered
		return st.Failures >= 3 && strings.Contains(st.Error, "ACL")
	})
	if st := e.State(); st.Connected {
		t.Errorf("state is %+v", st)
	}
	if at := h.at("local"); at != 0 {
		t.Errorf("cursor is at %d, want 0: no event can have arrived", at)
	}
}

// A subscription that is not granted ends the connection, on both brokers.
func TestRefusedSubscription(t *testing.T) {
	t.Run("mosquitto", func(t *testing.T) {
		// Mosquitto grants and then withholds; what does not come back is found by the proof.
		root := "tillgate/v1/" + box + "/"
		s := debians(t, "user gateway\ntopic write "+root+"#\n")
		refusedAt(t, s, "the broker")
	})
	t.Run("embedded", func(t *testing.T) {
		s := embedded(t)
		s.user, s.password = s.kiosk, s.kioskPassword // may subscribe; may not publish events
		refusedAt(t, s, "")
	})
	t.Run("SUBACK 0x80", func(t *testing.T) {
		s := scripted(t, script{suback: 0x80})
		refusedAt(t, s, "refuses the subscription")
	})
}

func refusedAt(t *testing.T, s *site, text string) {
	t.Helper()
	h := newHouse()
	o := options(s, h)
	o.AckTimeout = 300 * time.Millisecond
	e, _ := run(t, o)
	until(t, "two attempts, and an error with "+text, func() bool {
		st := e.State()
		return st.Failures >= 2 && strings.Contains(st.Error, text)
	})
	if st := e.State(); st.Connected {
		t.Errorf("state is %+v", st)
	}
	if at := h.at("local"); at != 0 {
		t.Errorf("cursor is at %d, want 0", at)
	}
}
