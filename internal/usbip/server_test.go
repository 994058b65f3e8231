package usbip

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T) func() net.Conn {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	s := &Server{Device: testDevice(CDCACM), Talk: echo}
	go func() { ended <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return func() net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(20 * time.Second))
		t.Cleanup(func() { c.Close() })
		return c
	}
}

func ask(t *testing.T, c net.Conn, code uint16, id string, want int) []byte {
	t.Helper()
	b := binary.BigEndian.AppendUint16(nil, protocolVersion)
	b = binary.BigEndian.AppendUint16(b, opRequest|code)
	b = append(b, 0, 0, 0, 0)
	if code == opImport {
		b = append(b, append([]byte(id), make([]byte, busIDSize-len(id))...)...)
	}
	if _, err := c.Write(b); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, want)
	if n, err := io.ReadFull(c, got); err != nil {
		t.Fatalf("after %d bytes: %v", n, err)
	}
	return got
}

func TestServer(t *testing.T) {
	dial := serve(t)
	list := ask(t, dial(), opDevlist, "", 8+4+312+2*4)
	if n := binary.BigEndian.Uint32(list[8:]); n != 1 {
		t.Errorf("%d devices in the list, want 1", n)
	}
	entry := list[12:]
	if text(entry[256:]) != BusID || !bytes.Equal(entry[300:304], []byte{0x12, 0x09, 0, 1}) || entry[311] != 2 {
		t.Errorf("the list has bus id %q, ids % x, %d interfaces", text(entry[256:]), entry[300:304], entry[311])
	}
	if !bytes.Equal(entry[312:], []byte{classComm, 2, 1, 0, classData, 0, 0, 0}) {
		t.Errorf("interfaces are % x", entry[312:])
	}

	if got := ask(t, dial(), opImport, "9-9", 8); got[7] == 0 {
		t.Errorf("a device that is not there was given: % x", got)
	}
	cable := dial()
	if got := ask(t, cable, opImport, BusID, 8+312); got[7] != 0 {
		t.Errorf("import gave % x", got[:8])
	}
	if got := ask(t, dial(), opImport, BusID, 8); got[7] == 0 {
		t.Errorf("a device that is taken was given again: % x", got)
	}
	h := &host{t: t, c: cable}
	if b, status := h.get(setup{0x80, reqGetDescriptor, 0, descDevice}, 18); status != 0 || len(b) != 18 {
		t.Errorf("over the cable: % x, status %d", b, status)
	}
	cable.Close()
	for limit := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c := dial()
		if got := ask(t, c, opImport, BusID, 8); got[7] == 0 {
			break
		}
		c.Close()
		if time.Now().After(limit) {
			t.Fatal("the device cannot be plugged in again")
		}
	}
}

func TestFreePort(t *testing.T) {
	dir := t.TempDir()
	status := `hub port sta spd dev      sockfd local_busid
hs  0000 006 003 00010001 000003 1-1
hs  0001 004 000 00000000 000000 0-0
ss  0008 004 000 00000000 000000 0-0
`
	if err := os.WriteFile(filepath.Join(dir, "status"), []byte(status), 0o644); err != nil {
		t.Fatal(err)
	}
	if port, err := freePort(dir); err != nil || port != 1 {
		t.Errorf("got %d, %v, want 1", port, err)
	}
	if _, err := freePort(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "modprobe vhci-hcd") {
		t.Errorf("without the module: %v", err)
	}
}
