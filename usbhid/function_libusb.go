//go:build libusb

package usbhid

import (
	"errors"
	"fmt"

	"github.com/google/gousb"
)

// function is the part of a device that carries the bytes.
type function struct {
	kind    Kind
	control gousb.InterfaceSetting // of CDC-ACM: where its requests go
	data    gousb.InterfaceSetting
	in, out int // endpoint numbers; out is -1 where a HID device has none
}

// findFunction finds what o asks for. Where it leaves the kind open, a serial
// port comes before a vendor's bulk endpoints, and these before HID: composite
// terminals have a HID keypad beside their data.
func findFunction(c gousb.ConfigDesc, o Options) (function, error) {
	kinds := []Kind{CDCACM, Bulk, HID}
	if o.As != "" {
		kinds = []Kind{o.As}
	}
	for _, k := range kinds {
		f, ok := function{}, false
		switch k {
		case CDCACM:
			f, ok = findACM(c, o.Interface)
		case Bulk:
			f, ok = findPair(c, o.Interface, Bulk, gousb.ClassVendorSpec, gousb.TransferTypeBulk)
		case HID:
			f, ok = findPair(c, o.Interface, HID, gousb.ClassHID, gousb.TransferTypeInterrupt)
		}
		if ok {
			return f, nil
		}
	}
	at := ""
	if o.Interface.Given {
		at = fmt.Sprintf(" at interface %d", o.Interface.Number)
	}
	switch o.As {
	case CDCACM:
		return function{}, fmt.Errorf("it is not a CDC-ACM device: it has no abstract control interface%s with bulk data beside it", at)
	case Bulk:
		return function{}, fmt.Errorf("it has nothing%s of a vendor's class with bulk endpoints both ways", at)
	case HID:
		return function{}, fmt.Errorf("it has no HID interface%s", at)
	}
	if at != "" {
		return function{}, fmt.Errorf("it has nothing that carries bytes%s: no CDC-ACM, no vendor's bulk endpoints, no HID", at)
	}
	return function{}, errors.New("it has nothing that carries bytes: no CDC-ACM, no vendor's bulk endpoints, no HID")
}

func (i Interface) is(number int) bool { return !i.Given || int(i.Number) == number }

// findACM takes the first abstract control interface (class 2, subclass 2, USB
// CDC 1.2, 4.3) and the first data interface with both bulk endpoints that
// comes after it. gousb does not show the union descriptor, which would name
// the pair.
func findACM(c gousb.ConfigDesc, at Interface) (function, bool) {
	const abstractControl = 2
	f := function{kind: CDCACM}
	seen := false
	for _, i := range c.Interfaces {
		for _, s := range i.AltSettings {
			if !seen && s.Class == gousb.ClassComm && s.SubClass == abstractControl && at.is(s.Number) {
				f.control, seen = s, true
			}
			if !seen || s.Class != gousb.ClassData {
				continue
			}
			if in, out := endpoints(s, gousb.TransferTypeBulk); in >= 0 && out >= 0 {
				f.data, f.in, f.out = s, in, out
				return f, true
			}
		}
	}
	return function{}, false
}

// findPair takes the first interface of a class that has endpoints of a type. A
// HID device may have none to send to.
func findPair(c gousb.ConfigDesc, at Interface, k Kind, class gousb.Class, t gousb.TransferType) (function, bool) {
	for _, i := range c.Interfaces {
		for _, s := range i.AltSettings {
			if s.Class != class || !at.is(s.Number) {
				continue
			}
			if in, out := endpoints(s, t); in >= 0 && (out >= 0 || k == HID) {
				return function{kind: k, data: s, in: in, out: out}, true
			}
		}
	}
	return function{}, false
}

// endpoints finds one of each direction, the lowest number first; -1 is none.
func endpoints(s gousb.InterfaceSetting, t gousb.TransferType) (in, out int) {
	in, out = -1, -1
	for _, e := range s.Endpoints { // a map
		of := &out
		if e.Direction == gousb.EndpointDirectionIn {
			of = &in
		}
		if e.TransferType == t && (*of < 0 || e.Number < *of) {
			*of = e.Number
		}
	}
	return in, out
}
