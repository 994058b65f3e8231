package ecrvn

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/linktest"
	"tillgate/link/stream"
)

// webRig is a simulator behind an HTTP server on loopback.
type webRig struct {
	*rig
	server *httptest.Server
	addr   string
}

func newWebRig(t *testing.T, secure bool, script ...string) *webRig {
	t.Helper()
	w := &webRig{rig: newRig(t, script...)}
	w.server = httptest.NewUnstartedServer(w.sim)
	w.server.Config.ErrorLog = log.New(io.Discard, "", 0)
	if secure {
		w.server.StartTLS()
		sum := sha256.Sum256(w.server.Certificate().Raw)
		w.settings.Web.CertificateSHA256 = hex.EncodeToString(sum[:])
	} else {
		w.server.Start()
	}
	t.Cleanup(func() { w.sim.Close(); w.server.Close() })
	w.addr = w.server.URL
	return w
}

func (w *webRig) open() (link.Terminal, error) {
	return Open(w.t.Context(), link.Config{Name: "web", Address: w.addr, Currency: "VND", Settings: w.settings, Longest: 2 * time.Second})
}

func TestWeb(t *testing.T) {
	for name, secure := range map[string]bool{"http": false, "https": true} {
		t.Run(name, func(t *testing.T) {
			w := newWebRig(t, secure, "approve", "decline:55", "lost-answer", "half-answer", "reboot", "cancel")
			term, err := w.open()
			if err != nil {
				t.Fatal(err)
			}
			defer term.Close()
			for i, want := range []payment.Result{payment.Approved, payment.Declined, "", "", "", payment.Cancelled} {
				tx := w.purchase(term.(*terminal), string(rune('A'+i)))
				o, err := term.Execute(t.Context(), tx, link.Dialogue{})
				if want != "" {
					if err != nil || o.Result != want {
						t.Errorf("sale %d: got %+v, %v, want %s", i, o, err, want)
					}
					continue
				}
				if err == nil || !link.Sent(err) {
					t.Errorf("sale %d: got %+v, %v, want an error after sending", i, o, err)
				}
				o, err = term.Lookup(t.Context(), tx, time.Second)
				if err != nil || o.Result != payment.Approved {
					t.Errorf("sale %d: lookup got %+v, %v", i, o, err)
				}
			}
		})
	}
}

// TestWebRequest looks at the bytes of a request: the query is the document's
// text, nothing in it is percent-encoded, and the profile's headers are there.
func TestWebRequest(t *testing.T) {
	s := defaults()
	s.Web.Method, s.Web.Body, s.Web.Headers = "POST", `{"merchInfo":{"bill_number":"42"}}`, map[string]string{"x-api-key": "k"}
	w, err := newWeb("http://192.168.0.2:8080", s, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := w.render(sale("Request:001", "UserName:Manh123", 2000, []string{"1", "2", "3", "4", "5"}).query())
	if err != nil {
		t.Fatal(err)
	}
	const want = "POST /ecr?rqt=Request:001|UserName:Manh123&cmd=sale|2000|1|2|3|4|5 HTTP/1.1\r\n"
	if !strings.HasPrefix(string(text), want) {
		t.Errorf("got %q, want it to begin with %q", text, want)
	}
	for _, part := range []string{"\r\nX-Api-Key: k\r\n", "\r\nConnection: close\r\n", "\r\nHost: 192.168.0.2:8080\r\n", "\r\n\r\n" + s.Web.Body} {
		if !strings.Contains(string(text), part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
	for address, want := range map[string]string{
		"http://10.0.0.1": "http://10.0.0.1/ecr", "http://10.0.0.1/": "http://10.0.0.1/ecr", "http://10.0.0.1:81/pos": "http://10.0.0.1:81/pos",
	} {
		if w, err := newWeb(address, defaults(), nil); err != nil || w.base.String() != want {
			t.Errorf("%s: got %v, %v, want %s", address, w.base, err, want)
		}
	}
	s.Web.Port = 8443
	if w, err := newWeb("http://10.0.0.1", s, nil); err != nil || w.base.Host != "10.0.0.1:8443" {
		t.Errorf("port of the profile: got %v, %v", w.base, err)
	}
	for _, bad := range []string{"http://", "http://user:pw@10.0.0.1", "http://10.0.0.1/ecr?rqt=1", "https://10.0.0.1"} {
		if _, err := newWeb(bad, defaults(), nil); err == nil {
			t.Errorf("%s: no error", bad)
		}
	}
}

// TestPinnedCertificate accepts the terminal's own certificate by fingerprint
// and by file, and no other.
func TestPinnedCertificate(t *testing.T) {
	w := newWebRig(t, true)
	file := filepath.Join(t.TempDir(), "pos.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: w.server.Certificate().Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	right := w.settings.Web.CertificateSHA256
	wrong := strings.Repeat("ab", 32)
	for _, c := range []struct {
		name, sum, file string
		ok              bool
	}{
		{"fingerprint", right, "", true}, {"fingerprint with colons", strings.ToUpper(right[:2]) + ":" + right[2:], "", true}, {"file", "", file, true},
		{"another fingerprint", wrong, "", false}, {"a file that is none", "", "web_test.go", false}, {"neither", "", "", false},
	} {
		w.settings.Web.CertificateSHA256, w.settings.Web.CertificateFile = c.sum, c.file
		term, err := w.open()
		if (err == nil) != c.ok || err != nil && link.Sent(err) {
			t.Errorf("%s: got %v", c.name, err)
		}
		if err == nil {
			term.Close()
		}
	}
}

// TestWebResponses is what a web server may do that is no answer.
func TestWebResponses(t *testing.T) {
	var elsewhere sync.Once
	asked := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { elsewhere.Do(func() { close(asked) }) })
	mux.HandleFunc("/redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) })
	mux.HandleFunc("/fault", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		io.WriteString(w, `{"requestId":"A","status":"DONE"}`)
	})
	mux.HandleFunc("/empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	for _, path := range []string{"/redirect", "/fault", "/empty", "/endless"} {
		w, err := newWeb(server.URL+path, defaults(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		sent, err := w.exchange(t.Context(), call{query: "rqt=A|B&cmd=last_trans", within: 5 * time.Second, take: func(answer) bool { return true }})
		if err == nil || !sent || errors.Is(err, stream.ErrSilent) {
			t.Errorf("%s: got %v, %v, want an error at once, after sending", path, sent, err)
		}
	}
	select {
	case <-asked:
		t.Error("a redirect was followed")
	default:
	}
}

// TestWebSent breaks the connection at every byte of the request: up to the
// first one nothing was sent.
func TestWebSent(t *testing.T) {
	s := defaults()
	w, err := newWeb("http://pos", s, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := w.render("rqt=A|B&cmd=sale|1")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(text) + 1 {
		ours, theirs := net.Pipe()
		go func() {
			http.ReadRequest(bufio.NewReader(theirs))
			theirs.Close()
		}()
		w.Dial = func(context.Context) (link.Conn, error) { return linktest.BreakAt(ours, n, linktest.CutWrite), nil }
		sent, err := w.exchange(t.Context(), call{query: "rqt=A|B&cmd=sale|1", within: time.Second, take: func(answer) bool { return true }})
		if err == nil || sent != (n > 0) {
			t.Errorf("broken at %d: got %v, %v", n, sent, err)
		}
	}
	w.Dial = func(context.Context) (link.Conn, error) { return nil, errors.New("refused") }
	if sent, err := w.exchange(t.Context(), call{}); err == nil || sent {
		t.Errorf("no connection: got %v, %v", sent, err)
	}
}

// TestWebClose wakes a sale that waits for the customer.
func TestWebClose(t *testing.T) {
	w := newWebRig(t, false, "slow:1h")
	term, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	tx := w.purchase(term.(*terminal), "A")
	told := make(chan struct{})
	go func() { <-told; term.Close() }()
	_, err = term.Execute(t.Context(), tx, link.Dialogue{Progress: func(payment.Stage, payment.VendorCode) { close(told) }})
	if err == nil || !link.Sent(err) || errors.Is(err, stream.ErrSilent) {
		t.Errorf("got %v, want an error after sending", err)
	}
	if _, err := term.Execute(t.Context(), tx, link.Dialogue{}); err == nil || link.Sent(err) {
		t.Errorf("after close: got %v, want an error with nothing sent", err)
	}
}
