package qfpay

import (
	"bufio"
	"sync/atomic"
	"time"

	"tillgate/link"
	"tillgate/link/stream"
)

// simPort is the terminal's end of a line with packets.
type simPort struct {
	conn    link.Conn
	writing chan struct{} // holds one value while a packet is written: who waits for it waits as for the line
	number  atomic.Uint32 // of packets of its own, counted on
	said    []byte        // its last message of its own, under Simulator.mu
}

func (p *simPort) write(b []byte) error {
	p.writing <- struct{}{}
	defer func() { <-p.writing }()
	if err := p.conn.SetWriteDeadline(time.Now().Add(stream.WriteTimeout)); err != nil {
		return err
	}
	_, err := p.conn.Write(b)
	return err
}

// next counts from 41 to the last number, and from 1 again.
func (p *simPort) next() byte { return byte((p.number.Add(1)+39)%maxNumber + 1) }

// packets reads requests until the connection ends. Requests are carried out in
// the background: the terminal goes on reading.
func (s *Simulator) packets(c link.Conn, r *bufio.Reader) error {
	port := &simPort{conn: c, writing: make(chan struct{}, 1)}
	s.mu.Lock()
	s.cable = port
	s.mu.Unlock()
	in, parts := newScanner(), &merger{}
	for {
		n, err := r.Read(in.space())
		in.filled(n)
		for {
			p, v, _ := in.next()
			if v == isPart {
				break
			}
			if v == isBroken {
				s.say(port, packet{kind: errFormat, number: p.number}.append(nil))
				continue
			}
			m, complete, refused := parts.add(p)
			if refused != 0 {
				s.say(port, packet{kind: refused, number: p.number}.append(nil))
			}
			if complete && m.kind == kindRequest {
				s.heard(port, m)
			}
		}
		if err != nil {
			return err
		}
	}
}

// say sends a packet; that it cannot be sent is what a pulled cable does.
func (s *Simulator) say(port *simPort, b []byte) {
	if err := port.write(b); err != nil {
		s.log.Debug("simulated terminal cannot answer", "err", err)
	}
}

// heard takes one request: an error packet, or its acknowledgement, then the
// result in the way that the script says.
func (s *Simulator) heard(port *simPort, m message) {
	r, p, err := s.open(m.data)
	if err != nil {
		s.say(port, packet{kind: errDecrypt, number: m.number}.append(nil))
		return
	}
	s.mu.Lock()
	mood := s.mood
	if r.money() {
		mood = s.script.Peek()
	}
	s.mu.Unlock()
	if r.money() {
		if mood.reject != 0 {
			s.next()
			s.say(port, packet{kind: mood.reject, number: m.number}.append(nil))
			return
		}
		if mood.outcome == "mute" || mood.noAck {
			mood.way = "none"
		}
	}
	ack := func() { s.say(port, packet{kind: kindAnswer, number: m.number}.append(nil)) }
	switch {
	case mood.way == "none", mood.way == "ack" && mood.slow+s.pace == 0:
	case r.money() && mood.otherAck:
		s.say(port, packet{kind: kindAnswer, number: m.number%maxNumber + 1}.append(nil))
	case r.money() && mood.lateAck:
		s.power.Go(func() {
			if s.power.Wait(5 * time.Second) {
				ack()
			}
		})
	default:
		ack()
	}
	s.power.Go(func() {
		if rep, ok := s.run(r, p); ok {
			s.result(port, m.number, rep, r, p, mood)
		}
	})
}

// result goes to wherever the cable is now. On another cable than the request's
// it can only be a packet of the terminal's own.
func (s *Simulator) result(port *simPort, number byte, rep reply, r request, p *profile, mood behaviour) {
	s.mu.Lock()
	now := s.cable
	s.mu.Unlock()
	if now == nil {
		return
	}
	if rep.mute {
		if rep.hangUp {
			now.conn.Close()
		}
		return
	}
	kind := byte(kindAnswer)
	if mood.way == "own" || mood.way == "none" || now != port {
		kind, number = kindRequest, now.next()
	}
	text := s.write(rep, r, p)
	if kind == kindRequest && mood.again {
		s.mu.Lock()
		said := now.said
		now.said = text
		s.mu.Unlock()
		if said != nil {
			s.say(now, split(nil, kindRequest, now.next(), said, maxPart))
		}
	}
	part := mood.split
	if part == 0 {
		part = maxPart
	}
	b := split(nil, kind, number, text, part)
	if rep.half {
		b = b[:len(b)/2]
	}
	s.say(now, b)
	if mood.duplicate {
		s.say(now, b)
	}
	if rep.hangUp {
		now.conn.Close()
	}
}
