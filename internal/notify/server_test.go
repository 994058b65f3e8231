package notify

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// signed is a small protocol: JSON with its HMAC-SHA256 in the header X-Sign.
type signed struct{}

var signedKey = []byte("key of the tests")

func sign(body []byte) string {
	m := hmac.New(sha256.New, signedKey)
	m.Write(body)
	return hex.EncodeToString(m.Sum(nil))
}

func (signed) Decode(r link.NotifyRequest) ([]payment.Notice, error) {
	if !hmac.Equal([]byte(sign(r.Body)), []byte(r.Header.Get("X-Sign"))) {
		return nil, errors.New("signature")
	}
	var n payment.Notice
	switch {
	case string(r.Body) == "panic":
		panic("a card number")
	case json.Unmarshal(r.Body, &n) != nil:
		return nil, fmt.Errorf("%w: no JSON", link.ErrUnreadable)
	}
	return []payment.Notice{n}, nil
}

// ledger is a gateway that remembers what it was told, or fails.
type ledger struct {
	mu      sync.Mutex
	notices []payment.Notice
	alerts  []string
	fail    error
}

func (l *ledger) Notify(ctx context.Context, n payment.Notice) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fail != nil {
		return false, l.fail
	}
	if err := n.Validate(); err != nil {
		return false, err
	}
	l.notices = append(l.notices, n)
	return false, nil
}

func (l *ledger) Raise(code payment.AlertCode, text string, _ ...payment.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alerts = append(l.alerts, string(code)+" "+text)
}

type world struct {
	t      *testing.T
	ledger *ledger
	log    *bytes.Buffer
	url    string
	addr   string
	client *http.Client
}

func start(t *testing.T, change func(*Options)) *world {
	t.Helper()
	w := &world{t: t, ledger: &ledger{}, log: &bytes.Buffer{}, client: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	o := Options{
		Address: "127.0.0.1:0", Gateway: w.ledger, Hold: time.Millisecond, Log: slog.New(slog.NewTextHandler(lockedWriter{w.log, &sync.Mutex{}}, nil)),
		Senders: []Sender{{
			Name: "bank", Path: "/ipn", Notifier: signed{}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
			Accepted: link.NotifyAnswer{Status: 200, ContentType: "text/plain", Body: "SUCCESS"},
			Refused:  link.NotifyAnswer{Status: 400, ContentType: "text/plain", Body: "REFUSED"},
		}},
	}
	if change != nil {
		change(&o)
	}
	s, err := Listen(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	w.addr = s.Addr().String()
	w.url = "http://" + w.addr + "/ipn"
	return w
}

type lockedWriter struct {
	w  io.Writer
	mu *sync.Mutex
}

func (l lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}

func notice(key string) []byte {
	b, err := json.Marshal(payment.Notice{Key: key, Transaction: "T", Operation: payment.Purchase, Outcome: payment.Outcome{Result: payment.Approved}})
	if err != nil {
		panic(err)
	}
	return b
}

// post sends one body and returns the whole answer but its date.
func (w *world) post(body []byte, edit ...func(*http.Request)) (int, string) {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("X-Sign", sign(body))
	for _, e := range edit {
		e(r)
	}
	a, err := w.client.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer a.Body.Close()
	a.Header.Del("Date")
	var all strings.Builder
	_ = a.Header.Write(&all)
	b, err := io.ReadAll(a.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return a.StatusCode, all.String() + "\n" + string(b)
}

func forged(r *http.Request) { r.Header.Set("X-Sign", sign([]byte("something else"))) }

func TestAnswers(t *testing.T) {
	w := start(t, func(o *Options) { o.MaxBody = 4096 })
	status, accepted := w.post(notice("1"))
	if status != 200 || !strings.HasSuffix(accepted, "SUCCESS") || len(w.ledger.notices) != 1 || w.ledger.notices[0].From != "bank" {
		t.Fatalf("%d %s, %+v", status, accepted, w.ledger.notices)
	}
	if _, again := w.post(notice("1")); again != accepted {
		t.Errorf("a repeated one is answered %q, the first one %q", again, accepted)
	}
	_, refused := w.post([]byte("x"), forged)
	for name, body := range map[string][]byte{"not JSON": []byte("{"), "not valid": []byte(`{"key":"k"}`), "a mistake of ours": []byte("panic"), "empty": nil} {
		if status, got := w.post(body); status != 400 || got != refused {
			t.Errorf("%s: %d %q, a bad signature gets %q", name, status, got, refused)
		}
	}
	if n := len(w.ledger.alerts); n != 3 { // not JSON, not valid, empty: genuine, and not understood
		t.Errorf("alerts: %v", w.ledger.alerts)
	}
	for _, tt := range []struct {
		name   string
		body   []byte
		status int
		edit   func(*http.Request)
	}{
		{"another path", notice("2"), 404, func(r *http.Request) { r.URL.Path = "/other" }},
		{"a path below", notice("2"), 404, func(r *http.Request) { r.URL.Path = "/ipn/" }},
		{"GET", notice("2"), 405, func(r *http.Request) { r.Method = http.MethodGet }},
		{"too large", make([]byte, 4097), 413, nil},
		{"too large, in chunks", make([]byte, 1<<20), 413, func(r *http.Request) { r.ContentLength = -1 }},
		{"as large as may be", make([]byte, 4096), 400, nil},
		{"large header", notice("2"), 431, func(r *http.Request) { r.Header.Set("X-Long", strings.Repeat("a", 20<<10)) }},
	} {
		edit := tt.edit
		if edit == nil {
			edit = func(*http.Request) {}
		}
		if status, got := w.post(tt.body, edit); status != tt.status {
			t.Errorf("%s: %d %q, want %d", tt.name, status, got, tt.status)
		}
	}
	w.ledger.mu.Lock()
	w.ledger.fail = errors.New("disk")
	w.ledger.mu.Unlock()
	if status, got := w.post(notice("3")); status != 503 || strings.Contains(got, "disk") {
		t.Errorf("without a journal: %d %q", status, got)
	}
	if len(w.ledger.notices) != 2 {
		t.Errorf("%d notices were handed over, want 2", len(w.ledger.notices))
	}
	if n := strings.Count(w.log.String(), "request refused"); n > 1 {
		t.Errorf("%d lines about refusals within a minute, want 1:\n%s", n, w.log.String())
	}
	if strings.Contains(w.log.String(), "a card number") {
		t.Error("the log has what a panic was about")
	}
}

func TestSources(t *testing.T) {
	away := []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}
	t.Run("a stranger is closed before a byte", func(t *testing.T) {
		w := start(t, func(o *Options) { o.Senders[0].Allow = away })
		if status, got := w.post(notice("1")); status != 0 {
			t.Errorf("%d %q", status, got)
		}
	})
	t.Run("a stranger to this sender", func(t *testing.T) {
		w := start(t, func(o *Options) {
			other := o.Senders[0]
			other.Name, other.Path = "other", "/other"
			o.Senders[0].Allow = away
			o.Senders = append(o.Senders, other)
		})
		if status, _ := w.post(notice("1")); status != 403 {
			t.Errorf("status %d", status)
		}
	})
	behind := func(o *Options) {
		o.Senders[0].Allow = away
		o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}
	for _, tt := range []struct {
		name, forwarded string
		status          int
	}{
		{"named by the proxy", "203.0.113.9", 200},
		{"the last one counts", "203.0.113.9, 198.51.100.1", 403},
		{"what the client claims does not", "198.51.100.1, 203.0.113.9", 200},
		{"a chain of proxies", "203.0.113.9, 127.0.0.1", 200},
		{"IPv4 in IPv6", "::ffff:203.0.113.9", 200},
		{"nobody named", "", 403},
		{"rubbish", "203.0.113.9, x", 403},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := start(t, behind)
			if status, _ := w.post(notice("1"), func(r *http.Request) { r.Header.Set("X-Forwarded-For", tt.forwarded) }); status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
		})
	}
}

// Somebody who sends slowly is cut off, and cannot keep others out: his
// connections are few, and what is over waits.
func TestSlowLoris(t *testing.T) {
	w := start(t, func(o *Options) {
		o.HeaderTimeout, o.BodyTimeout = 300*time.Millisecond, 600*time.Millisecond
		o.Connections, o.PerSource = 6, 4
	})
	var slow []net.Conn
	for i := range 4 {
		c, err := net.Dial("tcp", w.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		text := "POST /ipn HTTP/1.1\r\nHost: x\r\n" // never ends
		if i%2 == 1 {
			text += "Content-Length: 1000\r\n\r\n{" // nor does this
		}
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		slow = append(slow, c)
	}
	if fifth, err := net.Dial("tcp", w.addr); err == nil { // a reset can be as quick as the dialler
		defer fifth.Close()
		fifth.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := fifth.Read(make([]byte, 1)); n != 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a fifth connection of one address is served: %d %v", n, err)
		}
	}
	for i, c := range slow {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if b, err := io.ReadAll(c); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("connection %d is still open: %q", i, b)
		}
	}
	for until := time.Now().Add(10 * time.Second); ; { // a slot is free a moment after its connection is closed
		status, got := w.post(notice("1"))
		if status == 200 {
			break
		}
		if time.Now().After(until) {
			t.Fatalf("afterwards: %d %s", status, got)
		}
	}
}

func TestCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, cert, key, "one")
	w := start(t, func(o *Options) { o.CertFile, o.KeyFile = cert, key })
	w.url = "https://" + w.addr + "/ipn"
	w.client.Transport = &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}
	if status, got := w.post(notice("1")); status != 200 {
		t.Fatalf("%d %s", status, got)
	}
	c, err := newCertificate(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	name := func() string {
		pair, err := c.get(nil)
		if err != nil {
			t.Fatal(err)
		}
		return pair.Leaf.Subject.CommonName
	}
	writeCertificate(t, cert, key, "two")
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(cert, later, later); err != nil {
		t.Fatal(err)
	}
	if got := name(); got != "one" {
		t.Errorf("looked at too soon: %s", got)
	}
	c.looked = time.Now().Add(-time.Minute)
	if got := name(); got != "two" {
		t.Errorf("after the renewal: %s", got)
	}
	if err := os.WriteFile(cert, []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	c.looked = time.Now().Add(-time.Minute)
	if got := name(); got != "two" {
		t.Errorf("after half a renewal: %s", got)
	}
	if _, err := Listen(Options{Address: "127.0.0.1:0", CertFile: cert, KeyFile: key, Gateway: w.ledger, Senders: []Sender{{Name: "b", Path: "/", Notifier: signed{}, Allow: []netip.Prefix{netip.MustParsePrefix("::/0")}}}}); err == nil {
		t.Error("a certificate that cannot be read is taken")
	}
}

func writeCertificate(t testing.TB, cert, key, name string) {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &k.PublicKey, k)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	good := Sender{Name: "b", Path: "/ipn", Notifier: signed{}, Allow: []netip.Prefix{netip.MustParsePrefix("::/0")}}
	for name, change := range map[string]func(*Options){
		"no sender":       func(o *Options) { o.Senders = nil },
		"no gateway":      func(o *Options) { o.Gateway = nil },
		"half a key pair": func(o *Options) { o.CertFile = "c" },
		"path":            func(o *Options) { o.Senders[0].Path = "ipn" },
		"two of one path": func(o *Options) { o.Senders = append(o.Senders, good) },
		"nobody allowed":  func(o *Options) { o.Senders[0].Allow = nil },
		"address":         func(o *Options) { o.Address = "nowhere:x" },
	} {
		o := Options{Address: "127.0.0.1:0", Gateway: &ledger{}, Senders: []Sender{good}}
		change(&o)
		if s, err := Listen(o); err == nil {
			s.Close()
			t.Errorf("%s: taken", name)
		}
	}
}
