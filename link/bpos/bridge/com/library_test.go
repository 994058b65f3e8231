package com

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"tillgate/link/bpos/bridge"
)

// fake is a COM object: it writes down how it is called.
type fake struct {
	calls    []string
	values   map[string]any
	code     int
	err      error
	released bool
}

func (f *fake) Call(name string, args ...any) (int, error) {
	f.calls = append(f.calls, fmt.Sprintf("%s%v", name, args))
	for _, a := range args {
		switch a.(type) {
		case int32, bool, string:
		default:
			return 0, fmt.Errorf("%T is no type that the bridge promises", a)
		}
	}
	if name == "UseMac" {
		return 0, fmt.Errorf("GetIDsOfNames: %w", ErrNoName)
	}
	return f.code, f.err
}

func (f *fake) Get(name string) (any, error) {
	v, ok := f.values[name]
	if !ok {
		return nil, fmt.Errorf("GetIDsOfNames: %w", ErrNoName)
	}
	if err, bad := v.(error); bad {
		return nil, err
	}
	return v, nil
}

func (f *fake) Release() { f.released = true }

// served is a client of a bridge over the fake.
func served(t *testing.T, f *fake) *bridge.Client {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		h := bridge.Host{Kind: "windows", Open: func() (bridge.Library, error) {
			return Open(func(progID string) (Object, error) {
				if progID != ProgID {
					return nil, ErrNotRegistered
				}
				return f, nil
			}, 32)
		}}
		if err := h.Serve(theirs, nil); err != nil {
			t.Error(err)
		}
	}()
	c := bridge.NewClient(ours)
	t.Cleanup(func() {
		c.Close()
		<-done
		if !f.released {
			t.Error("the object is not released")
		}
	})
	if a, err := c.Hello(t.Context(), time.Minute); err != nil || a.Kind != "windows" {
		t.Fatalf("hello: %+v, %v", a, err)
	}
	return c
}

// TestObject calls every method and reads every property by the names and types of
// IDispatch.
func TestObject(t *testing.T) {
	f := &fake{values: map[string]any{"LastResult": uint8(0), "LibraryVersion": "1.10.5.8"}}
	for _, p := range bridge.Properties() {
		switch p.Kind {
		case bridge.Byte:
			f.values[p.Name] = uint8(9)
		case bridge.Number:
			f.values[p.Name] = uint32(70000)
		case bridge.Data:
			f.values[p.Name] = []byte{1, 2, 3}
		default:
			f.values[p.Name] = "слово"
		}
	}
	c := served(t, f)
	want := map[bridge.Kind]string{bridge.Byte: "200", bridge.Number: "2147483647", bridge.Bool: "true", bridge.Text: "980"}
	values := map[bridge.Kind]any{bridge.Byte: 200, bridge.Number: bridge.MaxNumber, bridge.Bool: true, bridge.Text: "980"}
	for _, m := range bridge.Methods() {
		if m.Refused != "" || m.Name == "UseMac" {
			continue
		}
		var args []any
		var texts []string
		for _, a := range m.Args {
			args, texts = append(args, values[a.Kind]), append(texts, want[a.Kind])
		}
		switch m.Name {
		case "useLogging":
			args[0], texts[0] = 0, "0"
		case "CommOpen":
			args[0], texts[0] = "3", "3"
		}
		if _, _, err := c.Call(t.Context(), time.Minute, m.Name, args...); err != nil {
			t.Errorf("%s: %v", m.Name, err)
			continue
		}
		if got, want := f.calls[len(f.calls)-1], m.Name+"["+strings.Join(texts, " ")+"]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, p := range bridge.Properties() {
		if p.Refused != "" {
			continue
		}
		v, err := c.Get(t.Context(), time.Minute, p.Name)
		if err != nil {
			t.Errorf("%s: %v", p.Name, err)
			continue
		}
		got := fmt.Sprint(v[p.Name])
		want := map[bridge.Kind]string{bridge.Byte: "9", bridge.Number: "70000", bridge.Data: "[1 2 3]", bridge.Text: "слово"}[p.Kind]
		if p.Masked {
			want = ""
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", p.Name, got, want)
		}
	}
}

func TestObjectOddities(t *testing.T) {
	f := &fake{values: map[string]any{
		"LastResult": uint8(1), "LastErrorCode": uint8(1), "DiscountAttribute": uint32(7), "Receipt": string([]rune{0xd1, 0xd3, 0xcc, 0xc0}), "RRN": nil,
		"Amount": "12", "TxnType": int32(-1), "InvoiceNum": errors.New("it broke"),
	}}
	c := served(t, f)
	call := func(name string, args ...any) string {
		code, sent, err := c.Call(t.Context(), time.Minute, name, args...)
		r := &bridge.Refusal{}
		errors.As(err, &r)
		return fmt.Sprintf("%d %v %s", code, sent, r.Fault)
	}
	get := func(name string) string {
		v, err := c.Get(t.Context(), time.Minute, name)
		r := &bridge.Refusal{}
		errors.As(err, &r)
		return fmt.Sprintf("%v %s", v[name], r.Fault)
	}
	for _, x := range []struct{ what, got, want string }{
		{"a port that does not open, though COM says S_OK", call("CommOpen", "3", 115200), "1 true "},
		{"a device where a COM port is wanted", call("CommOpen", "/dev/ttyACM0", 115200), "0 false argument"},
		{"COM256", call("CommOpen", "256", 115200), "0 false argument"},
		{"a method that an old library does not have", call("UseMac", 0, "00"), "0 false absent"},
		{"a property that it does not have", get("DataFile"), "<nil> "},
		{"a number for a text", get("DiscountAttribute"), "7 "},
		{"Windows-1251 widened byte by byte", get("Receipt"), "СУМА "},
		{"no text", get("RRN"), " "},
		{"a text for a number", get("Amount"), "<nil> failed"},
		{"a number below nought", get("TxnType"), "<nil> "},
		{"a property that breaks", get("InvoiceNum"), "<nil> failed"},
	} {
		if x.got != x.want {
			t.Errorf("%s: got %q, want %q", x.what, x.got, x.want)
		}
	}
	f.code = 1
	if got := call("Ping"); got != "1 true " {
		t.Errorf("S_FALSE: got %q", got)
	}
	f.err = errors.New("an exception")
	if got := call("Purchase", 1, 0, 1); got != "0 true failed" {
		t.Errorf("an exception: got %q, and the purchase may have been made", got)
	}
}

// An unregistered library is said with the line that registers it.
func TestNotRegistered(t *testing.T) {
	for bits, want := range map[int]string{32: `SysWOW64\regsvr32 ECRCommX.dll`, 64: `System32\regsvr32 ECRCommX.dll`} {
		ours, theirs := net.Pipe()
		go bridge.Host{Kind: "windows", Open: func() (bridge.Library, error) {
			return Open(func(string) (Object, error) { return nil, fmt.Errorf("CLSIDFromProgID: %w", ErrNotRegistered) }, bits)
		}}.Serve(theirs, nil)
		c := bridge.NewClient(ours)
		if _, err := c.Hello(t.Context(), time.Minute); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "administrator") {
			t.Errorf("%d bits: got %v", bits, err)
		}
		c.Close()
	}
	if _, err := Open(func(string) (Object, error) { return nil, errors.New("0x8007007e") }, 32); err == nil || !strings.Contains(err.Error(), "Redistributable") {
		t.Errorf("got %v", err)
	}
}

// What a person types is answered too: the lines are plain text.
func TestByHand(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	f := &fake{values: map[string]any{"LibraryVersion": "1"}}
	go bridge.Host{Kind: "windows", Open: func() (bridge.Library, error) { return Open(func(string) (Object, error) { return f, nil }, 32) }}.Serve(theirs, nil)
	in := bufio.NewScanner(ours)
	for _, x := range [][2]string{
		{`{"id":1,"call":"Ping"}`, `{"id":1,"error":"version","text":"hello is the first request"}`},
		{`{"id":2,"hello":1}`, `{"id":2,"hello":1,"kind":"windows","library":"1"}`},
		{`{"id":3,"call":"Ping"}`, `{"id":3,"code":0}`},
		{`{"id":4,"get":["LibraryVersion","RRN"]}`, `{"id":4,"values":{"LibraryVersion":"1","RRN":null}}`},
	} {
		fmt.Fprintln(ours, x[0])
		if in.Scan(); in.Text() != x[1] {
			t.Errorf("%s: got %s, want %s", x[0], in.Text(), x[1])
		}
	}
}
