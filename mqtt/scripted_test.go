package mqtt_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// script says how a broker misbehaves that no real one can be made to imitate.
// It writes its packets itself, so that it shares no codec with paho.
type script struct {
	suback    byte      // code for every filter
	noPuback  bool      // after the proof
	deafAfter int       // ends the connection after so many publishes; 0: never
	extra     []byte    // sent after SUBACK
	answer    byte      // type of packet instead of PUBACK after the proof, 0: PUBACK
	acked     *sync.Map // by sequence: the events that got their PUBACK; may be nil
}

// scripted serves a script on loopback.
func scripted(t testing.TB, sc script) *site {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { defer c.Close(); sc.serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return &site{url: "tcp://" + l.Addr().String()}
}

func (sc script) serve(c net.Conn) {
	published := 0
	for {
		p, err := readRaw(c)
		if err != nil {
			return
		}
		body := p[2:]
		if p[1]&0x80 != 0 {
			body = p[3:]
		}
		switch p[0] >> 4 {
		case 1: // CONNECT
			_, _ = c.Write([]byte{0x20, 2, 0, 0})
		case 8: // SUBSCRIBE
			ack := []byte{0x90, 2, body[0], body[1]}
			for rest := body[2:]; len(rest) > 2; {
				n := int(binary.BigEndian.Uint16(rest))
				rest = rest[3+n:]
				ack = append(ack, sc.suback)
				ack[1]++
			}
			_, _ = c.Write(append(ack, sc.extra...))
		case 12:
			_, _ = c.Write([]byte{0xd0, 0})
		case 3: // PUBLISH
			if published++; sc.deafAfter > 0 && published > sc.deafAfter {
				return
			}
			qos := p[0] >> 1 & 3
			n := int(binary.BigEndian.Uint16(body))
			topic, payload := string(body[2:2+n]), body[2+n:]
			if qos == 0 {
				continue
			}
			id := payload[:2]
			proof := strings.HasSuffix(topic, "gateway.started") || strings.HasSuffix(topic, "gateway.probe")
			if proof { // comes back at QoS 0
				_, _ = c.Write(raw(0x30, append(append(binary.BigEndian.AppendUint16(nil, uint16(n)), topic...), payload[2:]...)))
			}
			isEvent := strings.Contains(topic, "/event/") && !proof
			switch {
			case isEvent && sc.noPuback:
			case isEvent && sc.answer != 0:
				_, _ = c.Write([]byte{sc.answer, 2, id[0], id[1]})
			default:
				if sc.acked != nil && isEvent {
					var ce mqtt.CloudEvent
					_ = json.Unmarshal(payload[2:], &ce)
					sc.acked.Store(ce.Sequence, true)
				}
				_, _ = c.Write([]byte{0x40, 2, id[0], id[1]})
			}
		}
	}
}

func raw(typ byte, body []byte) []byte {
	p := []byte{typ}
	for n := len(body); ; {
		b := byte(n & 0x7f)
		if n >>= 7; n == 0 {
			return append(append(p, b), body...)
		}
		p = append(p, b|0x80)
	}
}

// Events that are never acknowledged keep the cursor where it is, whatever
// other packet comes instead of the PUBACK.
func TestOnlyPubackMovesTheCursor(t *testing.T) {
	for name, sc := range map[string]script{
		"no answer":            {noPuback: true},
		"cut":                  {deafAfter: 12},
		"PUBCOMP":              {answer: 0x70},
		"UNSUBACK":             {answer: 0xb0},
		"second SUBACK":        {answer: 0x90},
		"PUBREC":               {answer: 0x50},
		"PUBACK of a stranger": {noPuback: true, extra: []byte{0x40, 2, 0xff, 0xfe}},
	} {
		t.Run(name, func(t *testing.T) {
			sc.acked = &sync.Map{}
			s := scripted(t, sc)
			h := newHouse()
			h.emit(payment.EventFinal, 1)
			h.emit(payment.EventFinal, 2)
			if sc.deafAfter > 0 {
				for range 50 {
					h.emit(payment.EventFinal, 3)
				}
			}
			o := options(s, h)
			o.AckTimeout = 200 * time.Millisecond
			e, _ := run(t, o)
			until(t, "attempts", func() bool { return e.State().Failures >= 1 })
			if sc.deafAfter > 0 {
				until(t, "all, some at each connection", func() bool { return h.at("local") == 53 })
				for n := 2; n <= 53; n++ {
					if _, ok := sc.acked.Load(fmt.Sprintf("%016d", n)); !ok {
						t.Errorf("event %d is taken for delivered and was never acknowledged", n)
					}
				}
				return
			}
			if at := h.at("local"); at > 1 {
				t.Errorf("cursor is at %d, want at most 1: only gateway.started was acknowledged", at)
			}
		})
	}
}

// Packets that make paho panic or allocate without measure end the connection
// and nothing else.
func TestHostileBroker(t *testing.T) {
	for name, extra := range map[string][]byte{
		"SUBACK again, with too many codes": append([]byte{0x90, 40, 0, 1}, make([]byte, 38)...),
		"a packet of 256 MB":                {0x50, 0xff, 0xff, 0xff, 0x7f},
		"a length of five bytes":            {0x30, 0xff, 0xff, 0xff, 0xff, 0x01},
		"type 0":                            {0x00, 0},
		"CONNECT":                           {0x10, 2, 0, 0},
		"PUBLISH QoS 3":                     {0x36, 4, 0, 1, 'a', 0},
		"PUBLISH shorter than its topic":    {0x30, 3, 0, 9, 'a'},
		"PUBACK of one byte":                {0x40, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse()
			o := options(scripted(t, script{extra: extra}), h)
			o.AckTimeout = time.Second
			e, _ := run(t, o)
			until(t, "end of the connection", func() bool { return e.State().Failures >= 1 })
		})
	}
}

// The trap this package is built around: with auto-reconnect a paho token
// completes without an error and without a PUBACK. One client a connection
// has no such completion.
func TestPahoTokenTrap(t *testing.T) {
	var conns atomic.Int32
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			first := conns.Add(1) == 1
			wg.Go(func() {
				defer c.Close()
				for {
					p, err := readRaw(c)
					if err != nil {
						return
					}
					switch p[0] >> 4 {
					case 1:
						_, _ = c.Write([]byte{0x20, 2, 0, 0})
					case 3:
						if first {
							return // cut, once, without a PUBACK
						}
					}
				}
			})
		}
	})
	defer func() { l.Close(); wg.Wait() }()
	publish := func(again bool) (completed bool, err error) {
		conns.Store(0)
		o := paho.NewClientOptions().AddBroker("tcp://" + l.Addr().String()).SetClientID("trap").SetProtocolVersion(4)
		o.SetAutoReconnect(again).SetCleanSession(!again).SetMaxReconnectInterval(10 * time.Millisecond)
		c := paho.NewClient(o)
		defer c.Disconnect(10)
		c.Connect().Wait()
		token := c.Publish("event", 1, false, "approved")
		if !token.WaitTimeout(10 * time.Second) {
			return false, nil
		}
		return true, token.Error()
	}
	if completed, err := publish(true); !completed || err != nil {
		t.Errorf("with auto-reconnect: completed %v, error %v; the trap is gone, see what paho does now", completed, err)
	}
	if completed, err := publish(false); !completed || err == nil {
		t.Errorf("one client a connection: completed %v, error %v, want an error", completed, err)
	}
}
