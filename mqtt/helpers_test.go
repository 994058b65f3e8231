package mqtt_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/broker"
	"tillgate/internal/loopback"
	"tillgate/internal/mosquitto"
	"tillgate/mqtt"
)

const childEnv = "TILLGATE_TEST_BROKER"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		os.Exit(broker.Main(os.Stdin, os.Stdout, os.Stderr))
	}
	code := m.Run()
	for deadline := time.Now().Add(15 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := ours()
		if left == "" {
			break
		}
		if time.Now().After(deadline) {
			fmt.Fprintf(os.Stderr, "goroutines stay:\n%s\n", left)
			os.Exit(max(code, 1))
		}
	}
	os.Exit(code)
}

// ours is the stacks of goroutines of this package, of paho and of the broker's
// supervisor, but for the one that asks.
func ours() string {
	buf := make([]byte, 4<<20)
	var left []string
	for i, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if i > 0 && (strings.Contains(g, "tillgate/") || strings.Contains(g, "paho.mqtt")) {
			left = append(left, g)
		}
	}
	return strings.Join(left, "\n\n")
}

const box = "kiosk-7"

// site is a running broker.
type site struct {
	url                  string
	user, password       string // of the gateway
	kiosk, kioskPassword string
	kill                 func() // -9; it comes back by itself
}

// embedded starts our own broker.
func embedded(t testing.TB) *site {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The port is to be free as well while the broker is down.
	free, err := loopback.Free()
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := net.SplitHostPort(free)
	port, _ := strconv.Atoi(text)
	s := &broker.Supervisor{Box: box, Port: port, Users: []broker.User{broker.KioskUser(box, "sesame")}, Dir: t.TempDir(), Command: []string{exe}, Env: []string{childEnv + "=1"}, CanaryEvery: time.Hour}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Run(ctx); err != nil {
			t.Errorf("broker: %v", err)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	wait, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	url, err := s.Wait(wait)
	if err != nil {
		t.Fatal(err)
	}
	user, password := s.Gateway()
	return &site{url: url, user: user, password: password, kiosk: "kiosk", kioskPassword: "sesame", kill: func() {
		p, err := os.FindProcess(s.Health().PID)
		if err == nil {
			_ = p.Kill()
		}
	}}
}

// debians is Mosquitto with an ACL file, whose lines of the gateway's user may be
// replaced. Passwords are not what is tested here; the user's name selects the ACL.
func debians(t testing.TB, acl string) *site {
	t.Helper()
	if acl == "" {
		acl = "user gateway\ntopic readwrite tillgate/v1/" + box + "/#\n"
	}
	file := filepath.Join(t.TempDir(), "acl")
	write(t, file, acl+"\nuser kiosk\ntopic write tillgate/v1/"+box+"/command/#\ntopic read tillgate/#\n")
	b := mosquitto.Start(t, "acl_file "+file)
	return &site{url: "tcp://" + b.Address, user: "gateway", kiosk: "kiosk", kill: b.Restart}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// onBoth runs a test against both real brokers.
func onBoth(t *testing.T, f func(t *testing.T, s *site)) {
	t.Run("embedded", func(t *testing.T) { f(t, embedded(t)) })
	t.Run("mosquitto", func(t *testing.T) { f(t, debians(t, "")) })
}

// until waits for a condition; the deadline is for a loaded machine.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// options for a quick edge at a site.
func options(s *site, h *house) mqtt.Options {
	o := mqtt.Options{
		Box: box, Destination: "local", URL: s.url, Username: s.user, Commands: true, Gateway: h, Outbox: outbox{h},
		Versions: map[string]string{"tillgate": "test"}, BackoffMin: 5 * time.Millisecond, BackoffMax: 100 * time.Millisecond,
		AckTimeout: 5 * time.Second, ConnectTimeout: 5 * time.Second, TwinEvery: time.Second,
	}
	if s.password != "" {
		o.Password = func() (string, error) { return s.password, nil }
	}
	if os.Getenv("TILLGATE_TEST_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return o
}

// run starts an edge; the returned function stops it and waits.
func run(t testing.TB, o mqtt.Options) (*mqtt.Edge, func()) {
	t.Helper()
	e, err := mqtt.New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	var once sync.Once
	stop := func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run returned %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return e, stop
}

func connected(t testing.TB, e *mqtt.Edge) {
	t.Helper()
	until(t, "connection", func() bool { return e.State().Connected })
}

// controller is a kiosk controller: its own paho client.
type controller struct {
	t  testing.TB
	c  paho.Client
	mu sync.Mutex
	by map[string][]string // payloads by topic, below the box
}

func control(t testing.TB, s *site, filters ...string) *controller {
	t.Helper()
	k := &controller{t: t, by: map[string][]string{}}
	o := paho.NewClientOptions().AddBroker(s.url).SetUsername(s.kiosk).SetPassword(s.kioskPassword)
	o.SetClientID("ctl" + fmt.Sprint(time.Now().UnixNano())).SetProtocolVersion(4).SetAutoReconnect(false)
	o.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
		k.mu.Lock()
		defer k.mu.Unlock()
		topic := strings.TrimPrefix(m.Topic(), "tillgate/v1/"+box+"/")
		k.by[topic] = append(k.by[topic], string(m.Payload()))
	})
	k.c = paho.NewClient(o)
	if tok := k.c.Connect(); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		t.Fatalf("controller: %v", tok.Error())
	}
	t.Cleanup(func() { k.c.Disconnect(100) })
	if filters == nil {
		filters = []string{"#"}
	}
	for _, f := range filters {
		if tok := k.c.Subscribe("tillgate/v1/"+box+"/"+f, 1, nil); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
			t.Fatalf("controller subscribes: %v", tok.Error())
		}
	}
	return k
}

func (k *controller) all(topic string) []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]string(nil), k.by[topic]...)
}

func (k *controller) last(topic string) string {
	if a := k.all(topic); len(a) > 0 {
		return a[len(a)-1]
	}
	return ""
}

func (k *controller) publish(verb, payload string, retained bool) {
	k.t.Helper()
	if tok := k.c.Publish("tillgate/v1/"+box+"/command/"+verb, 1, retained, payload); !tok.WaitTimeout(5*time.Second) || tok.Error() != nil {
		k.t.Fatalf("controller publishes: %v", tok.Error())
	}
}

// session is what info says now.
func (k *controller) session() string {
	k.t.Helper()
	var info mqtt.Info
	until(k.t, "info", func() bool { return json.Unmarshal([]byte(k.last("info")), &info) == nil && info.Session != "" })
	return info.Session
}

// ask publishes a command and returns its reply.
func (k *controller) ask(verb, client, payload string) mqtt.Reply {
	k.t.Helper()
	before := len(k.all("reply/" + client))
	k.publish(verb, payload, false)
	until(k.t, "reply to "+verb, func() bool { return len(k.all("reply/"+client)) > before })
	var r mqtt.Reply
	if err := json.Unmarshal([]byte(k.last("reply/"+client)), &r); err != nil {
		k.t.Fatalf("reply: %v", err)
	}
	return r
}
