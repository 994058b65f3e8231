//go:build libusb

package usbhid

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/gousb"
)

// controlTimeout bounds each control request; gousb's own default is for ever.
const controlTimeout = time.Second

// Requests of USB CDC PSTN 1.2, 6.3.10 and 6.3.12, host to the interface.
const (
	classToInterface    = 0x21
	setLineCoding       = 0x20
	setControlLineState = 0x22
	dtrAndRTS           = 0x0003
)

// Open claims the one device that o selects, takes it away from the kernel's
// driver until it is plugged in again, sets its line, raises DTR and RTS, and
// starts to read. It makes at most a few control requests, each bounded by a
// second.
func Open(ctx context.Context, o Options) (*Stream, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open %v: %w", o, err)
	}
	return open(o, gousb.NewContext)
}

func open(o Options, newContext func() *gousb.Context) (s *Stream, err error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("open %v: %w", o, err)
	}
	var undo cleanup
	defer func() {
		// gousb panics where libusb does not start (no /dev/bus/usb), and
		// where a device numbers its interfaces with gaps.
		if p := recover(); p != nil {
			err = fmt.Errorf("open %v: libusb: %v; is there USB on this machine (/dev/bus/usb)?", o, p)
		}
		if err != nil {
			undo.run()
		}
	}()
	usb := newContext()
	undo.add(func() { usb.Close() })
	dev, err := find(usb, o, &undo)
	if err != nil {
		return nil, fmt.Errorf("open %v: %w", o, err)
	}
	in, out, err := claim(dev, o.Line, &undo)
	if err != nil {
		return nil, fmt.Errorf("open %v: %w", o, err)
	}
	return newStream(o.String(), in, out, undo.run), nil
}

// cleanup is what has to be undone, in reverse.
type cleanup []func()

func (c *cleanup) add(f func()) { *c = append(*c, f) }

func (c *cleanup) run() {
	for _, f := range slices.Backward(*c) {
		f()
	}
	*c = nil
}

// find opens the one device that matches.
func find(usb *gousb.Context, o Options, undo *cleanup) (*gousb.Device, error) {
	var present []string
	devices, err := usb.OpenDevices(func(d *gousb.DeviceDesc) bool {
		present = append(present, fmt.Sprintf("%s:%s at %s", d.Vendor, d.Product, port(d)))
		return o.matches(d)
	})
	for _, d := range devices {
		d.ControlTimeout = controlTimeout
		undo.add(func() { d.Close() })
	}
	if len(devices) == 0 {
		switch {
		case errors.Is(err, gousb.ErrorAccess):
			return nil, fmt.Errorf("%w; let the gateway's user open it with a udev rule", err)
		case err != nil:
			return nil, err
		case len(present) == 0:
			return nil, errors.New("no such device; no USB devices are present")
		}
		return nil, fmt.Errorf("no such device; present: %s", strings.Join(present, ", "))
	}
	var found []*gousb.Device
	var others []string
	for _, d := range devices {
		serial, err := d.SerialNumber()
		if o.Serial == "" || err == nil && serial == o.Serial {
			found = append(found, d)
		}
		others = append(others, fmt.Sprintf("serial %q at %s", serial, port(d.Desc)))
	}
	switch len(found) {
	case 0:
		return nil, fmt.Errorf("no device with that serial number; present: %s", strings.Join(others, ", "))
	case 1:
		return found[0], nil
	}
	return nil, fmt.Errorf("%d devices match: give serial or port; present: %s", len(found), strings.Join(others, ", "))
}

func (o Options) matches(d *gousb.DeviceDesc) bool {
	ids := o.Vendor == 0 && o.Product == 0 || d.Vendor == gousb.ID(o.Vendor) && d.Product == gousb.ID(o.Product)
	return ids && (o.Port == "" || o.Port == port(d))
}

// port is the device's place as Linux names it: bus, dash, ports of the hubs on
// the way and the last one: "1-1.4".
func port(d *gousb.DeviceDesc) string {
	hops := make([]string, len(d.Path))
	for i, p := range d.Path {
		hops[i] = strconv.Itoa(p)
	}
	return strconv.Itoa(d.Bus) + "-" + strings.Join(hops, ".")
}

// claim takes both interfaces of a CDC-ACM function and sets its line.
func claim(d *gousb.Device, line LineCoding, undo *cleanup) (*gousb.InEndpoint, *gousb.OutEndpoint, error) {
	number, err := d.ActiveConfigNum()
	if err != nil {
		return nil, nil, fmt.Errorf("read the active configuration: %w", err)
	}
	acm, err := findACM(d.Desc.Configs[number])
	if err != nil {
		return nil, nil, err
	}
	if err := d.SetAutoDetach(true); err != nil {
		return nil, nil, fmt.Errorf("take the device from the kernel's driver: %w", err)
	}
	config, err := d.Config(number)
	if err != nil {
		return nil, nil, fmt.Errorf("take configuration %d: %w", number, err)
	}
	undo.add(func() { config.Close() })
	control, err := config.Interface(acm.control.Number, acm.control.Alternate)
	if err != nil {
		return nil, nil, fmt.Errorf("claim interface %d: %w", acm.control.Number, err)
	}
	undo.add(control.Close)
	data, err := config.Interface(acm.data.Number, acm.data.Alternate)
	if err != nil {
		return nil, nil, fmt.Errorf("claim interface %d: %w", acm.data.Number, err)
	}
	undo.add(data.Close)

	to := uint16(acm.control.Number)
	if _, err := d.Control(classToInterface, setLineCoding, 0, to, line.encode()); err != nil {
		return nil, nil, fmt.Errorf("set the line: %w", err)
	}
	if _, err := d.Control(classToInterface, setControlLineState, dtrAndRTS, to, nil); err != nil {
		return nil, nil, fmt.Errorf("raise DTR and RTS: %w", err)
	}
	in, err := data.InEndpoint(acm.in)
	if err != nil {
		return nil, nil, fmt.Errorf("bulk IN: %w", err)
	}
	out, err := data.OutEndpoint(acm.out)
	if err != nil {
		return nil, nil, fmt.Errorf("bulk OUT: %w", err)
	}
	return in, out, nil
}

// acm is a CDC-ACM function: where its control requests go, and the endpoints
// of its data interface.
type acm struct {
	control, data gousb.InterfaceSetting
	in, out       int
}

// findACM takes the first abstract control interface (class 2, subclass 2, USB
// CDC 1.2, 4.3) and the first data interface with both bulk endpoints that
// comes after it. gousb does not show the union descriptor, which would name
// the pair.
func findACM(c gousb.ConfigDesc) (acm, error) {
	const abstractControl = 2
	var a acm
	seen := false
	for _, i := range c.Interfaces {
		for _, s := range i.AltSettings {
			if !seen && s.Class == gousb.ClassComm && s.SubClass == abstractControl {
				a.control, seen = s, true
			}
			if !seen || s.Class != gousb.ClassData {
				continue
			}
			in, out := -1, -1
			for _, e := range s.Endpoints {
				switch {
				case e.TransferType != gousb.TransferTypeBulk:
				case e.Direction == gousb.EndpointDirectionIn:
					in = e.Number
				default:
					out = e.Number
				}
			}
			if in >= 0 && out >= 0 {
				a.data, a.in, a.out = s, in, out
				return a, nil
			}
		}
	}
	return acm{}, errors.New("it is not a CDC-ACM device: it has no abstract control interface with bulk data beside it")
}
