package discover

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// Trouble is something about a machine that will disturb a terminal, and what
// to do.
type Trouble struct {
	What string `json:"what"`
	Next string `json:"next"`
}

// Troubles looks for what disturbs the terminals in found.
func Troubles(root string, found []Found) []Trouble {
	var all []Trouble
	ruled := rulesInstalled(root)
	_, err := os.Stat(filepath.Join(root, "run/udev"))
	udev := err == nil
	usb := false
	for _, f := range found {
		if !f.Terminal {
			continue
		}
		usb = true
		if node := f.node(); node != "" && unix.Access(filepath.Join(root, node), unix.R_OK|unix.W_OK) != nil {
			all = append(all, Trouble{
				fmt.Sprintf("%s is there, and this user (uid %d) may not use it", node, os.Getuid()),
				"add the gateway's user to the group of the device (dialout for ports, plugdev for usb: addresses), or run this with sudo",
			})
		}
	}
	if usb && udev && !ruled {
		all = append(all, Trouble{
			"the udev rules for card terminals are not installed",
			fmt.Sprintf("tillgate discover --udev-rules | sudo tee /etc/udev/rules.d/%s && sudo udevadm control --reload && sudo udevadm trigger", RulesFile),
		})
	}
	if pid := running(root, "ModemManager"); pid != "" {
		for _, f := range found {
			if f.Path != "" && f.USB != nil && !ignored(root, f) {
				all = append(all, Trouble{
					fmt.Sprintf("ModemManager (process %s) runs and has not been told to leave %s alone: it talks to a terminal as to a modem", pid, f.Path),
					f.ignore() + ", or remove it: sudo apt-get remove modemmanager",
				})
			}
		}
	}
	return all
}

// plain are serial numbers that can stand in a rule: they come from a device, and
// the rule is pasted by root.
var plain = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// ignore is what keeps ModemManager off. The rules that are shipped have no
// converters, since others have modems behind the same chips.
func (f Found) ignore() string {
	switch {
	case f.Terminal:
		return "install the udev rules"
	case !plain.MatchString(f.USB.Serial):
		return fmt.Sprintf(`add to a file in /etc/udev/rules.d: SUBSYSTEM=="tty", KERNELS=="%s", ENV{ID_MM_PORT_IGNORE}="1"`, f.USB.Port)
	}
	return fmt.Sprintf(`add to a file in /etc/udev/rules.d: SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ATTRS{serial}=="%s", ENV{ID_MM_PORT_IGNORE}="1"`, f.USB.Serial)
}

// node is the file a program has to open.
func (f Found) node() string {
	switch {
	case f.Path != "":
		return f.Path
	case f.USB != nil:
		return f.USB.Node
	}
	return ""
}

func rulesInstalled(root string) bool {
	for _, dir := range []string{"etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d"} {
		if _, err := os.Stat(filepath.Join(root, dir, RulesFile)); err == nil {
			return true
		}
	}
	return false
}

// ignored asks udev's database, which has a file for each device number.
func ignored(root string, f Found) bool {
	number := attribute(filepath.Join(root, "sys/class/tty", filepath.Base(f.Path)), "dev")
	b, err := os.ReadFile(filepath.Join(root, "run/udev/data", "c"+number))
	if err != nil {
		return false
	}
	return strings.Contains(string(b), "E:ID_MM_PORT_IGNORE=1") || strings.Contains(string(b), "E:ID_MM_DEVICE_IGNORE=1")
}

// running finds a process by the name of its program.
func running(root, name string) (pid string) {
	all, _ := filepath.Glob(filepath.Join(root, "proc/[0-9]*/comm"))
	for _, comm := range all {
		if attribute(filepath.Dir(comm), "comm") == name {
			return filepath.Base(filepath.Dir(comm))
		}
	}
	return ""
}
