package scenes

import (
	"fmt"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/internal/usbip"
)

// wires makes a terminal at the end of each wire there is.
func wires(t *testing.T) (usb, serial []*terminal) {
	t.Helper()
	acm := newUSB(t, "acm", "ecrvn", "/tmp/dev/acm", usbip.CDCACM, 2)
	acm.tty = "/tmp/dev/acm"
	usb = []*terminal{
		newUSB(t, "libusb", "ecrvn", "usb:1209:0001", usbip.CDCACM, 1),
		acm,
		newUSB(t, "bulk", "qfpay", "usb:1209:0003", usbip.Bulk, 3),
		newUSB(t, "hid", "ecrvn", "usb:1209:0004?as=hid", usbip.HID, 4),
	}
	if !exists("/sys/bus/pci/devices") {
		t.Log("this machine has no PCI, and so no cables between serial ports")
		return usb, nil
	}
	near := "/dev/ttyAMA0"
	if machineName() == "x86_64" {
		near = uart(t, "10")
	}
	x := newTerminal(t, "uart", "ecrvn", near)
	x.wire(uart(t, "11"))
	await(t, "the FTDI adapter", func() bool { return exists("/dev/ttyUSB0") })
	y := newTerminal(t, "ftdi", "ecrvn", "/dev/ttyUSB0")
	y.wire(uart(t, "13"))
	return usb, []*terminal{x, y}
}

// A payment over each wire, by the command line.
func TestPayments(t *testing.T) {
	inMachine(t)
	usb, serial := wires(t)
	for _, x := range usb {
		x.plug(t)
	}
	all := append(usb, serial...)
	b := start(t, all...)
	t.Run("wire", func(t *testing.T) {
		for _, x := range all {
			t.Run(x.name, func(t *testing.T) {
				t.Parallel()
				b.payOnce(t, x)
			})
		}
	})
}

func (b *box) payOnce(t *testing.T, x *terminal) {
	var id string
	for n := 1; ; n++ {
		b.sellable(t, x)
		id = fmt.Sprintf("%s-%d", x.name, n)
		code, out := b.pay(t, x, id, "5000")
		if code == 0 {
			break
		}
		// A starved machine tears a request apart, which no terminal answers: the
		// sale is refused, and nothing was sent for it.
		if n == 8 || !strings.Contains(out, `"status":"refused"`) {
			t.Fatalf("exit status %d: %s", code, out)
		}
	}
	r := b.final(t, id)
	if r.Outcome.Result != payment.Approved {
		t.Fatalf("in the journal: %+v", r.Outcome)
	}
	judge(t, x, r)
	t.Logf("approved over %s, %d transfers of USB since it was plugged in", x.address, x.transfers())
}
