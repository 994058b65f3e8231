package ssi

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"

	"tillgate/link/frame"
)

// vector is a request that was sent to real terminals, in its frame.
type vector struct {
	Data string `json:"data"`
	Len  int    `json:"len"`
	LRC  string `json:"lrc"`
	Hex  string `json:"frame_hex"`
}

func (v vector) bytes(t testing.TB) []byte {
	b, err := hex.DecodeString(v.Hex)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readVectors(t testing.TB) (file struct {
	Primitives map[string]string `json:"lrc_primitives"`
	Frames     []vector          `json:"frames"`
}) {
	b, err := os.ReadFile("testdata/frames.json")
	if err == nil {
		err = json.Unmarshal(b, &file)
	}
	if err != nil || len(file.Frames) < 4 || len(file.Primitives) < 3 {
		t.Fatalf("testdata/frames.json: %v, %d frames", err, len(file.Frames))
	}
	return file
}

func vectors(t testing.TB) []vector { return readVectors(t).Frames }

func frameOf(t testing.TB, data string) []byte {
	b, err := appendFrame(nil, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestFrameVectors(t *testing.T) {
	file := readVectors(t)
	for in, want := range file.Primitives {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := hex.EncodeToString([]byte{lrc(b)}); got != want {
			t.Errorf("lrc of %s is %s, want %s", in, got, want)
		}
	}
	var all []byte
	for i, v := range file.Frames {
		if got := frameOf(t, v.Data); !bytes.Equal(got, v.bytes(t)) {
			t.Errorf("frame %d: got %x", i, got)
		}
		if v.Len != len(v.Data) || hex.EncodeToString([]byte{lrc([]byte(v.Data))}) != v.LRC {
			t.Errorf("frame %d: length or check byte differ", i)
		}
		all = append(append(all, "noise"...), v.bytes(t)...)
	}
	for name, r := range map[string]io.Reader{"at once": bytes.NewReader(all), "byte by byte": iotest.OneByteReader(bytes.NewReader(all))} {
		in := newFrames(r)
		for i, v := range file.Frames {
			if got, err := in.next(); err != nil || string(got) != v.Data {
				t.Errorf("%s: frame %d: got %q, %v", name, i, got, err)
			}
		}
		if _, err := in.next(); err != io.EOF || in.pending() != 0 {
			t.Errorf("%s: at the end: got %v", name, err)
		}
	}
}

// TestLRC compares with the byte-wise loop of the document (6.1).
func TestLRC(t *testing.T) {
	b := make([]byte, 200)
	for i := range b {
		b[i] = byte(i*i*7 + 13*i)
	}
	for n := range len(b) {
		want := byte(0)
		for _, c := range b[:n] {
			want ^= c
		}
		if got := lrc(b[:n]); got != want {
			t.Errorf("%d bytes: got %02x, want %02x", n, got, want)
		}
	}
}

func TestFrameLimits(t *testing.T) {
	most := strings.Repeat("x", maxData)
	if got, err := newFrames(bytes.NewReader(frameOf(t, most))).next(); err != nil || string(got) != most {
		t.Errorf("a frame of %d bytes: got %d, %v", maxData, len(got), err)
	}
	if b, err := appendFrame(nil, []byte(most+"x")); err == nil || len(b) != 0 {
		t.Errorf("a frame of %d bytes: no error", maxData+1)
	}
}

// TestFrameResync: after a bad frame the next good one is found, one that a
// wrong length has swallowed too.
func TestFrameResync(t *testing.T) {
	good := frameOf(t, `{"method":"x"}`)
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	swallows := bytes.Clone(good)
	binary.BigEndian.PutUint16(swallows[3:], uint16(len(good)+20))
	for name, in := range map[string][]byte{
		"wrong check byte": bad, "no data": {stx, protocol, version, 0, 0, 0}, "another version": {stx, protocol, 2, 0, 1, 'A', 'A'},
		"another protocol": {stx, 0xee, version, 0, 1, 'A', 'A'}, "wrong length": swallows, "two starts": {stx, stx, protocol},
	} {
		f := newFrames(bytes.NewReader(append(bytes.Clone(in), good...)))
		var data []byte
		var err error
		for range 10 {
			if data, err = f.next(); err == nil || !errors.Is(err, frame.ErrCorrupt) {
				break
			}
		}
		for err == io.EOF && f.pending() > 0 && string(data) == "" { // silence in the middle
			f.giveUp()
			data, err = f.next()
		}
		if string(data) != `{"method":"x"}` {
			t.Errorf("%s: got %q, %v", name, data, err)
		}
	}
}

func TestFrameNoProgress(t *testing.T) {
	if _, err := newFrames(readNothing{}).next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

type readNothing struct{}

func (readNothing) Read([]byte) (int, error) { return 0, nil }

func FuzzFrames(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.bytes(f))
	}
	f.Add([]byte("\x02\x66\x01\xff\xff"))
	f.Add([]byte("\x02\x66\x01\x00\x00\x00\x02\x66\x01\x00\x01AA"))
	f.Fuzz(func(t *testing.T, b []byte) {
		in := newFrames(iotest.HalfReader(bytes.NewReader(b)))
		for n := 0; ; n++ {
			data, err := in.next()
			if err == nil {
				if len(data) == 0 || !bytes.Contains(b, frameOf(t, string(data))) {
					t.Fatalf("a frame that is not in the input: %x", data)
				}
			} else if !errors.Is(err, frame.ErrCorrupt) {
				return
			}
			if n > len(b) {
				t.Fatal("more frames than bytes")
			}
		}
	})
}

func BenchmarkLRC(b *testing.B) {
	data := make([]byte, maxData)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		lrc(data)
	}
}

// BenchmarkCopy is the memory's speed, for comparison.
func BenchmarkCopy(b *testing.B) {
	from, to := make([]byte, maxData), make([]byte, maxData)
	b.SetBytes(int64(len(from)))
	for b.Loop() {
		copy(to, from)
	}
}

// BenchmarkReadFrame reads the frame of a result.
func BenchmarkReadFrame(b *testing.B) {
	good := frameOf(b, sampleResult)
	r := bytes.NewReader(good)
	in := newFrames(r)
	b.SetBytes(int64(len(good)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(good)
		if _, err := in.next(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecode decodes a result.
func BenchmarkDecode(b *testing.B) {
	data := []byte(sampleResult)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(data); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRejectFrame reads a frame with a wrong check byte.
func BenchmarkRejectFrame(b *testing.B) {
	bad := frameOf(b, vectors(b)[0].Data)
	bad[len(bad)-1] ^= 1
	r := bytes.NewReader(bad)
	in := newFrames(r)
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(bad)
		in.start, in.end = 0, 0
		if _, err := in.next(); err == nil {
			b.Fatal("accepted")
		}
	}
}

func TestRejectAllocatesNothing(t *testing.T) {
	bad := frameOf(t, vectors(t)[0].Data)
	bad[len(bad)-1] ^= 1
	r := bytes.NewReader(bad)
	in := newFrames(r)
	if n := testing.AllocsPerRun(100, func() {
		r.Reset(bad)
		in.start, in.end = 0, 0
		if _, err := in.next(); err == nil {
			t.Fatal("accepted")
		}
	}); n != 0 {
		t.Errorf("rejecting a bad frame allocates %v times", n)
	}
}
