package firmware

import (
	"bytes"
	"context"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// depot serves a bundle, and breaks off after so many bytes of each answer.
type depot struct {
	body   atomic.Pointer[[]byte]
	etag   atomic.Pointer[string]
	most   atomic.Int64 // bytes of one answer; 0: all
	onAsk  func(n int64)
	sent   atomic.Int64 // bytes of bodies
	asked  atomic.Int64
	status int // instead of an answer
}

func (d *depot) set(b []byte, etag string) { d.body.Store(&b); d.etag.Store(&etag) }

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := d.asked.Add(1)
	if d.onAsk != nil {
		d.onAsk(n)
	}
	if d.status != 0 {
		w.WriteHeader(d.status)
		return
	}
	w.Header().Set("ETag", *d.etag.Load())
	http.ServeContent(&cutWriter{ResponseWriter: w, d: d, left: int(d.most.Load())}, r, "", time.Time{}, bytes.NewReader(*d.body.Load()))
}

type cutWriter struct {
	http.ResponseWriter
	d    *depot
	left int
}

func (c *cutWriter) Write(b []byte) (int, error) {
	if c.d.most.Load() > 0 && len(b) >= c.left {
		_, _ = c.ResponseWriter.Write(b[:c.left])
		c.d.sent.Add(int64(c.left))
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler) // the line breaks
	}
	c.left -= len(b)
	n, err := c.ResponseWriter.Write(b)
	c.d.sent.Add(int64(n))
	return n, err
}

func serve(t *testing.T, d *depot) (Fetcher, string) {
	t.Helper()
	s := httptest.NewTLSServer(d)
	t.Cleanup(s.Close)
	c := s.Client()
	c.CheckRedirect = onlyHTTPS
	return Fetcher{Dir: t.TempDir(), Client: c, Pause: time.Millisecond, Tries: 3}, s.URL + "/b"
}

func bulk(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

// A line that breaks again and again brings the whole bundle, each byte once.
func TestFetchResumes(t *testing.T) {
	d := &depot{}
	d.most.Store(100_000)
	want := bulk(950_000)
	d.set(want, `"one"`)
	f, address := serve(t, d)
	file, err := f.Fetch(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d bytes came, not the %d of the bundle (%v)", len(got), len(want), err)
	}
	if n := d.sent.Load(); n > int64(len(want))+200_000 {
		t.Errorf("%d bytes were sent for %d", n, len(want))
	}
	if n := d.asked.Load(); n < 9 {
		t.Errorf("asked %d times: nothing broke", n)
	}
}

// Another bundle at the same address is never joined to the beginning of the
// first one.
func TestFetchDoesNotMix(t *testing.T) {
	d := &depot{}
	d.most.Store(100_000)
	d.set(bulk(300_000), `"one"`)
	f, address := serve(t, d)
	ctx, cancel := context.WithCancel(context.Background())
	d.onAsk = func(n int64) {
		if n == 2 {
			cancel()
		}
	}
	if _, err := f.Fetch(ctx, address); err == nil {
		t.Fatal("it went on after its end")
	}
	want := bulk(300_000)
	d.most.Store(0)
	d.set(want, `"two"`)
	file, err := f.Fetch(context.Background(), address)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(file); !bytes.Equal(got, want) {
		t.Error("two bundles were mixed")
	}
}

func TestFetchGivesUp(t *testing.T) {
	for _, tt := range []struct {
		status int
		asked  int64
	}{{http.StatusNotFound, 1}, {http.StatusForbidden, 1}, {http.StatusServiceUnavailable, 3}} {
		d := &depot{status: tt.status}
		f, address := serve(t, d)
		if _, err := f.Fetch(context.Background(), address); err == nil || d.asked.Load() != tt.asked {
			t.Errorf("%d: asked %d times, want %d (%v)", tt.status, d.asked.Load(), tt.asked, err)
		}
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	d := &depot{}
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}))
	defer s.Close()
	f, _ := serve(t, d)
	f.Client = s.Client()
	f.Client.CheckRedirect = onlyHTTPS
	if _, err := f.Fetch(context.Background(), s.URL); err == nil || !strings.Contains(err.Error(), "away from https") {
		t.Errorf("redirected to http: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(f.Dir, "*.bundle")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

// What would fill the disk is not fetched: payments need room. What was given up
// before makes room.
func TestFetchOnASmallDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	d := &depot{}
	d.set(bulk(600_000), `"one"`)
	f, address := serve(t, d)
	if err := unix.Mount("tmpfs", f.Dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("NOT RUN: no file system in memory can be mounted: %v", err)
	}
	defer func() { _ = unix.Unmount(f.Dir, unix.MNT_DETACH) }()
	if _, err := f.Fetch(context.Background(), address); err == nil || !strings.Contains(err.Error(), "bytes are free") || d.asked.Load() != 1 {
		t.Errorf("it ends after %d answers with %v", d.asked.Load(), err)
	}
	if left, _ := os.ReadDir(f.Dir); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	for _, name := range []string{"0123.part", "0123.part.etag", "4567.bundle"} {
		if err := os.WriteFile(filepath.Join(f.Dir, name), bulk(200_000), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.set(bulk(300_000), `"two"`)
	if _, err := f.Fetch(context.Background(), address); err != nil {
		t.Error(err)
	}
}

// A server that holds the line and sends nothing is left.
func TestFetchStalls(t *testing.T) {
	over := make(chan struct{})
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-over }))
	defer s.Close()
	defer close(over)
	f := Fetcher{Dir: t.TempDir(), Client: s.Client(), Stall: 20 * time.Millisecond, Pause: time.Millisecond, Tries: 2}
	if _, err := f.Fetch(context.Background(), s.URL); err == nil || !strings.Contains(err.Error(), "given up") {
		t.Errorf("it ends with %v", err)
	}
}

func TestCheckAddress(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://updates.example.com/b":        true,
		"http://updates.example.com/b":         false,
		"https://me:secret@example.com/b":      false,
		"file:///etc/passwd":                   false,
		"https://":                             false,
		"":                                     false,
		"https://" + strings.Repeat("a", 3000): false,
	} {
		if err := CheckAddress(address); (err == nil) != ok {
			t.Errorf("%.40s: %v", address, err)
		}
	}
}
