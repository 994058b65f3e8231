package scenes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/discover"
	"tillgate/internal/usbip"
	"tillgate/internal/usbreset"
	"tillgate/serialio"
)

// The tests of this file come one after the other, and before those that run side
// by side: they count devices.

// mute plugs in what looks like a Telium and never answers, and returns its
// cable. The terminal is out when gone is closed.
func mute(t *testing.T) (cable net.Conn, gone <-chan struct{}) {
	t.Helper()
	device := usbip.Device{Kind: usbip.CDCACM, Vendor: 0x079b, Product: 0x0028, Manufacturer: "SAGEM", Name: "Telium", Serial: "SN-mute"}
	cable, err := usbip.Attach()
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan struct{})
	go func() {
		defer close(out)
		err := device.Serve(context.Background(), cable, func(_ context.Context, c net.Conn) error {
			_, err := io.Copy(io.Discard, c)
			return err
		})
		if err != nil {
			t.Errorf("the device: %v", err)
		}
	}()
	t.Cleanup(func() {
		cable.Close()
		<-out
	})
	return cable, out
}

// tillgate runs a command and returns what it says; nobody is who may open
// nothing.
func tillgate(t *testing.T, user uint32, args ...string) string {
	t.Helper()
	cmd := exec.Command("tillgate", args...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out)
}

const nobody = 65534

// A terminal is plugged in and pulled out while discover follows; who has it, and
// what disturbs it, doctor says.
func TestDiscoverAndDoctor(t *testing.T) {
	inMachine(t)
	var told, forPrograms syncBuffer
	for _, f := range []struct {
		out  *syncBuffer
		args []string
	}{{&told, []string{"discover", "--follow"}}, {&forPrograms, []string{"discover", "--follow", "--json"}}} {
		follow := exec.Command("tillgate", f.args...)
		follow.Stdout, follow.Stderr = f.out, f.out
		if err := follow.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = follow.Process.Signal(syscall.SIGINT)
			if err := follow.Wait(); err != nil {
				t.Errorf("discover --follow ends with %v: %s", err, f.out.String())
			}
		}()
	}
	await(t, "discover follows", func() bool { return strings.Contains(told.String(), "Waiting for plugs") })
	cable, out := mute(t)
	var port string
	await(t, "discover tells of the port", func() bool {
		_, after, _ := strings.Cut(told.String(), "Waiting for plugs")
		for line := range strings.Lines(after) {
			if path, what, ok := strings.Cut(strings.TrimSpace(line), "  "); ok && strings.HasPrefix(path, "/dev/ttyACM") && strings.HasPrefix(what, "Ingenico (Sagem) Telium") {
				port = path
			}
		}
		return port != ""
	})

	var found discover.Found
	for line := range strings.Lines(tillgate(t, 0, "discover", "--json")) {
		var f discover.Found
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if f.Path == port {
			found = f
		}
	}
	if u := found.USB; !found.Terminal || found.Address != "serial://"+port || found.Direct != "usb:079b:0028?serial=SN-mute" ||
		u == nil || len(u.Interfaces) != 2 || u.Interfaces[0].Driver != "cdc_acm" || !exists(u.Node) {
		t.Errorf("discover has %+v, %+v", found, found.USB)
	}
	doctors(t, port)

	p, err := serialio.Open(serialio.Options{Path: port})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if said := tillgate(t, 0, "discover"); !strings.Contains(said, "open in process") || !strings.Contains(said, "(scenes.test)") {
		t.Errorf("who has the port open is not told: %s", said)
	}
	unplug(t, p, cable)
	<-out
	await(t, "discover tells that it is gone", func() bool { return strings.Contains(told.String(), "- serial://"+port+" is gone") })
	await(t, "and to programs", func() bool {
		var last struct {
			discover.Found
			Gone bool
		}
		lines := strings.Split(strings.TrimSpace(forPrograms.String()), "\n")
		return json.Unmarshal([]byte(lines[len(lines)-1]), &last) == nil && last.Gone && last.Path == port
	})
}

// doctors examines a box with a mute terminal at port: for a user without rights,
// beside a ModemManager, without udev rules.
func doctors(t *testing.T, port string) {
	says := func(user uint32, address string, want ...string) {
		t.Helper()
		const file = "/tmp/doctor.yaml"
		text := fmt.Sprintf("box: rig\ndata: /tmp/doctor\nterminals:\n  - {name: front, driver: ecrvn, address: %q, currency: VND, max_amount: \"1000\", profile: {query_timeout: 1s}}\n", address)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		said := tillgate(t, user, "doctor", "--config", file, "--socket", "/tmp/none")
		for _, w := range want {
			no, yes := strings.CutPrefix(w, "!")
			if strings.Contains(said, no) == yes {
				t.Errorf("doctor for user %d: %q: %s", user, w, said)
			}
		}
	}
	says(0, port, "it is "+port, "the line is there and mute", "Has the bank enabled the link", "ModemManager, missing udev rules, rights: nothing")
	says(nobody, port, port+" is there, and this user (uid 65534) may not use it", "-> add the gateway's user to the group")
	says(nobody, "usb:079b:0028", "let the gateway's user open it with a udev rule")
	says(0, "usb:079b:0028", "the line is there and mute") // taken from the kernel's driver meanwhile
	await(t, "the port is back", func() bool { return exists(port) })

	// A process of that name, and a system with udev.
	if err := errors.Join(os.Symlink("/bin/tillgate", "/tmp/ModemManager"), os.MkdirAll("/run/udev/data", 0o755)); err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll("/run/udev")
	manager := exec.Command("/tmp/ModemManager", "discover", "--follow")
	var waits syncBuffer
	manager.Stderr = &waits
	if err := manager.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = manager.Process.Signal(syscall.SIGINT)
		if err := manager.Wait(); err != nil {
			t.Error(err)
		}
	}()
	await(t, "the process", func() bool { return strings.Contains(waits.String(), "Waiting") })
	ruled := "/etc/udev/rules.d/" + discover.RulesFile
	manages := fmt.Sprintf("ModemManager (process %d) runs and has not been told to leave %s alone", manager.Process.Pid, port)
	says(0, port, "the udev rules for card terminals are not installed", "discover --udev-rules | sudo tee "+ruled, manages)
	number, err := os.ReadFile(filepath.Join("/sys/class/tty", filepath.Base(port), "dev"))
	if err != nil {
		t.Fatal(err)
	}
	rules := tillgate(t, 0, "discover", "--udev-rules")
	if err := errors.Join(os.MkdirAll(filepath.Dir(ruled), 0o755), os.WriteFile(ruled, []byte(rules), 0o644),
		os.WriteFile("/run/udev/data/c"+string(bytes.TrimSpace(number)), []byte("E:ID_MM_PORT_IGNORE=1\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(ruled)
	says(0, port, "ModemManager, missing udev rules, rights: nothing")
}

// A sequence that wakes a terminal moves the lines of a real driver's port in its
// order, and Close drops them.
func TestWakeSequence(t *testing.T) {
	inMachine(t)
	found, _ := filepath.Glob("/sys/bus/pci/devices/0000:00:11.0/tty/tty*")
	if more, _ := filepath.Glob("/sys/bus/pci/devices/0000:00:11.0/*/*/tty/tty*"); len(found) == 0 {
		found = more
	}
	if len(found) == 0 {
		t.Log("this machine has no PCI, and so no such port")
		return
	}
	port := "/dev/" + filepath.Base(found[0])
	watch, err := unix.Open(port, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0) // before it is taken
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watch)
	lines := func() string {
		bits, err := unix.IoctlGetInt(watch, unix.TIOCMGET)
		if err != nil {
			t.Fatal(err)
		}
		s := ""
		if bits&unix.TIOCM_DTR != 0 {
			s += "D"
		}
		if bits&unix.TIOCM_RTS != 0 {
			s += "R"
		}
		return s
	}
	type opened struct {
		port *serialio.Port
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		p, err := serialio.Open(serialio.Options{Path: port, Wake: "dtr-off,500ms,rts-off,500ms,dtr-on,500ms,rts-on"})
		done <- opened{p, err}
	}()
	var seen []string
	for end := false; !end; time.Sleep(5 * time.Millisecond) {
		select {
		case o := <-done:
			if o.err != nil {
				t.Fatal(o.err)
			}
			defer o.port.Close()
			end = true
		default:
		}
		if now := lines(); len(seen) == 0 || seen[len(seen)-1] != now {
			seen = append(seen, now)
		}
	}
	if all := strings.Join(seen, " "); !strings.HasSuffix(all, "DR R  D DR") {
		t.Errorf("the lines were %q, want both, RTS, none, DTR, both", all)
	}
}

// bare runs f on a thread that has no capabilities to give to what it starts, as
// the helper's unit has none. The thread ends with it.
func bare(t *testing.T, f func()) {
	t.Helper()
	failed := make(chan error)
	go func() {
		runtime.LockOSThread()
		for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
			if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil {
				failed <- fmt.Errorf("drop capability %d: %w", c, err)
				return
			}
		}
		f()
		failed <- nil
	}()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// The helper's steps, as root without capabilities: drivers let go and take the
// device again, its authorisation goes and comes, and its hub's port is switched
// off and on, so that it is enumerated anew. The hub is that of dummy_hcd, which
// does with its port power what a real one does; the device is a gadget of the
// kernel's own.
func TestHelper(t *testing.T) {
	inMachine(t)
	const gadget = "/sys/kernel/config/usb_gadget/hubpower"
	controllers, err := os.ReadDir("/sys/class/udc")
	if err != nil || len(controllers) == 0 {
		t.Fatalf("no device controller (dummy_hcd): %v", err)
	}
	function, config := gadget+"/functions/acm.power", gadget+"/configs/c.1"
	for name, text := range map[string]string{"idVendor": "0x1209", "idProduct": "0x0099", "strings/0x409/serialnumber": "SN-power"} {
		file := filepath.Join(gadget, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text+"\n"), 0o644)); err != nil {
			t.Fatalf("configfs: %v", err)
		}
	}
	if err := errors.Join(os.MkdirAll(config, 0o755), os.MkdirAll(function, 0o755), os.Symlink(function, config+"/acm.power")); err != nil {
		t.Fatalf("configfs: %v", err)
	}
	bind := func(udc string) error { return os.WriteFile(gadget+"/UDC", []byte(udc+"\n"), 0o644) }
	if err := bind(controllers[0].Name()); err != nil {
		t.Fatalf("bind the gadget: %v", err)
	}
	defer func() { // others want the controller, and the names
		err := errors.Join(bind(""), os.Remove(config+"/acm.power"), os.Remove(config), os.Remove(function), os.Remove(gadget+"/strings/0x409"), os.Remove(gadget))
		if err != nil {
			t.Errorf("take the gadget away: %v", err)
		}
	}()
	var port string
	await(t, "the gadget", func() bool {
		var err error
		port, err = usbreset.Machine{}.Find(0x1209, 0x0099, "SN-power")
		return err == nil && exists("/sys/bus/usb/devices/"+port+"/"+port+":1.0/tty")
	})
	number := func() string {
		b, _ := os.ReadFile("/sys/bus/usb/devices/" + port + "/devnum")
		return strings.TrimSpace(string(b))
	}
	before := number()
	file := filepath.Join(t.TempDir(), "tillgate.yaml")
	text := fmt.Sprintf("box: rig\ndata: /tmp/power\nterminals:\n  - name: front\n    driver: ecrvn\n    address: usb:1209:0099\n    currency: VND\n    max_amount: \"1000\"\n    recovery: {steps: [rebind, usb-reset, hub-power], usb_port: %q}\n", port)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	tty := "/sys/bus/usb/devices/" + port + "/" + port + ":1.0/tty"
	for _, step := range []string{"rebind", "usb-reset", "hub-power"} {
		gone := make(chan bool, 1)
		go func() {
			for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(5 * time.Millisecond) {
				if !exists(tty) {
					gone <- true
					return
				}
			}
			gone <- false
		}()
		var said string
		bare(t, func() {
			cmd := exec.Command("tillgate", "recover-step", "--config", file)
			cmd.Stdin = strings.NewReader(fmt.Sprintf(`{"terminal":"front","step":%q}`+"\n", step))
			out, err := cmd.CombinedOutput()
			said = fmt.Sprint(strings.TrimSpace(string(out)), err)
		})
		if said != "{}<nil>" {
			t.Errorf("%s: the helper says %s", step, said)
			continue
		}
		if !<-gone {
			t.Errorf("%s: the port was there all the time", step)
		}
		await(t, "the port after "+step, func() bool { return exists(tty) })
	}
	if after := number(); after == before {
		t.Errorf("the device at %s is still number %s: it was not enumerated anew", port, after)
	}
}
