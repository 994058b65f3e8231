package scenes

import (
	"context"
	"net"
	"testing"

	"tillgate/internal/usbip"
)

// usbPlug is one of USB/IP: what is at the other end of the cable is vhci_hcd.
type usbPlug struct {
	device
	usb   *usbip.Device
	cable net.Conn // nil before the first time
}

// newUSB makes a terminal that is plugged into vhci_hcd. tty is the link to its
// port; "" for one without.
func newUSB(t *testing.T, title, driver, address string, kind usbip.Kind, product uint16, tty string) *terminal {
	t.Helper()
	x := newTerminal(t, title, driver, address)
	p := &usbPlug{}
	p.made(x, title, tty, p.sever)
	p.usb = &usbip.Device{
		Kind: kind, Vendor: 0x1209, Product: product, Manufacturer: "Tillgate", Name: "Simulated terminal", Serial: p.name.serial,
		Before: func(usbip.Direction, []byte) { p.unit() },
	}
	x.plug = p
	x.ends(t)
	return x
}

func (p *usbPlug) in(t *testing.T) {
	t.Helper()
	cable, err := usbip.Attach()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	p.mu.Lock()
	p.cable, p.ended = cable, ended
	p.mu.Unlock()
	go func() {
		defer close(ended)
		err := p.usb.Serve(p.x.ctx, cable, func(ctx context.Context, c net.Conn) error { return p.x.talk(ctx, c) })
		if err != nil {
			p.x.t.Errorf("%s: %v", p.x.name, err)
		}
	}()
	p.name.follow(t)
}

func (p *usbPlug) sever() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cable != nil {
		p.name.remove()
		p.cable.Close()
	}
}
