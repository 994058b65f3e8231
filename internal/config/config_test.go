package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/config"
	"tillgate/internal/payment"
	"tillgate/link"
)

// settings stands for a driver's profile, with every kind of value one has.
type settings struct {
	Factor   int64             `yaml:"factor" jsonschema_description:"Minor units in one unit of the wire."`
	Wait     time.Duration     `yaml:"wait"`
	Keypad   string            `yaml:"keypad" jsonschema:"enum=open,enum=locked"`
	Echo     bool              `yaml:"echo"`
	Fields   []string          `yaml:"fields"`
	Names    map[string]string `yaml:"names"`
	Nested   nested            `yaml:"nested"`
	Optional *int              `yaml:"optional"`
}

type nested struct {
	Depth uint8 `yaml:"depth"`
}

func (s *settings) Validate() error {
	if s.Keypad != "open" && s.Keypad != "locked" {
		return errors.New("keypad must be open or locked")
	}
	if s.Factor != 1 && s.Factor != 100 {
		return payment.Invalid{{Field: "factor", Text: "must be 1 or 100"}}
	}
	return nil
}

func drivers() []link.Driver {
	return []link.Driver{
		{
			Name: "acme", Title: "Acme terminals",
			Settings: func() any { return &settings{Factor: 1, Wait: time.Minute, Keypad: "open", Fields: []string{"a", "b"}} },
			Simulate: func(link.SimulatorConfig) (link.Simulator, error) { return nil, errors.New("not started by a test") },
		},
		{Name: "plain", Title: "A driver without settings"},
		{Name: "bell", Title: "A service that only tells", Currency: "VND", Notify: &link.NotifyDriver{
			Path: "/ipn", Settings: func() any { return &settings{Factor: 1, Keypad: "open", Fields: []string{"a"}} },
			Open: func(link.NotifyConfig) (link.Notifier, error) { return nil, errors.New("not opened by a test") },
		}},
	}
}

const minimal = `box: kiosk-1
terminals:
  - name: front
    driver: acme
    address: serial:///dev/ttyUSB0
    currency: HKD
    max_amount: 2500.50
`

func TestMinimalHasDefaults(t *testing.T) {
	c, err := config.Parse("box.yaml", []byte(minimal), drivers())
	if err != nil {
		t.Fatal(err)
	}
	term := c.Terminals[0]
	if got, want := term.Max, (payment.Money{Minor: 250050, Currency: "HKD"}); got != want {
		t.Errorf("max_amount is %v, want %v", got, want)
	}
	if got, want := c.Socket, "/run/tillgate/tillgate.sock"; got != want {
		t.Errorf("socket is %s, want %s", got, want)
	}
	if !c.Local() {
		t.Error("no destination is configured, and the embedded broker does not run")
	}
	if got := term.Settings.(*settings).Wait; got != time.Minute {
		t.Errorf("the profile's default is %v, want 1m", got)
	}
	if term.Longest.Std() != link.DefaultLongest || term.Partial != "reverse" || term.Offline != "accept" || !term.Reconcile.CatchUp {
		t.Errorf("defaults of a terminal are %+v", term)
	}
}

func TestEverythingIsRead(t *testing.T) {
	c, err := config.Parse("box.yaml", []byte(`
box: b_2
data: /data
runtime: /tmp/run
socket: /tmp/x.sock
log: {level: debug, format: json}
clock: unsynced
retention: 90d
id_window: 36h
segment_size: 2MiB
mqtt:
  broker: {enabled: true, address: "127.0.0.1:2883", username: till}
  destinations:
    - {name: up, url: "mqtts://b.example:8883", username: u, commands: true, tls: {server_name: c.example}}
terminals:
  - name: a
    driver: acme
    address: tcp://10.0.0.9:9000
    currency: VND
    max_amount: "5000000"
    daily_cap: 90000000
    device: one
    longest: 200s
    timeout: 1m30s
    partial: accept
    offline: reverse
    reconcile: {at: "03:00", window: 30m, catch_up: false}
    profile:
      factor: 100
      wait: 2s
      keypad: locked
      echo: true
      fields: [x, "y z"]
      names: {F1: order}
      nested: {depth: 7}
      optional: 5
`), drivers())
	if err != nil {
		t.Fatal(err)
	}
	s := *c.Terminals[0].Settings.(*settings)
	if s.Factor != 100 || s.Wait != 2*time.Second || s.Keypad != "locked" || !s.Echo || fmt.Sprint(s.Fields) != "[x y z]" ||
		s.Names["F1"] != "order" || s.Nested.Depth != 7 || *s.Optional != 5 {
		t.Errorf("profile is %+v", s)
	}
	term := c.Terminals[0]
	if term.Cap.Minor != 90_000_000 || term.Timeout.Std() != 90*time.Second || term.Reconcile.CatchUp || term.Reconcile.Window.Std() != 30*time.Minute {
		t.Errorf("terminal is %+v", term)
	}
	d := c.MQTT.Destinations[0]
	if !d.Commands || d.TLS.ServerName != "c.example" || !c.Local() || c.SegmentSize != 2<<20 || c.Retention.Std() != 90*24*time.Hour || c.IDWindow.Std() != 36*time.Hour {
		t.Errorf("configuration is %+v", c)
	}
}

// TestProblems gives one mistake each and wants it reported with its line, its
// path and a word about what would be right.
func TestProblems(t *testing.T) {
	for _, tt := range []struct{ name, old, new, want string }{
		{"unknown key", "box: kiosk-1", "box: kiosk-1\nretensions: 3d", "box.yaml:2: retensions: unknown key; did you mean retention?"},
		{"unknown key of a terminal", "currency: HKD", "curency: HKD", "box.yaml:6: terminals[0].curency: unknown key; did you mean currency?"},
		{"nothing alike", "box: kiosk-1", "box: kiosk-1\nzzzzzz: 1", "box.yaml:2: zzzzzz: unknown key\n"},
		{"given twice", "currency: HKD", "currency: HKD\n    currency: USD", "box.yaml:7: terminals[0].currency: is given twice, first in line 6"},
		{"no value", "box: kiosk-1", "box:", "box.yaml:1: box: has no value"},
		{"box name", "box: kiosk-1", "box: kiosk/1", `box.yaml:1: box: "kiosk/1": only letters`},
		{"terminal name", "name: front", "name: front desk", `terminals[0].name: "front desk": only`},
		{"driver", "driver: acme", "driver: acne", `box.yaml:4: terminals[0].driver: "acne" is not one of [acme plain]; did you mean acme?`},
		{"scheme", "serial:///", "seriell:///", "did you mean serial?"},
		{"serial without a path", "serial:///dev/ttyUSB0", "serial://ttyUSB0", "begins with a slash"},
		{"another simulator", "serial:///dev/ttyUSB0", "sim://plain", "write sim://acme"},
		{"currency", "currency: HKD", "currency: HKX", `"HKX" is not in ISO 4217`},
		{"max_amount missing", "    max_amount: 2500.50\n", "", "box.yaml:3: terminals[0].max_amount: is required"},
		{"max_amount too precise", "2500.50", "2500.505", "HKD has 2 decimals"},
		{"max_amount of nought", "2500.50", "0", "must be more than zero"},
		{"max_amount negative", "2500.50", "-5", "want digits"},
		{"max_amount in floating point", "2500.50", "2.5e3", "decimals"},
		{"duration without unit", "max_amount: 2500.50", "max_amount: 1\n    timeout: 120", `box.yaml:8: terminals[0].timeout: "120" is not a duration`},
		{"duration out of bounds", "max_amount: 2500.50", "max_amount: 1\n    longest: 2h", "must be between 10s and 30m0s"},
		{"time-out beyond longest", "max_amount: 2500.50", "max_amount: 1\n    longest: 60s", "is longer than longest (1m0s)"},
		{"enum", "max_amount: 2500.50", "max_amount: 1\n    partial: reject", `"reject" is not one of [reverse accept]`},
		{"hour", "max_amount: 2500.50", "max_amount: 1\n    reconcile: {at: \"25:00\"}", `"25:00" is not a time of day`},
		{"profile key", "max_amount: 2500.50", "max_amount: 1\n    profile: {kepad: locked}", "terminals[0].profile.kepad: unknown key; did you mean keypad?"},
		{"profile type", "max_amount: 2500.50", "max_amount: 1\n    profile: {factor: many}", `profile.factor: "many" is not a whole number`},
		{"profile overflow", "max_amount: 2500.50", "max_amount: 1\n    profile: {nested: {depth: 256}}", "not a whole number of this size"},
		{"profile's own check, by key", "max_amount: 2500.50", "max_amount: 1\n    profile:\n      echo: false\n      factor: 7", "box.yaml:10: terminals[0].profile.factor: must be 1 or 100"},
		{"profile's own check", "max_amount: 2500.50", "max_amount: 1\n    profile: {keypad: ajar}", "profile: keypad must be open or locked"},
		{"profile of a driver without", "driver: acme", "driver: plain\n    profile: {a: 1}", "the driver plain has no settings"},
		{"inline password", "box: kiosk-1", "box: kiosk-1\nmqtt: {broker: {password: hunter2}}", "a secret is never written in the configuration, name a file that holds it; did you mean password_file?"},
		{"password in a url", "box: kiosk-1", "box: kiosk-1\nmqtt: {destinations: [{name: up, url: \"mqtt://u:hunter2@host\"}]}", "use username and password_file"},
		{"broken url with a password", "box: kiosk-1", "box: kiosk-1\nmqtt: {destinations: [{name: up, url: \"mqtt://u:hunter2@ho st:x\"}]}", "is not a URL"},
		{"scheme of a url", "box: kiosk-1", "box: kiosk-1\nmqtt: {destinations: [{name: up, url: \"mqqt://host\"}]}", "did you mean mqtt?"},
		{"destination named local", "box: kiosk-1", "box: kiosk-1\nmqtt: {broker: {enabled: true}, destinations: [{name: local, url: \"mqtt://host\"}]}", "embedded broker's own name"},
		{"nobody to talk to", "box: kiosk-1", "box: kiosk-1\nmqtt: {broker: {enabled: false}}", "nobody could send a command"},
		{"broker address", "box: kiosk-1", "box: kiosk-1\nmqtt: {broker: {address: localhost}}", "is not host and port"},
		{"relative data", "box: kiosk-1", "box: kiosk-1\ndata: var", `"var" must begin with a slash`},
		{"id window beyond retention", "box: kiosk-1", "box: kiosk-1\nretention: 2d\nid_window: 3d", "box.yaml:3: id_window: must be between 1h0m0s and 2d"},
		{"size", "box: kiosk-1", "box: kiosk-1\nsegment_size: 16MB", "is not a size"},
		{"list for a word", "box: kiosk-1", "box: [a, b]", "box.yaml:1: box: want a single value"},
		{"word for a list", "box: kiosk-1", "box: kiosk-1\nmqtt: {destinations: up}", "mqtt.destinations: want a list"},
		{"word for a section", "box: kiosk-1", "box: kiosk-1\nlog: debug", "box.yaml:2: log: want keys with values, like log.key: value"},
		{"bool", "box: kiosk-1", "box: kiosk-1\nallow_simulation: yes", "is not true or false"},
		{"alias", "box: kiosk-1", "box: &a kiosk-1", "anchors, aliases"},
		{"tag", "box: kiosk-1", "box: !!str kiosk-1", "anchors, aliases"},
		{"merge", "box: kiosk-1", "box: kiosk-1\nlog:\n  <<: {level: info}", "plain word"},
		{"two documents", "box: kiosk-1", "box: a\n---\nbox: kiosk-1", "more than one document"},
		{"not YAML", "box: kiosk-1", "box: 'kiosk", "is not YAML"},
		{"binary", "box: kiosk-1", "box: \x00", "is not a text file"},
		{"two terminals of one name", "terminals:\n", "terminals:\n  - {name: front, driver: plain, address: \"tcp://h:1\", currency: VND, max_amount: 1}\n", "terminals[1].name: is the name of terminals[0] too"},
		{"simulated beside real", "terminals:\n", "terminals:\n  - {name: s, driver: acme, address: \"sim://acme\", currency: VND, max_amount: 1}\n", "set allow_simulation: true"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(minimal, tt.old, tt.new, 1)
			if text == minimal {
				t.Fatalf("%q is not in the minimal configuration", tt.old)
			}
			_, err := config.Parse("box.yaml", []byte(text), drivers())
			if err == nil {
				t.Fatalf("accepted:\n%s", text)
			}
			if got := err.Error() + "\n"; !strings.Contains(got, tt.want) {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the problem shows the password: %v", err)
			}
		})
	}
}

func TestAllProblemsAtOnceInOrder(t *testing.T) {
	_, err := config.Parse("box.yaml", []byte("terminals:\n  - name: a b\n    driver: nope\n    color: red\nbox: a/b\nclok: auto\n"), drivers())
	ps, ok := errors.AsType[config.Problems](err)
	if !ok {
		t.Fatalf("error is %T, want Problems", err)
	}
	var lines []int
	for _, p := range ps {
		lines = append(lines, p.Line)
	}
	if len(ps) != 8 { // name, address, currency, max_amount, driver, color, box, clok
		t.Errorf("got %d problems, want 8:\n%v", len(ps), err)
	}
	for i := 1; i < len(lines); i++ {
		if lines[i] < lines[i-1] {
			t.Errorf("problems are not in the order of lines: %v", lines)
		}
	}
}

func TestAllowSimulation(t *testing.T) {
	text := strings.Replace(minimal, "terminals:\n", "allow_simulation: true\nterminals:\n  - {name: s, driver: acme, address: \"sim://acme\", currency: VND, max_amount: 1}\n", 1)
	c, err := config.Parse("box.yaml", []byte(text), drivers())
	if err != nil {
		t.Fatal(err)
	}
	if !c.Terminals[0].Simulated() || c.Terminals[1].Simulated() {
		t.Error("the simulated terminal is not told from the real one")
	}
}

func TestSecrets(t *testing.T) {
	write := func(t *testing.T, mode os.FileMode, content string) string {
		dir := t.TempDir()
		box := strings.Replace(minimal, "box: kiosk-1", "box: kiosk-1\nmqtt: {broker: {password_file: pw}}", 1)
		if err := os.WriteFile(filepath.Join(dir, "box.yaml"), []byte(box), 0o644); err != nil {
			t.Fatal(err)
		}
		if content != "" {
			if err := os.WriteFile(filepath.Join(dir, "pw"), []byte(content), mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(filepath.Join(dir, "pw"), mode); err != nil {
				t.Fatal(err)
			}
		}
		return filepath.Join(dir, "box.yaml")
	}
	t.Run("good", func(t *testing.T) {
		c, err := config.Load(write(t, 0o640, "hunter2\n"), drivers())
		if err != nil {
			t.Fatal(err)
		}
		if got := c.MQTT.Broker.Password.Reveal(); got != "hunter2" {
			t.Errorf("password is %q", got)
		}
		if shown := fmt.Sprintf("%v %+v %#v %s", c, c, c.MQTT.Broker.Password, c.MQTT.Broker.Password); strings.Contains(shown, "hunter2") {
			t.Errorf("printing a configuration shows the password: %s", shown)
		}
	})
	for _, tt := range []struct {
		name    string
		mode    os.FileMode
		content string
		want    string
	}{
		{"missing", 0, "", "pw: there is no such file"},
		{"open to the world", 0o644, "hunter2", "run: chmod 0640 "},
		{"two lines", 0o600, "hunter2\nhunter2\n", "more than one line"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Load(write(t, tt.mode, tt.content), drivers())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the problem shows the password: %v", err)
			}
			if err != nil && !strings.Contains(err.Error(), "box.yaml:2: mqtt.broker.password_file") {
				t.Errorf("the problem does not say where: %v", err)
			}
		})
	}
}

func TestLoadWithoutFile(t *testing.T) {
	_, err := config.Load(filepath.Join(t.TempDir(), "none.yaml"), drivers())
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want os.ErrNotExist", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add(config.Example(drivers()))
	f.Add([]byte("a: [{b: {c: [d, 'e', \"f\", |\n g\n"))
	f.Add([]byte("box: &a [*a, <<, !!int 3, ~]\n---\n? x\n: y\n"))
	ds := drivers()
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := config.Parse("f", b, ds)
		if err != nil {
			if _, ok := errors.AsType[config.Problems](err); !ok {
				t.Fatalf("error is %T", err)
			}
			return
		}
		for _, term := range c.Terminals {
			if term.Max.Minor <= 0 || term.Spec.Name == "" || term.Name == "" {
				t.Fatalf("accepted a terminal without a maximum, driver or name: %+v", term)
			}
		}
		if c.Box == "" || len(c.Terminals) == 0 {
			t.Fatal("accepted a box without a name or a terminal")
		}
	})
}
