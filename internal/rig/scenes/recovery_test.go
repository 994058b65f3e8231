package scenes

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/internal/usbip"
	"tillgate/internal/usbreset"
)

// What the steps of recovery do to a real kernel's device.
func TestRecoverySteps(t *testing.T) {
	inMachine(t)
	t.Parallel()
	const tty = "/tmp/dev/steps"
	acm := newUSB(t, "steps", "ecrvn", tty, usbip.CDCACM, 0x21, tty)
	acm.in(t)
	m := usbreset.Machine{Off: 50 * time.Millisecond}
	for name, step := range map[string]func(context.Context, string) error{"rebind": m.Rebind, "usb-reset": m.Reset} {
		node, err := filepath.EvalSymlinks(tty)
		if err != nil {
			t.Fatal(err)
		}
		port, err := m.PortOf(node)
		if err != nil {
			t.Fatal(err)
		}
		before, err := os.Stat(node)
		if err != nil {
			t.Fatal(err)
		}
		if err := step(t.Context(), port); err != nil {
			t.Errorf("%s of %s: %v", name, port, err)
		}
		await(t, "the port after "+name, func() bool { return exists("/sys/bus/usb/devices/" + port + "/" + port + ":1.0/tty") })
		acm.plug.(*usbPlug).name.follow(t)
		after, err := os.Stat(tty)
		if err != nil || os.SameFile(before, after) {
			t.Errorf("%s: the port is the same as before, %v", name, err)
		}
	}
}

// The whole ladder: a device that the kernel does not talk to any more is reset,
// and sells again.
func TestLadder(t *testing.T) {
	inMachine(t)
	t.Parallel()
	acm := newUSB(t, "ladder", "ecrvn", "usb:1209:0022", usbip.CDCACM, 0x22, "")
	acm.in(t)
	var port string
	await(t, "the device", func() (ok bool) {
		var err error
		port, err = usbreset.Machine{}.Find(0x1209, 0x22, "SN-ladder")
		return err == nil
	})
	acm.extra = fmt.Sprintf("    recovery: {steps: [drain, usb-reset], after: 1s, every: 1s, usb_port: %q}\n", port)
	b := start(t, acm)
	b.sellable(t, acm)
	if err := os.WriteFile("/sys/bus/usb/devices/"+port+"/authorized", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	await(t, "the terminal is offline", func() bool { return b.status(t, "ladder").Link == payment.LinkOffline })
	b.sellable(t, acm)

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var steps []string
	for e, err := range b.client.Events(ctx, 1, false) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Type == payment.EventTerminalRecovery {
			var d struct{ Step, State string }
			if err := json.Unmarshal(e.Data, &d); err != nil {
				t.Fatal(err)
			}
			steps = append(steps, d.Step+" "+d.State)
		}
	}
	if all := strings.Join(steps, ", "); !strings.HasPrefix(all, "drain begun, drain failed, usb-reset begun, usb-reset done") {
		t.Errorf("the journal has %s", all)
	}
	b.payOnce(t, acm)
}
