package discover

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"tillgate/serialio"
)

// Found is a serial port, or a USB device that has none, or both in one.
type Found struct {
	Path     string   `json:"path,omitempty"`    // of the kernel's port: /dev/ttyACM0
	Names    []string `json:"names,omitempty"`   // that last; the best first
	USB      *USB     `json:"usb,omitempty"`     // nil for a UART of the board
	What     string   `json:"what"`              // what it probably is
	Terminal bool     `json:"terminal"`          // it is known to be a card terminal
	Address  string   `json:"address,omitempty"` // for the configuration
	Direct   string   `json:"direct,omitempty"`  // the same without the kernel's driver
	Notes    []string `json:"notes,omitempty"`   // what to know about it

	console bool // the kernel's is on it
}

// USB is a USB device as the kernel describes it.
type USB struct {
	Vendor       uint16      `json:"-"`
	Product      uint16      `json:"-"`
	ID           string      `json:"id"`   // 079b:0028
	Port         string      `json:"port"` // 1-1.4
	Manufacturer string      `json:"manufacturer,omitempty"`
	Name         string      `json:"name,omitempty"`
	Serial       string      `json:"serial,omitempty"`
	Node         string      `json:"node"` // /dev/bus/usb/001/004
	Interfaces   []Interface `json:"interfaces"`

	ports []string // names of ttys
}

// Interface is a part of a USB device.
type Interface struct {
	Number int    `json:"number"`
	Class  int    `json:"class"`
	Driver string `json:"driver,omitempty"` // of the kernel, that has it now
}

// Scan looks at a machine whose root folder is root, "/" for this one. all adds
// what is certainly no terminal, except hubs. Known terminals come first, the
// console's port last.
func Scan(root string, all bool) []Found {
	var found []Found
	ports := serialio.ListIn(root)
	names := map[string][]string{}
	for _, p := range ports {
		names[p.Path] = p.Names
	}
	inUSB := map[string]bool{} // paths
	devices := usbDevices(root)
	alike := map[string]int{}
	for _, u := range devices {
		alike[u.ID+u.Serial]++
	}
	for _, u := range devices {
		twin := alike[u.ID+u.Serial] > 1
		k, isKnown := lookUp(u.Vendor, u.Product)
		if len(u.ports) == 0 && !all && (!isKnown || k.kind == other) && !u.carries() {
			continue
		}
		for _, tty := range u.ports {
			path := "/dev/" + tty
			inUSB[path] = true
			found = append(found, describe(u, path, names[path], twin, k, isKnown))
		}
		if len(u.ports) == 0 {
			found = append(found, describe(u, "", nil, twin, k, isKnown))
		}
	}
	for _, p := range ports {
		if !inUSB[p.Path] {
			f := Found{Path: p.Path, Names: p.Names, What: "a serial port of the board"}
			f.Address = "serial://" + f.best()
			f.Notes = console(root, filepath.Base(p.Path))
			f.console = len(f.Notes) > 0
			found = append(found, f)
		}
	}
	slices.SortStableFunc(found, func(a, b Found) int { return a.rank() - b.rank() })
	return found
}

func (f Found) rank() int {
	switch {
	case f.Terminal:
		return 0
	case f.console:
		return 2
	}
	return 1
}

// carries says whether a device has something that a usb: address can use.
func (u USB) carries() bool {
	const comm, vendorSpecific = 0x02, 0xff
	return slices.ContainsFunc(u.Interfaces, func(i Interface) bool { return i.Class == comm || i.Class == vendorSpecific })
}

// describe says what is known of a device, or of one of its ports. What has a twin,
// of the same ids and serial number, is only told apart by where it is plugged in:
// both want the same name by id, and the one that came last has it.
func describe(u USB, path string, names []string, twin bool, k known, isKnown bool) Found {
	if twin {
		names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return strings.Contains(n, "/by-id/") })
	}
	f := Found{Path: path, Names: names, USB: &u, What: "an unknown USB device"}
	if name := strings.TrimSpace(u.Manufacturer + " " + u.Name); name != "" {
		f.What = name
	}
	if isKnown {
		f.What, f.Terminal = k.name, k.kind == terminal
		if k.note != "" {
			f.Notes = append(f.Notes, k.note)
		}
	}
	const hid = 0x03
	f.Direct = "usb:" + u.ID
	if u.Serial != "" && !twin && !strings.ContainsAny(u.Serial, "?&=%+ #") {
		f.Direct += "?serial=" + u.Serial
	} else {
		f.Direct += "?port=" + u.Port
	}
	if !u.carries() && slices.ContainsFunc(u.Interfaces, func(i Interface) bool { return i.Class == hid }) {
		f.Direct += "&as=hid"
	}
	if twin {
		f.Notes = append(f.Notes, "there is another one like it: it is told apart by where it is plugged in, so leave it there")
	}
	if path == "" {
		f.Address, f.Direct = f.Direct, ""
		return f
	}
	f.Address = "serial://" + f.best()
	if len(f.Names) == 0 {
		f.Notes = append(f.Notes, "it has no lasting name: "+f.Path+" may be another device after the next plug; udev makes names below /dev/serial")
	}
	if isKnown && k.kind == adapter {
		f.Direct = "" // a converter's chip speaks its own language
	}
	return f
}

func (f Found) best() string {
	if len(f.Names) > 0 {
		return f.Names[0]
	}
	return f.Path
}

// usbDevices lists all but hubs, in the order of their ports.
func usbDevices(root string) []USB {
	dir := filepath.Join(root, "sys/bus/usb/devices")
	entries, _ := os.ReadDir(dir)
	devices := map[string]USB{}
	for _, e := range entries {
		at := filepath.Join(dir, e.Name())
		vendor, err1 := strconv.ParseUint(attribute(at, "idVendor"), 16, 16)
		product, err2 := strconv.ParseUint(attribute(at, "idProduct"), 16, 16)
		if err1 != nil || err2 != nil || attribute(at, "bDeviceClass") == "09" {
			continue // an interface, or a hub
		}
		bus, _ := strconv.Atoi(attribute(at, "busnum"))
		number, _ := strconv.Atoi(attribute(at, "devnum"))
		u := USB{
			Vendor: uint16(vendor), Product: uint16(product), ID: fmt.Sprintf("%04x:%04x", vendor, product), Port: e.Name(),
			Manufacturer: attribute(at, "manufacturer"), Name: attribute(at, "product"), Serial: attribute(at, "serial"),
			Node: fmt.Sprintf("/dev/bus/usb/%03d/%03d", bus, number),
		}
		parts, _ := filepath.Glob(filepath.Join(at, e.Name()+":*"))
		for _, part := range parts {
			class, err := strconv.ParseUint(attribute(part, "bInterfaceClass"), 16, 8)
			if err != nil {
				continue
			}
			n, _ := strconv.ParseUint(attribute(part, "bInterfaceNumber"), 16, 8)
			driver, _ := os.Readlink(filepath.Join(part, "driver"))
			i := Interface{Number: int(n), Class: int(class)}
			if driver != "" {
				i.Driver = filepath.Base(driver)
			}
			u.Interfaces = append(u.Interfaces, i)
			for _, pattern := range []string{"tty/tty*", "ttyUSB*/tty/tty*"} {
				ttys, _ := filepath.Glob(filepath.Join(part, pattern))
				for _, tty := range ttys {
					u.ports = append(u.ports, filepath.Base(tty))
				}
			}
		}
		devices[e.Name()] = u
	}
	var all []USB
	for _, port := range slices.Sorted(maps.Keys(devices)) {
		all = append(all, devices[port])
	}
	return all
}

// attribute reads a file of sysfs; what cannot be read is "". It is bounded by
// the kernel to a page.
func attribute(dir, name string) string {
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.TrimSpace(string(b)))
}

// console warns of a port that the kernel or a login uses.
func console(root, tty string) []string {
	var notes []string
	for word := range strings.FieldsSeq(attribute(filepath.Join(root, "proc"), "cmdline")) {
		name, _, _ := strings.Cut(strings.TrimPrefix(word, "console="), ",")
		if strings.HasPrefix(word, "console=") && (name == tty || name == "serial0" && (tty == "ttyAMA0" || tty == "ttyS0")) {
			notes = append(notes, "the kernel's console is on it: take "+word+" out of the kernel's command line (on a Raspberry Pi: raspi-config, Interface, Serial Port)")
		}
	}
	return notes
}
