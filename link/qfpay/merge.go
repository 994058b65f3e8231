package qfpay

import "bytes"

// message is what one or more packets carry. Its data is a copy.
type message struct {
	kind   byte
	number byte
	code   byte // of an error, else 0
	data   []byte
	empty  bool // there was no data
}

// merger puts the packets of one message together (chapter 9.4). One message is
// collected at a time: the protocol is stop-and-wait.
type merger struct {
	kind, number byte
	whole        int
	got          []byte
	dropped      byte // number of the message that was given up last, or 0
}

// collecting says whether a message waits for its other parts.
func (m *merger) collecting() bool { return m.whole > 0 }

// add takes one packet. done says that msg is complete. refused is the error
// packet type to answer with, or 0.
func (m *merger) add(p packet) (msg message, done bool, refused byte) {
	if code := p.errorCode(); code != 0 {
		return message{kind: kindError, number: p.number, code: code}, true, 0
	}
	if p.single() {
		m.forget()
		m.dropped = 0
		return message{kind: p.kind, number: p.number, data: bytes.Clone(p.data)}, true, 0
	}
	if m.collecting() && (p.kind != m.kind || p.number != m.number || p.whole != m.whole) {
		m.drop()
	}
	switch {
	case p.number == m.dropped:
		return message{}, false, errSplit
	case !m.collecting():
		m.kind, m.number, m.whole, m.dropped = p.kind, p.number, p.whole, 0
	}
	if m.got = append(m.got, p.data...); len(m.got) > m.whole {
		m.drop()
		return message{}, false, errSplit
	}
	if len(m.got) < m.whole {
		return message{}, false, 0
	}
	msg = message{kind: m.kind, number: m.number, data: m.got}
	m.forget()
	return msg, true, 0
}

// drop gives the message up whose parts do not come within the gap. Further
// parts of its number are refused, until another message comes.
func (m *merger) drop() {
	m.dropped = m.number
	m.forget()
}

func (m *merger) forget() { m.kind, m.number, m.whole, m.got = 0, 0, 0, nil }
