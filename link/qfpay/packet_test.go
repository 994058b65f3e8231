package qfpay

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// feed gives all bytes to a scanner, n at a time, and returns what it finds.
func feed(b []byte, n int) (found []message, broken []byte, noise int) {
	s, m := newScanner(), &merger{}
	for len(b) > 0 {
		k := copy(s.space(), b[:min(n, len(b))])
		s.filled(k)
		b = b[k:]
		for {
			p, v, skipped := s.next()
			noise += skipped
			if v == isPart {
				break
			}
			if v == isBroken {
				broken = append(broken, p.number)
				continue
			}
			if msg, ok, _ := m.add(p); ok {
				found = append(found, msg)
			}
		}
	}
	return found, broken, noise
}

func TestPacket(t *testing.T) {
	for _, tt := range []struct {
		name string
		p    packet
		want string
	}{
		{"acknowledgement", packet{kindAnswer, 1, 0, nil}, "/n\x01\x20\x01\x00\x0b\x00\x00/n"},
		{"request", packet{kindRequest, 0x7f, 3, []byte("abc")}, "/n\x01\x10\x7f\x00\x0e\x00\x03abc/n"},
		{"mark inside", packet{kindRequest, 2, 6, []byte("/n/n/n")}, "/n\x01\x10\x02\x00\x11\x00\x06/n/n/n/n"},
		{"part", packet{kindRequest, 2, 600, []byte("ab")}, "/n\x01\x10\x02\x00\x0d\x02\x58ab/n"},
		{"error", packet{errSplit, 2, 0, nil}, "/n\x01\x35\x02\x00\x0b\x00\x00/n"},
	} {
		b := tt.p.append(nil)
		if string(b) != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, b, tt.want)
		}
		got, n, v := parse(b)
		if v != isPacket || n != len(b) || got.kind != tt.p.kind || got.number != tt.p.number || got.whole != tt.p.whole || !bytes.Equal(got.data, tt.p.data) {
			t.Errorf("%s: got %+v, %d, %v", tt.name, got, n, v)
		}
		for i := range b {
			if _, _, v := parse(b[:i]); v != isPart {
				t.Errorf("%s: the first %d bytes are %v", tt.name, i, v)
			}
		}
	}
}

func TestPacketHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		b    string
		want verdict
	}{
		"other mark": {"/m\x01\x10\x01\x00\x0b\x00\x00/n", isNoise}, "version 2": {"/n\x02\x10\x01\x00\x0b\x00\x00/n", isNoise},
		"type 11": {"/n\x01\x11\x01\x00\x0b\x00\x00/n", isNoise}, "type 36": {"/n\x01\x36\x01\x00\x0b\x00\x00/n", isNoise},
		"number 0": {"/n\x01\x10\x00\x00\x0b\x00\x00/n", isNoise}, "number 128": {"/n\x01\x10\x80\x00\x0b\x00\x00/n", isNoise},
		"total 10": {"/n\x01\x10\x01\x00\x0a\x00\x00/n", isNoise}, "less data than said": {"/n\x01\x10\x01\x00\x0e\x00\x02abc/n", isNoise},
		"part of nothing": {"/n\x01\x10\x01\x00\x0b\x00\x05/n", isNoise}, "little-endian": {"/n\x01\x10\x01\x0e\x00\x03\x00abc/n", isNoise},
		"no end mark": {"/n\x01\x10\x01\x00\x0e\x00\x03abc/m", isBroken},
	} {
		if _, _, v := parse([]byte(tt.b)); v != tt.want {
			t.Errorf("%s: got %v, want %v", name, v, tt.want)
		}
	}
}

// TestVendorPacket reads the one packet that QFPay prints, and writes it again.
func TestVendorPacket(t *testing.T) {
	text, err := os.ReadFile("testdata/vendor_packet.hex")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	p, n, v := parse(b)
	if v != isPacket || n != len(b) || p.kind != kindRequest || p.number != 1 || !p.single() || len(p.data) != 116 {
		t.Fatalf("got %+v, %d, %v", p, n, v)
	}
	if again := p.append(nil); !bytes.Equal(again, b) {
		t.Errorf("written again: %x", again)
	}
	r, err := testProfile(t, nil).parseRequest(p.data)
	if err != nil || r.sealed || r.content.get("channel") != "wx" || r.content.get("amt") != "100" || r.digest == "" {
		t.Errorf("got %+v, %v", r, err)
	}
	// Its functions have other names than the document's: it is of an older app.
	if err := Explain(io.Discard, b); !errors.Is(err, errRequest) {
		t.Errorf("explain: got %v", err)
	}
}

func TestErrorCodes(t *testing.T) {
	for _, tt := range []struct {
		p    packet
		want byte
	}{
		{packet{kind: errCheck}, errCheck}, {packet{kind: errDecrypt, data: []byte("1")}, errDecrypt}, {packet{kind: kindError}, errUnknown},
		{packet{kind: kindError, data: []byte{0x33}}, errDecrypt}, {packet{kind: kindError, data: []byte("0x34")}, errContent},
		{packet{kind: kindError, data: []byte("35")}, errSplit}, {packet{kind: kindError, data: []byte("9")}, errUnknown}, {packet{kind: kindAnswer}, 0},
	} {
		if got := tt.p.errorCode(); got != tt.want {
			t.Errorf("type %#x data %q: got %#x, want %#x", tt.p.kind, tt.p.data, got, tt.want)
		}
	}
}

// TestStream: packets are found whatever stands between them and however they
// are cut, and the longest packet and message arrive.
func TestStream(t *testing.T) {
	long := bytes.Repeat([]byte("/n\x01\x10"), maxPart/4+1)[:maxPart]
	full := bytes.Repeat([]byte("x/n"), maxMessage/3+1)[:maxMessage]
	var b []byte
	b = append(b, "noise/n\x01"...)
	b = packet{kindRequest, 1, 3, []byte("/n/")}.append(b)
	b = append(b, 0, 0x2f, 0x2f)
	b = packet{kindAnswer, 2, 0, nil}.append(b)
	b = packet{kindRequest, 3, len(long), long}.append(b)
	b = split(b, kindRequest, 4, full, 1024)
	b = packet{kindAnswer, 5, 1, []byte("z")}.append(b)
	for _, n := range []int{1, 7, 1000, 4096, 1 << 20} {
		got, broken, noise := feed(b, n)
		if len(got) != 5 || len(broken) != 0 || noise != len("noise/n\x01")+3 {
			t.Fatalf("%d bytes at a time: got %d messages, broken %v, %d bytes of noise", n, len(got), broken, noise)
		}
		if !bytes.Equal(got[2].data, long) || !bytes.Equal(got[3].data, full) || got[3].number != 4 || string(got[4].data) != "z" {
			t.Errorf("%d bytes at a time: the data is not what was sent", n)
		}
	}
}

func TestBrokenPacketIsPassedOver(t *testing.T) {
	b := packet{kindRequest, 9, 3, []byte("abc")}.append(nil)
	b[len(b)-1] = 'x'
	b = packet{kindAnswer, 7, 1, []byte("y")}.append(b)
	got, broken, _ := feed(b, len(b))
	if len(got) != 1 || got[0].number != 7 || !bytes.Equal(broken, []byte{9}) {
		t.Errorf("got %+v, broken %v", got, broken)
	}
	// A header that promises too much holds the next packet back until it is skipped.
	b = append([]byte("/n\x01\x10\x05\xff\xff\xff\xf4"), packet{kindAnswer, 7, 1, []byte("y")}.append(nil)...)
	s := newScanner()
	s.filled(copy(s.space(), b))
	if _, v, _ := s.next(); v != isPart || !s.pending() {
		t.Fatalf("got %v", v)
	}
	s.skip()
	if p, v, _ := s.next(); v != isPacket || p.number != 7 {
		t.Errorf("after the skip: got %+v, %v", p, v)
	}
}

func TestMerge(t *testing.T) {
	part := func(number byte, whole int, data string) packet {
		return packet{kindRequest, number, whole, []byte(data)}
	}
	add := func(m *merger, p packet) string {
		msg, done, refused := m.add(p)
		return fmt.Sprintf("%s %v %#x", msg.data, done, refused)
	}
	m := &merger{}
	for i, tt := range []struct {
		p    packet
		want string
	}{
		{part(1, 6, "abc"), " false 0x0"}, {part(1, 6, "def"), "abcdef true 0x0"}, // in two
		{part(2, 6, "abc"), " false 0x0"}, {part(3, 3, "xyz"), "xyz true 0x0"}, {part(2, 6, "def"), " false 0x0"}, // another one between them begins anew
		{part(4, 9, "abc"), " false 0x0"}, {part(4, 9, "1234567"), " false 0x35"}, // too much
		{part(4, 9, "abc"), " false 0x35"}, {part(5, 2, "ok"), "ok true 0x0"}, {part(4, 4, "abcd"), "abcd true 0x0"},
	} {
		if got := add(m, tt.p); got != tt.want {
			t.Errorf("%d: got %s, want %s", i, got, tt.want)
		}
	}
	m = &merger{}
	add(m, part(6, 6, "abc"))
	m.drop() // the gap has passed
	if got := add(m, part(6, 6, "def")); got != " false 0x35" {
		t.Errorf("after the gap: got %s", got)
	}
	if got := add(m, part(7, 6, "abc")); got != " false 0x0" {
		t.Errorf("a new one: got %s", got)
	}
}

// FuzzPackets: whatever comes, what is found can be written and read again, and
// a sound packet behind it is found.
func FuzzPackets(f *testing.F) {
	f.Add([]byte("/n\x01\x10\x02\x00\x11\x00\x06/n/n/n/n"), 3)
	f.Add([]byte("/n\x01\x10\x02\x00\x0d\x02\x58ab/n/n\x01\x10\x02\x00\x0d\x02\x58ab/n"), 1)
	f.Add([]byte("/n\x01\x10\x05\xff\xff\xff\xf4/n"), 100)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 1 || n > 1<<16 {
			n = 1
		}
		whole, _, _ := feed(b, len(b)+1)
		cut, _, _ := feed(b, n)
		if fmt.Sprint(whole) != fmt.Sprint(cut) {
			t.Errorf("cut at %d: got %v, want %v", n, cut, whole)
		}
		// Behind zeros that no false header can reach over, a packet is found.
		behind := append(bytes.Clone(b), make([]byte, maxPacket)...)
		all, _, _ := feed(packet{kindAnswer, 1, 3, []byte("end")}.append(behind), n)
		for _, m := range all {
			if m.kind != kindError && string(m.data) == "end" {
				return
			}
		}
		t.Error("the sound packet is not found")
	})
}

// FuzzMerge: a message is put together from consecutive parts of one number, with
// no gap between them, and from nothing else. The reference keeps all parts.
func FuzzMerge(f *testing.F) {
	f.Add([]byte{1, 6, 3, 1, 6, 3})             // in two parts
	f.Add([]byte{1, 6, 3, 0x81, 6, 3, 1, 6, 3}) // with a gap between them
	f.Add([]byte{1, 6, 3, 2, 2, 2, 1, 6, 3})    // with another message between them
	f.Add([]byte{1, 6, 3, 1, 6, 4, 1, 6, 3})    // too much
	f.Fuzz(func(t *testing.T, script []byte) {
		m := &merger{}
		var parts []packet // of the message that is being collected
		var refused byte   // the number whose further parts are refused
		next := byte(0)
		for ; len(script) >= 3; script = script[3:] {
			number, whole, n := script[0]&0x7f, int(script[1]), int(script[2])
			if number == 0 || n > whole {
				continue
			}
			if script[0] >= 0x80 { // the gap has passed
				if len(parts) > 0 {
					refused = parts[0].number
				}
				if parts = nil; m.collecting() {
					m.drop()
				}
			}
			data := make([]byte, n)
			for i := range data {
				data[i] = next
				next++
			}
			p := packet{kindRequest, number, whole, data}
			msg, done, code := m.add(p)
			if len(parts) > 0 && !p.single() && (parts[0].number != number || parts[0].whole != whole) {
				refused, parts = parts[0].number, nil
			}
			var want []byte
			switch {
			case p.single():
				parts, refused, want = nil, 0, data
			case refused == number:
				if done || code != errSplit {
					t.Fatalf("part of %d after it was given up: got %+v, %v, %#x", number, msg, done, code)
				}
				continue
			default:
				refused = 0
				parts = append(parts, p)
				for _, q := range parts {
					want = append(want, q.data...)
				}
			}
			switch {
			case len(want) > whole:
				refused, parts = number, nil
				if done || code != errSplit {
					t.Fatalf("too much: got %+v, %v, %#x", msg, done, code)
				}
			case len(want) == whole:
				if parts = nil; !done || code != 0 || msg.number != number || !bytes.Equal(msg.data, want) {
					t.Fatalf("got %+v, %v, %#x, want %v", msg, done, code, want)
				}
			case done || code != 0:
				t.Fatalf("%d of %d bytes: got %+v, %v, %#x", len(want), whole, msg, done, code)
			}
		}
	})
}

func BenchmarkPacketRead(b *testing.B) {
	data := make([]byte, 1024)
	for i := range data {
		data[i] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmopqrstuvwxyz0123456789+/"[rand.IntN(63)]
	}
	one := packet{kindRequest, 1, len(data), data}.append(nil)
	in := bytes.Repeat(one, 32)
	s := newScanner()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	left := in
	for b.Loop() {
		p, v, _ := s.next()
		for v == isPart {
			if len(left) == 0 {
				left = in
			}
			n := copy(s.space(), left)
			s.filled(n)
			left = left[n:]
			p, v, _ = s.next()
		}
		if v != isPacket || len(p.data) != len(data) {
			b.Fatal("not the packet that was written")
		}
	}
}
