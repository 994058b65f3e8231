package crashtest

import (
	"bufio"
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"aead.dev/minisign"
	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/firmware"
	"tillgate/internal/loopback"
	"tillgate/internal/mosquitto"
	"tillgate/internal/payment"
	"tillgate/store"
)

// TestAnnouncedUpdate is an update from its announcement over MQTT to the event
// of its end, with the real binary, both brokers, a server that breaks off, and a
// payment that is open meanwhile. Only systemd is played: by [service].
func TestAnnouncedUpdate(t *testing.T) {
	if testing.Short() {
		t.Skip("builds two binaries and waits for a trial; run without -short")
	}
	built := t.TempDir()
	for _, v := range []firmware.Version{"v1.0.0", "v1.1.0"} {
		build := exec.Command("go", "build", "-ldflags", "-X main.version="+string(v), "-o", filepath.Join(built, string(v)), "tillgate")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build: %v\n%s", err, out)
		}
	}
	mute := "#!/bin/sh\n[ \"$1\" = version ] && echo '{\"version\":\"v1.2.0\",\"journal\":1}' && exit\nexec sleep 100\n" + strings.Repeat(strings.Repeat("#", 1023)+"\n", 20<<10) // as a gateway
	if err := os.WriteFile(filepath.Join(built, "v1.2.0"), []byte(mute), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Run("embedded broker", func(t *testing.T) {
		t.Parallel()
		announced(t, built, true)
	})
	t.Run("mosquitto", func(t *testing.T) {
		t.Parallel()
		announced(t, built, false)
	})
}

func announced(t *testing.T, built string, embedded bool) {
	s := newService(t, built, embedded)
	s.do("start")
	ear := s.listen()
	ear.await("the box to sell", func(e *backend) bool { return e.sells })

	// A payment whose goods are still to be given is open.
	ear.send("purchase", map[string]any{"id": "P1", "terminal": "front", "amount": payment.Money{Minor: 5000, Currency: "VND"}, "fulfil_within_ms": 60000, "session": ear.now()})
	ear.await("an authorised payment", func(e *backend) bool { return e.at("payment.authorised", "P1") > 0 })

	ear.send("update", map[string]any{"bundle": s.serve("v1.1.0")})
	s.await("the bundle to be unpacked", func() bool { return exists(filepath.Join(s.fw, "versions", "v1.1.0", firmware.Program)) })
	if st, err := firmware.ReadState(s.fw); err != nil || st.Phase != firmware.PhaseStaging || s.stops.Load() != 0 {
		t.Errorf("with a payment open: phase %q, %d stops (%v)", st.Phase, s.stops.Load(), err)
	}
	ear.send("dispense", map[string]any{"id": "P1"})
	ear.send("commit", map[string]any{"id": "P1"})
	ear.await("the end of the update", func(e *backend) bool { return e.at("firmware.final", "confirmed") > 0 })
	ear.mu.Lock()
	paid, ended := ear.at("payment.final", "P1"), ear.at("firmware.final", "confirmed")
	ear.mu.Unlock()
	if paid == 0 || paid > ended {
		t.Errorf("in this order: paid %d, confirmed %d", paid, ended)
	}
	if s.answers.Load() < 2 {
		t.Errorf("the server was asked %d times: nothing broke off", s.answers.Load())
	}
	ear.await("the new version to sell", func(e *backend) bool { return e.sells })
	ear.send("purchase", map[string]any{"id": "P2", "terminal": "front", "amount": payment.Money{Minor: 7000, Currency: "VND"}, "session": ear.now()})
	ear.await("a payment with the new version", func(e *backend) bool { return e.at("payment.final", "P2") > 0 })

	// One that is not there is told of, although the update before went well.
	ear.send("update", map[string]any{"bundle": s.serve("gone")})
	ear.await("an alert", func(e *backend) bool { return strings.Contains(e.alert, "could not be fetched") })

	// One that does not come up is taken back, and the box says so. It is fetched
	// although the gateway is started anew meanwhile, after 8 MB or more of it.
	before := s.answers.Load()
	ear.send("update", map[string]any{"bundle": s.serve("v1.2.0")})
	s.await("the bundle to be on its way", func() bool { return s.answers.Load() > before })
	s.do("stop")
	s.do("start")
	ear.await("the version to be taken back", func(e *backend) bool {
		return e.at("firmware.final", "rolled-back") > 0 && strings.Contains(e.alert, "taken back")
	})
	ear.await("the old version to sell", func(e *backend) bool { return e.sells })
	charged := 0
	for _, e := range s.k.sim.Ledger() {
		if e.Charged && !e.Reversed {
			charged++
		}
	}
	if charged != 2 {
		t.Errorf("the bank charged %d times, want 2", charged)
	}
}

// service is a box with its units: systemctl is a script that has the test do
// what is asked, and the path unit is a loop.
type service struct {
	t          *testing.T
	k          *kiosk
	dir, fw    string
	conf, data string
	broker     string
	depot      *httptest.Server
	bundles    map[string][]byte
	answers    atomic.Int32
	stops      atomic.Int32
	env        []string

	mu  sync.Mutex
	run *exec.Cmd
}

func newService(t *testing.T, built string, embedded bool) *service {
	dir := t.TempDir()
	s := &service{t: t, k: &kiosk{t: t, on: onECRVN()}, dir: dir, fw: filepath.Join(dir, "fw"), conf: filepath.Join(dir, "tillgate.yaml"), data: filepath.Join(dir, "data"), bundles: map[string][]byte{}}
	for _, d := range []string{"fw", "keys", "bin", "base"} {
		s.check(os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	s.check(os.Link(filepath.Join(built, "v1.0.0"), filepath.Join(dir, "base", firmware.Program)))
	s.check(os.Symlink(filepath.Join(dir, "base"), filepath.Join(s.fw, "current")))
	s.trust(built)
	mqtt := ""
	if embedded {
		free, err := loopback.Free()
		s.check(err)
		s.broker = free
		mqtt = fmt.Sprintf("  broker: {address: %q}\n", s.broker)
	} else {
		s.broker = mosquitto.Start(t).Address
		mqtt = fmt.Sprintf("  destinations:\n    - {name: local, url: \"tcp://%s\", commands: true}\n", s.broker)
	}
	yaml := fmt.Sprintf("box: kiosk-1\ndata: %[1]s/data\nruntime: %[1]s/run\nsocket: %[1]s/run/s\nmqtt:\n%[2]sterminals:\n  - name: front\n    driver: ecrvn\n    address: serial://%[3]s\n    currency: VND\n    max_amount: \"5000000\"\n    longest: 10s\n    timeout: 5s\n    profile: {silent_when_busy: true}\n", dir, mqtt, s.k.terminal())
	s.check(os.WriteFile(s.conf, []byte(yaml), 0o600))
	s.depot = httptest.NewTLSServer(http.HandlerFunc(s.answer))
	t.Cleanup(s.depot.Close)
	ca := filepath.Join(dir, "ca.pem")
	s.check(os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.depot.Certificate().Raw}), 0o644))
	s.env = append(os.Environ(), "PATH="+filepath.Join(dir, "bin")+":"+os.Getenv("PATH"), "SSL_CERT_FILE="+ca, "TILLGATE_FIRMWARE="+s.fw, "TILLGATE_KEYS="+filepath.Join(dir, "keys"))
	s.systemd()
	return s
}

// trust signs the bundles with a key that the box trusts.
func (s *service) trust(built string) {
	pub, key, err := minisign.GenerateKey(nil)
	s.check(err)
	text, err := pub.MarshalText()
	s.check(err)
	s.check(os.WriteFile(filepath.Join(s.dir, "keys", "vendor.pub"), text, 0o644))
	for _, v := range []firmware.Version{"v1.1.0", "v1.2.0"} {
		var b bytes.Buffer
		m := firmware.Manifest{Version: v, Machine: "amd64", Method: firmware.MethodBinary, Journal: store.Format}
		if out, err := exec.Command("go", "env", "GOARCH").Output(); err == nil {
			m.Machine = strings.TrimSpace(string(out))
		}
		s.check(firmware.Make(&b, m, filepath.Join(built, string(v)), key))
		s.bundles[string(v)] = b.Bytes()
	}
}

func (s *service) serve(version string) (address string) { return s.depot.URL + "/" + version }

// answer breaks off after 8 MB.
func (s *service) answer(w http.ResponseWriter, r *http.Request) {
	s.answers.Add(1)
	b := s.bundles[strings.TrimPrefix(r.URL.Path, "/")]
	if b == nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", fmt.Sprintf("%q", r.URL.Path))
	http.ServeContent(&breaksOff{w, 8 << 20}, r, "", time.Time{}, bytes.NewReader(b))
}

type breaksOff struct {
	http.ResponseWriter
	left int
}

func (b *breaksOff) Write(p []byte) (int, error) {
	if len(p) >= b.left {
		_, _ = b.ResponseWriter.Write(p[:b.left])
		_ = http.NewResponseController(b.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

func (s *service) check(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *service) await(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(45 * time.Second); !done(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

// systemd answers systemctl, and starts root's part when it is asked for.
func (s *service) systemd() {
	ask, answer := filepath.Join(s.dir, "ask"), filepath.Join(s.dir, "answer")
	s.check(syscall.Mkfifo(ask, 0o600))
	s.check(syscall.Mkfifo(answer, 0o600))
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >%s\nread done <%s\n", ask, answer)
	s.check(os.WriteFile(filepath.Join(s.dir, "bin", "systemctl"), []byte(script), 0o755))
	in, err := os.OpenFile(ask, os.O_RDWR, 0)
	s.check(err)
	out, err := os.OpenFile(answer, os.O_RDWR, 0)
	s.check(err)
	log, err := os.Create(filepath.Join(s.dir, "log"))
	s.check(err)
	s.k.log = log
	var parts sync.WaitGroup
	over := make(chan struct{})
	parts.Go(func() {
		for lines := bufio.NewScanner(in); lines.Scan(); {
			s.do(lines.Text())
			fmt.Fprintln(out, "done")
		}
	})
	parts.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(20 * time.Millisecond):
			}
			if !exists(filepath.Join(s.data, "firmware", "request")) {
				continue
			}
			apply := exec.Command(filepath.Join(s.dir, "base", firmware.Program), "--config", s.conf, "firmware", "--base", filepath.Join(s.dir, "base"), "--trial", "15s", "--steady", "500ms",
				"--rauc", filepath.Join(s.dir, "none"), "apply", "--inbox", filepath.Join(s.data, "firmware"))
			apply.Env, apply.Stdout, apply.Stderr = s.env, log, log
			apply.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			if err := apply.Run(); err != nil {
				s.t.Errorf("root's part ends with %v", err)
			}
		}
	})
	s.t.Cleanup(func() {
		close(over)
		s.do("stop")
		in.Close()
		parts.Wait()
		out.Close()
		log.Close()
		if b, err := os.ReadFile(log.Name()); err == nil && s.t.Failed() {
			s.t.Logf("log, its end:\n%s", b[max(0, len(b)-20_000):])
		}
	})
}

// do starts or stops what "current" leads to.
func (s *service) do(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	words := strings.Fields(command)
	switch {
	case slices.Contains(words, "stop"):
		if s.run == nil {
			return
		}
		s.stops.Add(1)
		_ = s.run.Process.Signal(syscall.SIGTERM)
		_ = s.run.Wait()
		s.run = nil
	case slices.Contains(words, "start") && s.run == nil:
		s.run = exec.Command(filepath.Join(s.fw, "current", firmware.Program), "run", s.conf)
		s.run.Env, s.run.Stdout, s.run.Stderr = s.env, s.k.log, s.k.log
		s.run.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		if err := s.run.Start(); err != nil {
			s.t.Errorf("start: %v", err)
			s.run = nil
		}
	}
}

// backend hears everything and comes back when the broker does.
type backend struct {
	t      *testing.T
	client paho.Client
	root   string

	mu      sync.Mutex
	session string
	sells   bool
	alert   string // firmware-failed
	events  []heard
	replies []string
}

type heard struct {
	seq           uint64
	kind, subject string
	data          string
}

func (s *service) listen() *backend {
	e := &backend{t: s.t, root: "tillgate/v1/kiosk-1/"}
	o := paho.NewClientOptions().AddBroker("tcp://" + s.broker).SetClientID("back").SetProtocolVersion(4)
	o.SetAutoReconnect(true).SetMaxReconnectInterval(200 * time.Millisecond).SetConnectRetry(true).SetConnectRetryInterval(100 * time.Millisecond)
	o.SetCredentialsProvider(func() (string, string) {
		b, _ := os.ReadFile(filepath.Join(s.data, "kiosk.password")) // there is none for mosquitto
		return "kiosk", strings.TrimSpace(string(b))
	})
	o.SetOnConnectHandler(func(c paho.Client) { c.Subscribe(e.root+"+/#", 1, e.hear) })
	o.SetConnectionLostHandler(func(paho.Client, error) { e.gone() })
	e.client = paho.NewClient(o)
	e.client.Connect()
	s.t.Cleanup(func() { e.client.Disconnect(100) })
	return e
}

func (e *backend) gone() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sells, e.session = false, ""
}

func (e *backend) hear(_ paho.Client, m paho.Message) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch topic := strings.TrimPrefix(m.Topic(), e.root); {
	case topic == "info":
		var info struct{ Session string }
		_ = json.Unmarshal(m.Payload(), &info)
		e.session = info.Session
	case topic == "sellable":
		var s struct{ OK bool }
		_ = json.Unmarshal(m.Payload(), &s)
		e.sells = s.OK
	case topic == "alert/firmware-failed":
		e.alert = string(m.Payload())
	case strings.HasPrefix(topic, "reply/"):
		e.replies = append(e.replies, string(m.Payload()))
	case strings.HasPrefix(topic, "event/"), topic == "replay/back":
		var v struct {
			Type, Subject, Sequence string
			Data                    json.RawMessage
		}
		_ = json.Unmarshal(m.Payload(), &v)
		seq, _ := strconv.ParseUint(v.Sequence, 10, 64)
		kind := strings.TrimSuffix(strings.TrimPrefix(v.Type, "tillgate."), ".v1")
		e.events = append(e.events, heard{seq, kind, v.Subject, string(v.Data)})
	}
}

// at is the sequence number of an event of a kind whose subject or data has text;
// 0: there is none.
func (e *backend) at(kind, text string) uint64 {
	for _, h := range e.events {
		if h.kind == kind && strings.Contains(h.subject+h.data, text) {
			return h.seq
		}
	}
	return 0
}

// now is the session to quote. That the box sells can be heard before it.
func (e *backend) now() string {
	e.t.Helper()
	e.await("a session", func(e *backend) bool { return e.session != "" })
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.session
}

func (e *backend) send(verb string, payload map[string]any) {
	e.t.Helper()
	payload["client"] = "back"
	b, err := json.Marshal(payload)
	if err != nil {
		e.t.Fatal(err)
	}
	if token := e.client.Publish(e.root+"command/"+verb, 1, false, b); token.WaitTimeout(20*time.Second) && token.Error() != nil {
		e.t.Fatal(token.Error())
	}
}

func (e *backend) await(what string, done func(*backend) bool) {
	e.t.Helper()
	for n, end := 1, time.Now().Add(45*time.Second); ; n++ {
		time.Sleep(20 * time.Millisecond)
		if n%50 == 0 && e.client.IsConnected() { // what was said while the embedded broker was away
			e.send("replay", map[string]any{"from": 1})
		}
		e.mu.Lock()
		ok := done(e)
		e.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.t.Fatalf("waited in vain for %s: sells %v, replies %q, events %+v", what, e.sells, e.replies, e.events)
		}
	}
}
