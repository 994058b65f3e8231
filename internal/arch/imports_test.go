package arch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "tillgate"

// room says what the production code of a package may import beside the
// standard library. Test files are freer: they may use any room.
type room struct {
	name    string   // within the module; a/* is any one package below a
	inside  []string // rooms it may import; "*" is all
	outside []string // modules it may import, with everything below
	tests   bool     // imported by tests only, and may itself import testing
	why     string   // the reason for what is not listed
}

var rooms = []room{
	{name: ".", inside: []string{"*"}, outside: []string{"github.com/coreos/go-systemd/v22"},
		why: "the composition root wires everything and knows no wire itself"},
	{name: "internal/payment",
		why: "the vocabulary is values and rules: it must not change with a protocol, a broker or a database"},
	{name: "internal/gateway", inside: []string{"link", "internal/payment"}, outside: []string{"github.com/oklog/ulid/v2"},
		why: "a lane is the same for every protocol, broker and database: it sees the store as its own interface Journal, and nobody as a client"},
	{name: "internal/config", inside: []string{"link", "internal/payment", "internal/secretfile"},
		outside: []string{"github.com/goccy/go-yaml"},
		why:     "it decodes values and is handed the drivers: it opens nothing"},
	{name: "internal/secretfile",
		why: "it reads a file for drivers and configuration alike, and knows neither"},
	{name: "internal/notify", inside: []string{"link", "internal/payment"},
		why: "strangers reach it: it knows no journal and no lane, and hands notices to its own interface Gateway"},
	{name: "internal/control", inside: []string{"internal/payment"}, outside: []string{"golang.org/x/sys"},
		why: "it carries commands and answers over a socket; what they do is the gateway's"},
	{name: "internal/cli", inside: []string{"*"},
		outside: []string{"aead.dev/minisign", "github.com/oklog/ulid/v2", "github.com/creack/pty", "golang.org/x/sys", "github.com/eclipse/paho.mqtt.golang"},
		why:     "the commands are a part of the composition root"},
	{name: "internal/command", outside: []string{"github.com/spf13/cobra", "github.com/spf13/pflag"},
		why: "it makes a command line of any table: what the commands do is theirs"},
	{name: "internal/broker", outside: []string{"github.com/nats-io", "golang.org/x/sys"},
		why: "the embedded broker is a child process that must not touch a payment"},
	{name: "internal/bom",
		why: "a bill of materials must not add to what it lists"},
	{name: "internal/crashtest", inside: []string{"*"}, outside: []string{"*"}, tests: true,
		why: "it breaks things on purpose"},
	{name: "internal/loopback", tests: true,
		why: "it finds a port and knows nobody who wants one"},
	{name: "internal/mosquitto", inside: []string{"internal/loopback"}, tests: true,
		why: "it starts a broker for whoever is tested on it"},
	{name: "internal/bench", inside: []string{"*"}, outside: []string{"*"}, tests: true,
		why: "it measures the others"},
	{name: "internal/usbip", outside: []string{"golang.org/x/sys"},
		why: "it makes USB devices of any pipe of bytes: it knows no terminal"},
	{name: "internal/usbreset",
		why: "it runs as root: it writes to sysfs and knows nothing else"},
	{name: "internal/discover", inside: []string{"serialio"}, outside: []string{"golang.org/x/sys"},
		why: "it reads what the kernel says of ports and devices, and opens none"},
	{name: "internal/uevent", outside: []string{"golang.org/x/sys"},
		why: "it hears the kernel and knows no terminal"},
	{name: "internal/rig", tests: true,
		why: "it boots machines, and only from its tests"},
	{name: "internal/rig/guest", outside: []string{"golang.org/x/sys"},
		why: "process 1 starts others and knows none of them"},
	{name: "internal/rig/scenes", tests: true,
		why: "it plays with everything, inside the machine"},
	{name: "internal/arch", tests: true,
		why: "it only looks at the others"},

	{name: "link", inside: []string{"internal/payment", "serialio", "usbhid"},
		why: "drivers and lanes stand on it: it knows no driver, no lane, no journal"},
	{name: "link/frame",
		why: "framings are bytes in and bytes out, for every protocol"},
	{name: "link/stream", inside: []string{"link", "link/frame"},
		why: "reading all the time knows no protocol"},
	{name: "link/drivers", inside: []string{"link", "link/*"},
		why: "the list of drivers is the list and no more"},
	{name: "link/linktest", inside: []string{"link", "link/frame", "link/simulate", "internal/payment"}, outside: []string{"github.com/creack/pty", "golang.org/x/sys", "pgregory.net/rapid"}, tests: true,
		why: "the suite must not know the driver it judges"},
	{name: "link/simulate", inside: []string{"link", "internal/payment"},
		why: "what all simulators have in common knows no protocol"},
	{name: "link/tmaster", inside: []string{"link", "link/simulate", "internal/payment"},
		why: "it is a terminal and its bank without a wire: drivers whose terminals are of this kind simulate with it and bring theirs"},
	{name: "link/bpos/bridge/*", inside: []string{"link/bpos/bridge"}, outside: []string{"github.com/go-ole/go-ole", "golang.org/x/sys"},
		why: "a bridge program is the library and the line protocol: it knows no gateway"},
	{name: "link/bpos/bridge", inside: []string{"internal/payment"},
		why: "the line protocol between the driver and the programs that load the vendor's library: those are built alone, for other systems"},
	{name: "link/*", inside: []string{"link", "link/frame", "link/stream", "link/simulate", "link/tmaster", "link/bpos/bridge", "internal/payment", "internal/secretfile"}, outside: []string{"github.com/creack/pty"},
		why: "a driver speaks one protocol over a Conn it is given: it knows no other driver, no port, no journal"},

	{name: "serialio", outside: []string{"go.bug.st/serial", "golang.org/x/sys", "periph.io/x"},
		why: "it knows ports and no terminal; link imports it"},
	{name: "usbhid", outside: []string{"github.com/google/gousb", "golang.org/x/sys"},
		why: "it knows devices and no terminal; link imports it"},
	{name: "store", inside: []string{"internal/payment"}, outside: []string{"go.etcd.io/bbolt", "golang.org/x/sys", "github.com/oklog/ulid/v2"},
		why: "the journal keeps what it is given: it knows no terminal and no broker"},
	{name: "mqtt", inside: []string{"internal/payment"}, outside: []string{"github.com/eclipse/paho.mqtt.golang", "github.com/oklog/ulid/v2"},
		why: "the edge speaks MQTT: it sees gateway and store as its own interfaces Gateway and Outbox"},
	{name: "firmware/rauc", outside: []string{"github.com/godbus/dbus/v5"},
		why: "it asks RAUC and decides nothing: when a system is switched is the updater's"},
	{name: "firmware/rauctest", tests: true,
		why: "it is a box with two systems around the real RAUC, whoever is tested on it"},
	{name: "firmware", inside: []string{"internal/payment"}, outside: []string{"aead.dev/minisign", "golang.org/x/sys"},
		why: "updating the box must work when everything else does not"},
	{name: "systemd", outside: []string{"github.com/coreos/go-systemd/v22"},
		why: "it tells systemd how we are and knows nothing of it"},
}

// owners are modules that one room has to itself, with the reason.
var owners = []struct{ module, rooms, why string }{
	{"go.etcd.io/bbolt", "store", "how the journal lies on disk is the store's secret"},
	{"github.com/eclipse/paho.mqtt.golang", "mqtt internal/cli", "a token means delivery only in the way the edge uses it; demo and doctor are clients of their own"},
	{"github.com/godbus/dbus/v5", "firmware/rauc", "only RAUC is asked over D-Bus; systemd is told by its own socket"},
	{"go.bug.st/serial", "serialio", "its Write after Close goes to another file"},
	{"github.com/google/gousb", "usbhid", "it needs C"},
	{"github.com/nats-io", "internal/broker", "it has no recover: only the child process may hold it"},
	{"periph.io/x", "serialio", "pins and lines belong to ports"},
}

func TestImports(t *testing.T) {
	for _, tags := range []string{"", "libusb"} {
		for _, problem := range check(list(t, tags)) {
			t.Errorf("tags %q: %s", tags, problem)
		}
	}
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Standard   bool
	Imports    []string
	CgoFiles   []string
}

func list(t *testing.T, tags string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-e", "-tags=" + tags, "-json=ImportPath,Standard,Imports,CgoFiles"}, append(args, module+"/...")...)...)
	out, err := cmd.Output()
	if err != nil {
		if e, ok := errors.AsType[*exec.ExitError](err); ok {
			err = fmt.Errorf("%w: %s", err, e.Stderr)
		}
		t.Fatalf("%v: %v", cmd, err)
	}
	var pkgs []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
	if len(pkgs) == 0 {
		t.Fatalf("%v lists nothing", cmd)
	}
	return pkgs
}

// check returns what is against the rules, one sentence each.
func check(pkgs []pkg) (problems []string) {
	say := func(format string, args ...any) { problems = append(problems, fmt.Sprintf(format, args...)) }
	for _, p := range pkgs {
		name := within(p.ImportPath)
		r, ok := roomOf(name)
		if !ok {
			say("%s is in no room: add it to the table of rooms, with a reason", name)
			continue
		}
		for _, i := range p.Imports {
			switch {
			case below(i, "testing") && !r.tests:
				say("%s imports testing outside its tests: production code must not carry test flags", name)
			case isStandard(i):
			case isOurs(i):
				if target, ok := roomOf(within(i)); ok && target.tests && !r.tests {
					say("%s imports %s: that is for tests", name, within(i))
				} else if !matchAny(r.inside, within(i)) {
					say("%s imports %s: %s", name, within(i), r.why)
				}
			default:
				for _, o := range owners {
					if below(i, o.module) && !slices.Contains(strings.Fields(o.rooms), name) && !r.tests {
						say("%s imports %s: %s", name, i, o.why)
					}
				}
				if !slices.ContainsFunc(r.outside, func(m string) bool { return m == "*" || below(i, m) }) {
					say("%s imports %s, which is not among its modules: %s", name, i, r.why)
				}
			}
		}
	}
	return problems
}

func within(importPath string) string {
	if importPath == module {
		return "."
	}
	return strings.TrimPrefix(importPath, module+"/")
}

func isOurs(i string) bool { return below(i, module) }

// isStandard: only the standard library has no dot in its first element.
func isStandard(i string) bool {
	first, _, _ := strings.Cut(i, "/")
	return !strings.Contains(first, ".") && !isOurs(i)
}

func below(i, prefix string) bool { return i == prefix || strings.HasPrefix(i, prefix+"/") }

// roomOf finds the first room that fits.
func roomOf(name string) (room, bool) {
	for _, r := range rooms {
		if match(r.name, name) {
			return r, true
		}
	}
	return room{}, false
}

func matchAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return p == "*" || match(p, name) })
}

func match(pattern, name string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		rest, ok := strings.CutPrefix(name, parent+"/")
		return ok && rest != "" && !strings.Contains(rest, "/")
	}
	return pattern == name
}

// Without the tag nothing needs a C compiler; with it, only gousb does.
func TestCgo(t *testing.T) {
	for tags, allowed := range map[string][]string{
		"":       nil,
		"libusb": {"github.com/google/gousb"},
	} {
		for _, p := range list(t, tags, "-deps") {
			if !p.Standard && len(p.CgoFiles) > 0 && !slices.Contains(allowed, p.ImportPath) {
				t.Errorf("tags %q: %s needs C: the binary must build with Go alone", tags, p.ImportPath)
			}
		}
	}
}

// The rules catch what they are there for.
func TestCheck(t *testing.T) {
	for _, c := range []struct {
		from, imports string
		want          string // "" is allowed
	}{
		{"tillgate", "tillgate/internal/gateway", ""},
		{"tillgate/link/ecrvn", "tillgate/link/frame", ""},
		{"tillgate/link/ecrvn", "tillgate/link/simulate", ""},
		{"tillgate/link/simulate", "tillgate/link/ecrvn", "knows no protocol"},
		{"tillgate/store", "go.etcd.io/bbolt", ""},
		{"tillgate/store", "go.etcd.io/bbolt/errors", ""},
		{"tillgate/link/drivers", "tillgate/link/ecrvn", ""},
		{"tillgate/internal/payment", "encoding/json", ""},
		{"tillgate/link/linktest", "testing", ""},
		{"tillgate/internal/payment", "github.com/oklog/ulid/v2", "not among its modules"},
		{"tillgate/internal/payment", "tillgate/link", "the vocabulary"},
		{"tillgate/link/frame", "tillgate/link", "framings are bytes"},
		{"tillgate/link/ecrvn", "tillgate/link/qfpay", "knows no other driver"},
		{"tillgate/link/ecrvn", "tillgate/serialio", "a Conn it is given"},
		{"tillgate/link/privat", "tillgate/link/ecrvn", "knows no other driver"},
		{"tillgate/link", "tillgate/store", "it knows no driver, no lane, no journal"},
		{"tillgate/store", "tillgate/mqtt", "knows no terminal and no broker"},
		{"tillgate/store", "tillgate/link", "knows no terminal and no broker"},
		{"tillgate/mqtt", "tillgate/store", "its own interfaces"},
		{"tillgate/mqtt", "tillgate/link", "its own interfaces"},
		{"tillgate/internal/gateway", "tillgate/store", "its own interface Journal"},
		{"tillgate/usbhid", "tillgate/link", "link imports it"},
		{"tillgate/internal/gateway", "go.etcd.io/bbolt", "the store's secret"},
		{"tillgate/link/ecrvn", "go.bug.st/serial", "goes to another file"},
		{"tillgate/internal/cli", "github.com/nats-io/nats-server/v2/server", "only the child process"},
		{"tillgate/internal/gateway", "testing", "production code"},
		{"tillgate/internal/cli", "tillgate/link/linktest", "that is for tests"},
		{"tillgate/attic", "fmt", "in no room"},
	} {
		got := strings.Join(check([]pkg{{ImportPath: c.from, Imports: []string{c.imports}}}), "\n")
		if (got == "") != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s imports %s: %q, want %q", c.from, c.imports, got, c.want)
		}
	}
}
