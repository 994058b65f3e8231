package broker

import (
	"bufio"
	"bytes"
	"context"
	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// canaryTopic is heard and written by the canary alone.
const canaryTopic = "tillgate-canary"

// canaryWithin is how long all of one canary may take.
const canaryWithin = 3 * time.Second

func canaryUser(password string) User {
	return User{Name: "canary", Password: password, Publish: []string{canaryTopic}, Subscribe: []string{canaryTopic}}
}

// canary is a new client that subscribes, publishes at QoS 1 and hears itself:
// a broker that passes serves clients, stores and delivers.
//
//	CONNECT ─► CONNACK   SUBSCRIBE ─► SUBACK   PUBLISH ─► PUBACK and PUBLISH
//
// It speaks the five packets it needs itself: a client library would bring its
// own goroutines and its own idea of when to connect again.
func canary(ctx context.Context, addr, password string) error {
	ctx, cancel := context.WithTimeout(ctx, canaryWithin)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	song := []byte(crand.Text())
	w := canaryConn{c: c, r: bufio.NewReader(c)}
	w.send(0x10, str("MQTT"), []byte{4, 0xc2, 0, 30}, str("canary"+string(song[:16])), str("canary"), str(password))
	if ack := w.expect(0x20); len(ack) != 2 || ack[1] != 0 {
		return w.wrong("CONNACK")
	}
	w.send(0x82, []byte{0, 1}, str(canaryTopic), []byte{1})
	if ack := w.expect(0x90); len(ack) != 3 || ack[2] > 1 {
		return w.wrong("SUBACK")
	}
	w.send(0x32, str(canaryTopic), []byte{0, 2}, song)
	for acked, heard := false, false; !acked || !heard; {
		typ, body := w.receive()
		switch {
		case w.err != nil:
			return w.wrong("own message")
		case typ == 0x40:
			acked = true
		case typ&0xf0 == 0x30 && bytes.HasSuffix(body, song):
			heard = true
			if typ&0x06 != 0 && len(body) >= 4+len(canaryTopic) {
				id := body[2+len(canaryTopic):][:2]
				w.send(0x40, id)
			}
		}
	}
	w.send(0xe0)
	return nil
}

type canaryConn struct {
	c   io.Writer
	r   *bufio.Reader
	err error
}

// str is a UTF-8 string as MQTT 3.1.1, 1.5.3 writes it: length, bytes.
func str(s string) []byte { return append(binary.BigEndian.AppendUint16(nil, uint16(len(s))), s...) }

// send writes a packet of less than 128 bytes.
func (w *canaryConn) send(typ byte, parts ...[]byte) {
	if w.err != nil {
		return
	}
	body := bytes.Join(parts, nil)
	if len(body) > 127 {
		w.err = fmt.Errorf("packet of %d bytes", len(body))
		return
	}
	_, w.err = w.c.Write(append([]byte{typ, byte(len(body))}, body...))
}

func (w *canaryConn) receive() (typ byte, body []byte) {
	if w.err != nil {
		return 0, nil
	}
	var head [2]byte
	if _, w.err = io.ReadFull(w.r, head[:]); w.err != nil {
		return 0, nil
	}
	if head[1] > 127 {
		w.err = errors.New("a packet that is too long")
		return 0, nil
	}
	body = make([]byte, head[1])
	_, w.err = io.ReadFull(w.r, body)
	return head[0], body
}

func (w *canaryConn) expect(typ byte) []byte {
	got, body := w.receive()
	if w.err == nil && got != typ {
		w.err = fmt.Errorf("packet of type %#02x", got)
	}
	return body
}

func (w *canaryConn) wrong(what string) error {
	if w.err == nil {
		return fmt.Errorf("%s: refused", what)
	}
	return fmt.Errorf("%s: %w", what, w.err)
}
