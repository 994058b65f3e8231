package usbhid

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

// reports is a HID device's far side: it sends back the reports it gets.
type reports struct{ sent [][]byte }

func (r *reports) WriteContext(_ context.Context, b []byte) (int, error) {
	r.sent = append(r.sent, bytes.Clone(b))
	return len(b), nil
}

func (r *reports) ReadContext(_ context.Context, b []byte) (int, error) {
	n := copy(b, r.sent[0])
	r.sent = r.sent[1:]
	return n, nil
}

func TestReports(t *testing.T) {
	for _, r := range []Report{{}, {ID: 5}, {Raw: true}, {ID: 5, Raw: true}} {
		far := &reports{}
		out := &reportOut{to: far, report: r, buf: make([]byte, 64)}
		in := &reportIn{from: far, report: r, buf: make([]byte, 64)}
		want := bytes.Repeat([]byte("0123456789"), 20)
		var got []byte
		for rest := want; len(rest) > 0; {
			n, err := out.WriteContext(t.Context(), rest)
			if err != nil || n != min(len(rest), 64-r.overhead()) {
				t.Fatalf("%+v: %d of %d bytes went into a report, %v", r, n, len(rest), err)
			}
			if b := far.sent[0]; len(b) != 64 || r.ID != 0 && b[0] != r.ID {
				t.Errorf("%+v: report is % x", r, b)
			}
			buf := make([]byte, 100)
			k, err := in.ReadContext(t.Context(), buf)
			if err != nil || k < n || !r.Raw && k != n {
				t.Fatalf("%+v: %d of %d bytes came back, %v", r, k, n, err)
			}
			got, rest = append(got, buf[:n]...), rest[n:]
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%+v: something else came back", r)
		}
	}
}

func TestBadReports(t *testing.T) {
	for _, c := range []struct {
		r    Report
		in   []byte
		data string
		bad  bool
	}{
		{Report{}, nil, "", false},
		{Report{}, []byte{0, 'x'}, "", false},
		{Report{}, []byte{1, 'x', 'y'}, "x", false},
		{Report{}, []byte{3, 'x', 'y'}, "", true},
		{Report{ID: 2}, []byte{1, 1, 'x'}, "", false}, // another report is not for us
		{Report{ID: 2}, []byte{2, 1, 'x'}, "x", false},
		{Report{ID: 2}, []byte{2}, "", false},
		{Report{ID: 2, Raw: true}, []byte{2, 1, 'x'}, "\x01x", false},
	} {
		data, err := c.r.data(c.in)
		if string(data) != c.data || errors.Is(err, errReport) != c.bad {
			t.Errorf("%+v of % x: got %q, %v", c.r, c.in, data, err)
		}
	}
}
