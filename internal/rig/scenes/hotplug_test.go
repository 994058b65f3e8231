package scenes

import (
	"testing"
	"time"

	"tillgate/internal/payment"
)

// The kernel tells that an idle terminal was pulled out, and that it is back.
func TestHotplug(t *testing.T) {
	inMachine(t)
	usb := usbWires(t, "hot-", 0x10)
	for _, x := range usb {
		x.in(t)
	}
	b := start(t, usb...)
	for _, x := range usb {
		b.sellable(t, x)
	}
	for _, x := range usb {
		begun := time.Now()
		x.pull(t)
		await(t, x.name+" is offline", func() bool { return b.status(t, x.name).Link == payment.LinkOffline })
		gone := time.Since(begun)
		for _, y := range usb {
			if y != x && b.status(t, y.name).Link != payment.LinkOnline {
				t.Errorf("%s is gone with %s", y.name, x.name)
			}
		}
		begun = time.Now()
		x.in(t)
		b.sellable(t, x)
		t.Logf("%s: offline %v after it was pulled out, selling %v after it was plugged in", x.name, gone.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
		if gone > heartbeat/2 {
			t.Errorf("%s: the next heartbeat found out, not the kernel's news", x.name)
		}
	}
}

const heartbeat = 30 * time.Second // of an idle terminal
