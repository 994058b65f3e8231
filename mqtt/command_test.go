package mqtt

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/eclipse/paho.mqtt.golang/packets"

	"tillgate/internal/payment"
)

// Whatever is decoded is within its bounds and never panics; a refusal is short
// and shows no value of the command.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{
		``, `{}`, `null`, `[]`, `{"id":"p-1"}`, `{"id":"p-1","amount":{"minor":1,"currency":"VND"},"session":"s","ttl_ms":5,"client":"c","request_id":"r"}`,
		`{"original":{"payment":"p-0","rrn":"000000000001"},"id":"x"}`, `{"from":1,"to":18446744073709551615}`, `{"force":true,"by":"me","reason":"why","result":"failed"}`,
		`{"a":{"b":{"c":{"d":{"e":1}}}}}`, `{"id":"` + "\xff" + `"}`, `{"minor":1e400}`, `{"id":1}`, `{"timeout_ms":1.5}`, `{"amount":null}`,
	} {
		f.Add("purchase", []byte(s))
		f.Add("resolve", []byte(s))
	}
	f.Fuzz(func(t *testing.T, verb string, payload []byte) {
		e, err := decode(verb, payload)
		if levelProblem(e.Client) != "" || !echoable(e.RequestID) {
			t.Fatalf("reply goes to %q with %q", e.Client, e.RequestID)
		}
		if err != nil {
			if payment.ReasonOf(err) == "" || len(err.Error()) > 4096 {
				t.Fatalf("refusal %q", err)
			}
			return
		}
		if string(e.Verb) != verb || e.TTL <= 0 || len(payload) > MaxCommand {
			t.Fatalf("accepted %+v", e)
		}
		if op, ok := e.Verb.Operation(); ok && e.Operation != op {
			t.Fatalf("operation %s of verb %s", e.Operation, e.Verb)
		}
	})
}

// What the guard lets through, paho's codec reads without panic and with a bound.
func FuzzGuard(f *testing.F) {
	f.Add([]byte{0x20, 2, 0, 0, 0x90, 3, 0, 1, 1, 0x40, 2, 0, 7, 0x30, 5, 0, 1, 'a', 'h', 'i', 0xd0, 0})
	f.Add([]byte{0x20, 2, 0, 0, 0x32, 0xff, 0xff, 0xff, 0x7f, 0, 1, 'a', 0, 1})
	f.Fuzz(func(t *testing.T, in []byte) {
		g := &guard{r: bufio.NewReader(bytes.NewReader(in)), filters: 1, failed: func(error) {}}
		for range len(in) + 1 {
			p, err := packets.ReadPacket(g)
			if err != nil {
				return
			}
			switch p := p.(type) {
			case *packets.ConnackPacket, *packets.PubackPacket, *packets.PingrespPacket:
			case *packets.SubackPacket:
				if len(p.ReturnCodes) != 1 {
					t.Fatalf("SUBACK with %d codes", len(p.ReturnCodes))
				}
			case *packets.PublishPacket:
				if len(p.Payload) > maxPacket || p.Qos > 1 {
					t.Fatalf("PUBLISH of %d bytes, QoS %d", len(p.Payload), p.Qos)
				}
			default:
				t.Fatalf("let through %T", p)
			}
		}
		t.Fatal("more packets than bytes")
	})
}

// A packet that is cut keeps its place in the stream: the next one is whole.
func TestGuardCutsAndGoesOn(t *testing.T) {
	long := append([]byte{0, 1, 'a'}, make([]byte, 3*maxPacket)...)
	head := []byte{0x30}
	for n := len(long); ; {
		b := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			head = append(head, b)
			break
		}
		head = append(head, b|0x80)
	}
	in := append(append(append([]byte{0x20, 2, 0, 0}, head...), long...), 0x30, 4, 0, 1, 'b', '!')
	g := &guard{r: bufio.NewReader(bytes.NewReader(in)), failed: func(error) {}}
	var got []string
	for range 3 {
		p, err := packets.ReadPacket(g)
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := p.(*packets.PublishPacket); ok {
			got = append(got, p.TopicName)
			if len(p.Payload) > maxPacket {
				t.Errorf("payload of %d bytes", len(p.Payload))
			}
		}
	}
	if strings.Join(got, " ") != "a b" {
		t.Errorf("topics are %v", got)
	}
	if _, err := packets.ReadPacket(g); !errors.Is(err, io.EOF) {
		t.Errorf("end is %v", err)
	}
}

func TestLanesKeepOrderAndBound(t *testing.T) {
	l := newLanes(2, 5)
	gate := make(chan struct{})
	out := make(chan string, 10)
	for _, j := range []string{"a1", "b1"} {
		if !l.submit(j[:1], func() { <-gate; out <- j }) {
			t.Fatal("no room at the start")
		}
	}
	taken := 0
	for range 10 {
		if l.submit("a", func() { out <- "a" }) {
			taken++
		}
	}
	if taken > 5 || taken < 3 {
		t.Errorf("took %d jobs with room for 5, two of them perhaps started", taken)
	}
	close(gate)
	l.finish()
	if l.submit("a", func() {}) {
		t.Error("took a job after finish")
	}
	close(out)
	n, first := 0, ""
	for s := range out {
		if n++; first == "" && s[0] == 'a' {
			first = s
		}
	}
	if first != "a1" || n != taken+2 {
		t.Errorf("%d jobs done, first of a is %s", n, first)
	}
}

func TestLevel(t *testing.T) {
	for in, want := range map[string]string{"pos1": "pos1", "hall 1": "hall%201", "a/b+#": "a%2Fb%2B%23", "payment.final": "payment.final", "é": "%C3%A9"} {
		if got := level(in); got != want {
			t.Errorf("level(%q) is %s, want %s", in, got, want)
		}
	}
}
