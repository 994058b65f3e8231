//go:build libusb

package usbhid

import (
	"errors"
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
	if s != nil || !errors.Is(err, ErrNoUSB) || !strings.Contains(err.Error(), "is there USB on this machine") {
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
	got, err := findFunction(gousb.ConfigDesc{Interfaces: []gousb.InterfaceDesc{
		one(0, gousb.ClassVendorSpec, 0, bulk),
		one(1, gousb.ClassComm, 2, notify),
		one(2, gousb.ClassData, 0, nil), // as some have in their idle setting
		one(3, gousb.ClassData, 0, bulk),
	}}, Options{})
	if err != nil || got.control.Number != 1 || got.data.Number != 3 || got.in != 2 || got.out != 1 {
		t.Errorf("found %+v, %v", got, err)
	}
	for name, config := range map[string]gousb.ConfigDesc{
		"nothing": {},
		"HID":     {Interfaces: []gousb.InterfaceDesc{one(0, gousb.ClassHID, 0, notify)}},
		"no data": {Interfaces: []gousb.InterfaceDesc{one(0, gousb.ClassComm, 2, notify), one(1, gousb.ClassData, 0, notify)}},
	} {
		if _, err := findFunction(config, Options{As: CDCACM}); err == nil {
			t.Errorf("%s was taken for CDC-ACM", name)
		}
	}
}

func TestFindFunction(t *testing.T) {
	both := map[gousb.EndpointAddress]gousb.EndpointDesc{
		0x81: {Number: 1, Direction: gousb.EndpointDirectionIn, TransferType: gousb.TransferTypeBulk},
		0x02: {Number: 2, Direction: gousb.EndpointDirectionOut, TransferType: gousb.TransferTypeBulk},
	}
	input := map[gousb.EndpointAddress]gousb.EndpointDesc{
		0x83: {Number: 3, Direction: gousb.EndpointDirectionIn, TransferType: gousb.TransferTypeInterrupt},
	}
	composite := gousb.ConfigDesc{Interfaces: []gousb.InterfaceDesc{
		{Number: 0, AltSettings: []gousb.InterfaceSetting{{Number: 0, Class: gousb.ClassHID, Endpoints: input}}},
		{Number: 1, AltSettings: []gousb.InterfaceSetting{{Number: 1, Class: gousb.ClassVendorSpec, Endpoints: both}}},
		{Number: 2, AltSettings: []gousb.InterfaceSetting{{Number: 2, Class: gousb.ClassVendorSpec, Endpoints: both}}},
	}}
	for _, c := range []struct {
		o    Options
		want string // "" is an interface
		kind Kind
		at   int
		out  int
	}{
		{o: Options{}, kind: Bulk, at: 1, out: 2},
		{o: Options{As: HID}, kind: HID, at: 0, out: -1},
		{o: Options{Interface: Interface{true, 2}}, kind: Bulk, at: 2, out: 2},
		{o: Options{Interface: Interface{true, 0}}, kind: HID, at: 0, out: -1},
		{o: Options{As: CDCACM}, want: "it is not a CDC-ACM device"},
		{o: Options{As: Bulk, Interface: Interface{true, 0}}, want: "nothing at interface 0 of a vendor's class"},
		{o: Options{Interface: Interface{true, 9}}, want: "nothing that carries bytes at interface 9"},
	} {
		f, err := findFunction(composite, c.o)
		if c.want != "" {
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%+v: got %v, want %q", c.o, err, c.want)
			}
			continue
		}
		if err != nil || f.kind != c.kind || f.data.Number != c.at || f.out != c.out {
			t.Errorf("%+v: got %+v, %v", c.o, f, err)
		}
	}
}
