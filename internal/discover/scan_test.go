package discover

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// machine makes a root folder of files; a text that begins with "->" is a link.
func machine(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(text, "->"); ok {
			err = os.Symlink(target, at)
		} else {
			err = os.WriteFile(at, []byte(text+"\n"), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func device(files map[string]string, port, ids, class, serial string, interfaces ...string) {
	at := "sys/bus/usb/devices/" + port + "/"
	vendor, product, _ := strings.Cut(ids, ":")
	for name, text := range map[string]string{"idVendor": vendor, "idProduct": product, "bDeviceClass": class, "busnum": "1", "devnum": "4", "serial": serial} {
		if text != "" {
			files[at+name] = text
		}
	}
	for i, class := range interfaces {
		n := string(rune('0' + i))
		files[at+port+":1."+n+"/bInterfaceClass"] = class
		files[at+port+":1."+n+"/bInterfaceNumber"] = "0" + n
	}
}

func kiosk(t *testing.T) string {
	files := map[string]string{
		"proc/cmdline":                    "console=serial0,115200 root=/dev/mmcblk0p2",
		"proc/77/comm":                    "ModemManager",
		"sys/class/tty/ttyAMA0/device":    "->../../../uart",
		"sys/class/tty/ttyAMA0/type":      "32",
		"sys/class/tty/ttyS1/device":      "->../../../uart",
		"sys/class/tty/ttyS1/type":        "0",
		"sys/class/tty/ttyS7/device":      "->../../../uart",
		"sys/class/tty/ttyS7/type":        "4",
		"sys/class/tty/ttyACM0/device":    "->../../../acm",
		"sys/class/tty/ttyACM0/dev":       "166:0",
		"sys/class/tty/ttyUSB0/device":    "->../../../usb",
		"sys/class/tty/ttyUSB0/dev":       "188:0",
		"sys/class/tty/console/dev":       "5:1",
		"dev/ttyAMA0":                     "",
		"dev/ttyS1":                       "",
		"dev/ttyACM0":                     "",
		"dev/ttyUSB0":                     "",
		"dev/serial/by-id/usb-SAGEM-if00": "->../../ttyACM0",
		"run/udev/data/c188:0":            "E:ID_MM_DEVICE_IGNORE=1",
	}
	device(files, "1-1", "1d6b:0002", "09", "")
	device(files, "1-1.4", "079b:0028", "02", "A?1", "02", "0a")
	files["sys/bus/usb/devices/1-1.4/1-1.4:1.0/tty/ttyACM0/dev"] = "166:0"
	files["sys/bus/usb/devices/1-1.4/1-1.4:1.0/driver"] = "->../../../drivers/cdc_acm"
	device(files, "1-1.2", "067b:2303", "00", "", "ff")
	files["sys/bus/usb/devices/1-1.2/1-1.2:1.0/ttyUSB0/tty/ttyUSB0/dev"] = "188:0"
	device(files, "1-1.3", "0b00:0072", "00", "H1", "03")
	device(files, "1-1.5", "046d:c31c", "00", "", "03") // a keyboard
	device(files, "1-1.6", "0b00:0090", "00", "", "ff") // looks like a terminal
	device(files, "1-1.7", "dead:beef", "00", "X", "ff")
	return machine(t, files)
}

func TestScan(t *testing.T) {
	want := []struct {
		path, address, direct, note string
		terminal                    bool
	}{
		{"", "usb:0b00:0072?serial=H1&as=hid", "", "switch the terminal to COM mode", true},
		{"/dev/ttyACM0", "serial:///dev/serial/by-id/usb-SAGEM-if00", "usb:079b:0028?port=1-1.4", "", true}, // the serial number has no place in an address
		{"/dev/ttyUSB0", "serial:///dev/ttyUSB0", "", "no lasting name", false},
		{"", "usb:0b00:0090?port=1-1.6", "", "no payment terminal", false},
		{"", "usb:dead:beef?serial=X", "", "", false},
		{"/dev/ttyAMA0", "serial:///dev/ttyAMA0", "", "console=serial0", false},
	}
	found := Scan(kiosk(t), false)
	if len(found) != len(want) {
		t.Fatalf("found %d, want %d: %+v", len(found), len(want), found)
	}
	for i, w := range want {
		f := found[i]
		if f.Path != w.path || f.Address != w.address || f.Direct != w.direct || f.Terminal != w.terminal || !strings.Contains(strings.Join(f.Notes, "; "), w.note) {
			t.Errorf("got %+v, want %+v", f, w)
		}
	}
	if d := found[1].USB.Interfaces; len(d) != 2 || d[0].Driver != "cdc_acm" || found[1].USB.Node != "/dev/bus/usb/001/004" {
		t.Errorf("got %+v", found[1].USB)
	}
	if all := Scan(kiosk(t), true); len(all) != len(want)+1 {
		t.Errorf("with all: found %d, want the keyboard too", len(all))
	}
}

// The port that is proposed is not the console's, if there is another.
func TestConsoleComesLast(t *testing.T) {
	root := machine(t, map[string]string{
		"proc/cmdline":                 "console=ttyS0 quiet",
		"sys/class/tty/ttyS0/device":   "->../../../uart",
		"sys/class/tty/ttyS4/device":   "->../../../uart",
		"dev/ttyS0":                    "",
		"dev/ttyS4":                    "",
		"sys/class/tty/ttyUSB0/device": "->../../../usb",
		"dev/ttyUSB0":                  "",
	})
	var order []string
	for _, f := range Scan(root, false) {
		order = append(order, f.Path)
	}
	if got := strings.Join(order, " "); got != "/dev/ttyS4 /dev/ttyUSB0 /dev/ttyS0" {
		t.Errorf("the order is %s", got)
	}
}

func TestTroubles(t *testing.T) {
	root := kiosk(t)
	text := func() string {
		var s []string
		for _, t := range Troubles(root, Scan(root, false)) {
			s = append(s, t.What)
		}
		return strings.Join(s, "\n")
	}
	got := text()
	for _, want := range []string{
		"udev rules for card terminals are not installed", "ModemManager (process 77) runs and has not been told to leave /dev/ttyACM0 alone",
		"/dev/bus/usb/001/004 is there, and this user",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if strings.Contains(got, "ttyUSB0") {
		t.Errorf("a port that ModemManager ignores is a trouble: %q", got)
	}
	// A converter needs a rule of its own, without what its maker, or somebody
	// else, wrote into its serial number.
	at := filepath.Join(root, "run/udev/data/c188:0")
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	for serial, want := range map[string]string{
		"": `KERNELS=="1-1.2", ENV{ID_MM_PORT_IGNORE}="1"`, `A", RUN+="/bin/x`: `KERNELS=="1-1.2", ENV{ID_MM_PORT_IGNORE}="1"`,
		"A5XK3RJT": `ATTRS{serial}=="A5XK3RJT", ENV{ID_MM_PORT_IGNORE}="1"`,
	} {
		if err := os.WriteFile(filepath.Join(root, "sys/bus/usb/devices/1-1.2/serial"), []byte(serial), 0o644); err != nil {
			t.Fatal(err)
		}
		var next string
		for _, x := range Troubles(root, Scan(root, false)) {
			if strings.Contains(x.What, "ttyUSB0") {
				next = x.Next
			}
		}
		if !strings.Contains(next, want) || strings.Contains(next, "RUN") {
			t.Errorf("serial number %q: got %q, want %q", serial, next, want)
		}
	}
	if err := os.WriteFile(at, []byte("E:ID_MM_DEVICE_IGNORE=1"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"etc/udev/rules.d/" + RulesFile: "", "run/udev/data/c166:0": "E:ID_MM_PORT_IGNORE=1", "dev/bus/usb/001/004": "",
	} {
		at := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got := text(); got != "" {
		t.Errorf("a machine in order has %q", got)
	}
}

// The rules that are shipped are those of the table.
func TestRules(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("../../systemd", RulesFile))
	if err != nil {
		t.Fatal(err)
	}
	if string(b) != Rules() {
		t.Errorf("systemd/%s is not what the table says: go run . discover --udev-rules > systemd/%[1]s", RulesFile)
	}
	for _, want := range []string{
		`SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="079b", ATTR{idProduct}=="0028", ENV{ID_MM_DEVICE_IGNORE}="1"`,
		`ATTRS{idVendor}=="0ca6", ENV{ID_MM_PORT_IGNORE}="1"`,
	} {
		if !strings.Contains(Rules(), want) {
			t.Errorf("the rules have no %s", want)
		}
	}
	for _, not := range []string{"067b", "0403", "0090"} { // converters, and what is no terminal
		if strings.Contains(Rules(), `=="`+not+`"`) {
			t.Errorf("the rules have %s", not)
		}
	}
}

// Two that cannot be told apart by their numbers are named by their sockets.
func TestTwins(t *testing.T) {
	files := map[string]string{
		"dev/ttyACM0": "", "dev/ttyACM1": "", "sys/class/tty/ttyACM0/device": "->../../../acm", "sys/class/tty/ttyACM1/device": "->../../../acm",
		"dev/serial/by-id/usb-SAGEM-if00":           "->../../ttyACM1",
		"dev/serial/by-path/platform-usb-0:1.1:1.0": "->../../ttyACM0",
		"dev/serial/by-path/platform-usb-0:1.2:1.0": "->../../ttyACM1",
	}
	for i, port := range []string{"1-1.1", "1-1.2"} {
		device(files, port, "079b:0028", "02", "SAME", "02", "0a")
		files["sys/bus/usb/devices/"+port+"/"+port+":1.0/tty/ttyACM"+string(rune('0'+i))+"/dev"] = "166:0"
	}
	device(files, "1-1.3", "0b00:0080", "00", "SAME", "ff") // another kind with that number
	found := Scan(machine(t, files), false)
	want := [][2]string{
		{"serial:///dev/serial/by-path/platform-usb-0:1.1:1.0", "usb:079b:0028?port=1-1.1"},
		{"serial:///dev/serial/by-path/platform-usb-0:1.2:1.0", "usb:079b:0028?port=1-1.2"},
		{"usb:0b00:0080?serial=SAME", ""},
	}
	if len(found) != len(want) {
		t.Fatalf("found %+v", found)
	}
	for i, w := range want {
		f := found[i]
		if f.Address != w[0] || f.Direct != w[1] || strings.Contains(strings.Join(f.Notes, " "), "another one like it") != (i < 2) {
			t.Errorf("got %+v, want %v", f, w)
		}
	}
}

// Every device of the list is known, but for ids that are nobody's own.
func TestIDs(t *testing.T) {
	b, err := os.ReadFile("testdata/ids.tsv")
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]string{
		"abcd:1980": "an id that was never given out", "1234:0101": "an id that was never given out",
		"193a:1000": "the list does not say which device",
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		id, what, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		n++
		vendor, product, _ := strings.Cut(strings.Replace(id, "*", "0001", 1), ":")
		v, err1 := strconv.ParseUint(vendor, 16, 16)
		p, err2 := strconv.ParseUint(product, 16, 16)
		if err1 != nil || err2 != nil {
			t.Fatalf("%q is not an id", id)
		}
		k, known := lookUp(uint16(v), uint16(p))
		if known == (left[id] != "") {
			t.Errorf("%s, %s: known %v, left out since it is %q", id, what, known, left[id])
		}
		if no := strings.Contains(what, "NOT a payment terminal"); known && no != (k.kind == other) {
			t.Errorf("%s, %s: is %+v", id, what, k)
		}
	}
	if n < 20 {
		t.Errorf("the list has %d devices", n)
	}
}
