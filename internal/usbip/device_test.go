package usbip

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// host is the kernel's side of a cable, by hand.
type host struct {
	t   *testing.T
	c   net.Conn
	seq uint32
	end chan error // of Serve
}

func newHost(t *testing.T, d *Device, talk func(context.Context, net.Conn) error) *host {
	t.Helper()
	ours, its := net.Pipe()
	h := &host{t: t, c: ours, end: make(chan error, 1)}
	go func() { h.end <- d.Serve(t.Context(), its, talk) }()
	t.Cleanup(func() { ours.Close() })
	ours.SetDeadline(time.Now().Add(20 * time.Second))
	return h
}

func echo(_ context.Context, c net.Conn) error { _, _ = io.Copy(c, c); return nil }

func (h *host) submit(endpoint uint32, in bool, length int, s setup, data []byte) uint32 {
	h.t.Helper()
	h.seq++
	b := make([]byte, headerSize)
	for i, w := range []uint32{cmdSubmit, h.seq, 1<<16 | 1, 0, endpoint, 0, uint32(length)} {
		binary.BigEndian.PutUint32(b[4*i:], w)
	}
	if in {
		binary.BigEndian.PutUint32(b[12:], 1)
	}
	copy(b[40:], s[:])
	if _, err := h.c.Write(append(b, data...)); err != nil {
		h.t.Fatal(err)
	}
	return h.seq
}

// answer reads one; data says whether the URB was an in transfer.
func (h *host) answer(in bool) (command, seq uint32, status int32, data []byte) {
	h.t.Helper()
	var b [headerSize]byte
	if _, err := io.ReadFull(h.c, b[:]); err != nil {
		h.t.Fatal(err)
	}
	if n := binary.BigEndian.Uint32(b[24:]); in && n > 0 {
		data = make([]byte, n)
		if _, err := io.ReadFull(h.c, data); err != nil {
			h.t.Fatal(err)
		}
	}
	return binary.BigEndian.Uint32(b[:]), binary.BigEndian.Uint32(b[4:]), int32(binary.BigEndian.Uint32(b[20:])), data
}

func (h *host) get(s setup, length int) ([]byte, int32) {
	h.t.Helper()
	h.submit(0, true, length, s, nil)
	_, _, status, data := h.answer(true)
	return data, status
}

func testDevice(k Kind) *Device {
	return &Device{Kind: k, Vendor: 0x1209, Product: 1, Manufacturer: "Maker", Name: "Thing", Serial: "S1"}
}

func TestEnumeration(t *testing.T) {
	for _, k := range Kinds() {
		h := newHost(t, testDevice(k), echo)
		device, status := h.get(setup{0x80, reqGetDescriptor, 0, descDevice}, 64)
		if status != 0 || len(device) != 18 || !bytes.Equal(device[8:12], []byte{0x09, 0x12, 1, 0}) {
			t.Errorf("%s: device descriptor % x, status %d", k, device, status)
		}
		head, _ := h.get(setup{0x80, reqGetDescriptor, 0, descConfiguration}, 9)
		whole, _ := h.get(setup{0x80, reqGetDescriptor, 0, descConfiguration}, 255)
		if len(head) != 9 || int(binary.LittleEndian.Uint16(head[2:])) != len(whole) || !descriptorsFit(whole) {
			t.Errorf("%s: configuration % x of %d bytes", k, head, len(whole))
		}
		if int(whole[4]) != len(testDevice(k).interfaces()) {
			t.Errorf("%s: %d interfaces in the configuration, %d listed", k, whole[4], len(testDevice(k).interfaces()))
		}
		if s, _ := h.get(setup{0x80, reqGetDescriptor, 3, descString}, 255); string(s) != "\x06\x03S\x001\x00" {
			t.Errorf("%s: serial number % x", k, s)
		}
		if _, status := h.get(setup{0x80, reqGetDescriptor, 0, 6}, 10); status != statusStall {
			t.Errorf("%s: a descriptor that is not there gave %d, want a stall", k, status)
		}
	}
}

// descriptorsFit walks them by their lengths.
func descriptorsFit(b []byte) bool {
	for len(b) > 0 {
		if b[0] < 2 || int(b[0]) > len(b) {
			return false
		}
		b = b[b[0]:]
	}
	return true
}

func TestBytes(t *testing.T) {
	for _, k := range Kinds() {
		h := newHost(t, testDevice(k), echo)
		say := []byte("hello")
		if k == HID {
			say = pack(say)
		}
		in := h.submit(dataEndpoint, true, 4096, setup{}, nil)
		out := h.submit(dataEndpoint, false, len(say), setup{}, say)
		if _, seq, status, _ := h.answer(false); seq != out || status != 0 {
			t.Errorf("%s: out gave %d, status %d", k, seq, status)
		}
		if _, seq, status, data := h.answer(true); seq != in || status != 0 || !bytes.Equal(data, say) {
			t.Errorf("%s: in gave %d, status %d, %q", k, seq, status, data)
		}
	}
}

func TestUnlink(t *testing.T) {
	h := newHost(t, testDevice(Bulk), echo)
	victim := h.submit(dataEndpoint, true, 512, setup{}, nil)
	unlink := func() int32 {
		h.seq++
		b := make([]byte, headerSize)
		for i, w := range []uint32{cmdUnlink, h.seq, 1<<16 | 1, 0, 0, victim} {
			binary.BigEndian.PutUint32(b[4*i:], w)
		}
		if _, err := h.c.Write(b); err != nil {
			t.Fatal(err)
		}
		command, _, status, _ := h.answer(false)
		if command != retUnlink {
			t.Fatalf("answer is %d", command)
		}
		return status
	}
	if status := unlink(); status != statusUnlinked {
		t.Errorf("unlink gave %d, want %d", status, statusUnlinked)
	}
	if status := unlink(); status != 0 {
		t.Errorf("unlink of what is gone gave %d, want 0", status)
	}
	// What it says now goes to the next one.
	h.submit(dataEndpoint, false, 1, setup{}, []byte("x"))
	h.answer(false)
	next := h.submit(dataEndpoint, true, 512, setup{}, nil)
	if _, seq, _, data := h.answer(true); seq != next || string(data) != "x" {
		t.Errorf("in gave %d, %q", seq, data)
	}
}

func TestLine(t *testing.T) {
	d := testDevice(CDCACM)
	var got []LineState
	d.Line = func(l LineState) { got = append(got, l) }
	h := newHost(t, d, echo)
	coding := []byte{0x80, 0x25, 0, 0, 2, 1, 7}
	h.submit(0, false, 7, setup{0x21, reqSetLineCoding}, coding)
	h.answer(false)
	h.submit(0, false, 0, setup{0x21, reqSetControlLineState, 3}, nil)
	h.answer(false)
	if b, _ := h.get(setup{0xa1, reqGetLineCoding}, 7); !bytes.Equal(b, coding) {
		t.Errorf("line coding reads % x", b)
	}
	if want := (LineState{9600, 7, 1, 2, true, true}); len(got) != 2 || got[1] != want {
		t.Errorf("heard %+v, want %+v last", got, want)
	}
}

// Whoever ends first, the others end.
func TestEnds(t *testing.T) {
	h := newHost(t, testDevice(Bulk), echo)
	h.c.Close()
	if err := <-h.end; err != nil {
		t.Errorf("a pulled plug gave %v", err)
	}

	h = newHost(t, testDevice(Bulk), func(context.Context, net.Conn) error { return nil })
	if err := <-h.end; err != nil {
		t.Errorf("a terminal without power gave %v", err)
	}
	if _, err := h.c.Read(make([]byte, 1)); err == nil {
		t.Error("a terminal without power is still plugged in")
	}

	broken := errors.New("broken")
	h = newHost(t, testDevice(Bulk), func(context.Context, net.Conn) error { return broken })
	if err := <-h.end; !errors.Is(err, broken) {
		t.Errorf("got %v, want what the terminal said", err)
	}

	// A plug that is pulled by a transfer stops it.
	d := testDevice(Bulk)
	heard := make(chan string, 1)
	h = newHost(t, d, func(_ context.Context, c net.Conn) error {
		b, _ := io.ReadAll(c)
		heard <- string(b)
		return nil
	})
	d.Before = func(Direction, []byte) { h.c.Close() }
	h.submit(dataEndpoint, false, 1, setup{}, []byte("x"))
	if got := <-heard; got != "" {
		t.Errorf("the terminal heard %q over a pulled plug", got)
	}
}

func TestBounds(t *testing.T) {
	h := newHost(t, testDevice(Bulk), echo)
	b := make([]byte, headerSize)
	binary.BigEndian.PutUint32(b, cmdSubmit)
	binary.BigEndian.PutUint32(b[16:], 1)
	binary.BigEndian.PutUint32(b[24:], maxTransfer+1)
	h.c.Write(b)
	if err := <-h.end; err == nil {
		t.Error("a transfer of more than the most was taken")
	}
	for name, d := range map[string]*Device{
		"kind": {Kind: "x", Vendor: 1, Product: 1}, "ids": {Kind: Bulk}, "text": {Kind: Bulk, Vendor: 1, Product: 1, Serial: "\n"},
	} {
		c, _ := net.Pipe()
		if err := d.Serve(t.Context(), c, echo); err == nil {
			t.Errorf("a device with a bad %s was taken", name)
		}
	}
}

func TestReports(t *testing.T) {
	for n := range hidReport {
		b := bytes.Repeat([]byte{7}, n)
		if got := unpack(pack(b)); !bytes.Equal(got, b) {
			t.Errorf("%d bytes came back as %d", n, len(got))
		}
	}
	if got := unpack(bytes.Repeat([]byte{64}, 64)); got != nil {
		t.Errorf("a count that is too large gave %d bytes", len(got))
	}
}
