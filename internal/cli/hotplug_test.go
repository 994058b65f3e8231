package cli

import (
	"testing"

	"tillgate/internal/uevent"
	"tillgate/link"
)

func TestConcerns(t *testing.T) {
	tty := uevent.Event{Action: "add", Subsystem: "tty", Name: "ttyACM0"}
	usb := uevent.Event{Action: "remove", Subsystem: "usb", Type: "usb_device", Product: "79b/28/100"}
	other := uevent.Event{Action: "add", Subsystem: "usb", Type: "usb_device", Product: "46d/c31c/6402"}
	part := uevent.Event{Action: "bind", Subsystem: "usb", Type: "usb_interface", Product: "79b/28/100"}
	changed := uevent.Event{Action: "change", Subsystem: "tty", Name: "ttyS0"}
	var h hotplug
	for address, want := range map[string][]bool{ // tty, usb, other, part, changed
		"/dev/ttyACM0":          {true, false, false, false, false},
		"usb:079b:0028":         {false, true, false, false, false},
		"usb:?port=1-1":         {false, true, true, false, false},
		"tcp://127.0.0.1:1":     nil,
		"http://127.0.0.1:8080": nil,
	} {
		a, err := link.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		if told := h.add(a); (told != nil) != (want != nil) {
			t.Errorf("%s is watched: %v", address, told != nil)
		}
		if want == nil {
			continue
		}
		for i, e := range []uevent.Event{tty, usb, other, part, changed} {
			if got := h.ports[len(h.ports)-1].concerns(e); got != want[i] {
				t.Errorf("%s and %+v: %v, want %v", address, e, got, want[i])
			}
		}
	}
}
