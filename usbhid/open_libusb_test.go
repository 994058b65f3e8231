//go:build libusb

package usbhid

import (
	"strings"
	"testing"

	"github.com/google/gousb"
)

// Wherever this runs, no device has these ids.
func TestOpenWithoutTheDevice(t *testing.T) {
	s, err := Open(t.Context(), Options{Vendor: 0xffff, Product: 0xfffe})
	if s != nil || err == nil {
		t.Fatalf("open gave %v, %v", s, err)
	}
	if !strings.Contains(err.Error(), "no such device") && !strings.Contains(err.Error(), "is there USB on this machine") {
		t.Errorf("error is %v", err)
	}
}

// A libusb without udev does not start on a machine without /dev/bus/usb.
func TestPanicOfLibusbIsAnError(t *testing.T) {
	s, err := open(Options{Port: "1-1"}, func() *gousb.Context { panic(gousb.ErrorOther) })
	if s != nil || err == nil || !strings.Contains(err.Error(), "is there USB on this machine") {
		t.Errorf("open gave %v, %v, want an error", s, err)
	}
}

func TestMatches(t *testing.T) {
	d := &gousb.DeviceDesc{Bus: 1, Path: []int{1, 4}, Vendor: 0x0b00, Product: 0x0080}
	for _, c := range []struct {
		o    Options
		want bool
	}{
		{Options{Vendor: 0x0b00, Product: 0x0080}, true},
		{Options{Vendor: 0x0b00, Product: 0x0080, Port: "1-1.4"}, true},
		{Options{Port: "1-1.4"}, true},
		{Options{Vendor: 0x0b00, Product: 0x0080, Port: "1-1"}, false},
		{Options{Vendor: 0x0b00, Product: 0x0081}, false},
		{Options{Port: "2-1.4"}, false},
	} {
		if got := c.o.matches(d); got != c.want {
			t.Errorf("%v matches: %v, want %v", c.o, got, c.want)
		}
	}
}

func TestFindACM(t *testing.T) {
	bulk := map[gousb.EndpointAddress]gousb.EndpointDesc{
		0x82: {Number: 2, Direction: gousb.EndpointDirectionIn, TransferType: gousb.TransferTypeBulk},
		0x01: {Number: 1, Direction: gousb.EndpointDirectionOut, TransferType: gousb.TransferTypeBulk},
	}
	notify := map[gousb.EndpointAddress]gousb.EndpointDesc{
		0x83: {Number: 3, Direction: gousb.EndpointDirectionIn, TransferType: gousb.TransferTypeInterrupt},
	}
	one := func(number int, class gousb.Class, sub gousb.Class, e map[gousb.EndpointAddress]gousb.EndpointDesc) gousb.InterfaceDesc {
		return gousb.InterfaceDesc{Number: number, AltSettings: []gousb.InterfaceSetting{{Number: number, Class: class, SubClass: sub, Endpoints: e}}}
	}
	got, err := findACM(gousb.ConfigDesc{Interfaces: []gousb.InterfaceDesc{
		one(0, gousb.ClassVendorSpec, 0, bulk),
		one(1, gousb.ClassComm, 2, notify),
		one(2, gousb.ClassData, 0, nil), // as some have in their idle setting
		one(3, gousb.ClassData, 0, bulk),
	}})
	if err != nil || got.control.Number != 1 || got.data.Number != 3 || got.in != 2 || got.out != 1 {
		t.Errorf("found %+v, %v", got, err)
	}
	for name, config := range map[string]gousb.ConfigDesc{
		"nothing": {},
		"HID":     {Interfaces: []gousb.InterfaceDesc{one(0, gousb.ClassHID, 0, notify)}},
		"no data": {Interfaces: []gousb.InterfaceDesc{one(0, gousb.ClassComm, 2, notify), one(1, gousb.ClassData, 0, notify)}},
	} {
		if _, err := findACM(config); err == nil {
			t.Errorf("%s was taken for CDC-ACM", name)
		}
	}
}
