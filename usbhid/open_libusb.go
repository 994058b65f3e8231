//go:build libusb

package usbhid

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/gousb"
)

// controlTimeout bounds each control request; gousb's own default is for ever.
const controlTimeout = time.Second

// Open claims the one device that o selects, takes it away from the kernel's
// driver until it is closed, sets its line and raises DTR and RTS if it is a
// serial port, and starts to read. It makes at most a few control requests,
// each bounded by a second. The error wraps [ErrNoUSB], fs.ErrNotExist or
// fs.ErrPermission where that is the reason.
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
			err = kindred{fmt.Errorf("open %v: libusb: %v; is there USB on this machine (/dev/bus/usb)?", o, p), ErrNoUSB}
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
	in, out, err := claim(dev, o, &undo)
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

// kindred is an error of a kind that programs know.
type kindred struct{ err, kind error }

func (k kindred) Error() string { return k.err.Error() }

func (k kindred) Unwrap() []error { return []error{k.err, k.kind} }

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
			return nil, kindred{fmt.Errorf("%w; let the gateway's user open it with a udev rule", err), fs.ErrPermission}
		case err != nil:
			return nil, err
		case len(present) == 0:
			return nil, kindred{errors.New("no such device; no USB devices are present"), fs.ErrNotExist}
		}
		return nil, kindred{fmt.Errorf("no such device; present: %s", strings.Join(present, ", ")), fs.ErrNotExist}
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
		return nil, kindred{fmt.Errorf("no device with that serial number; present: %s", strings.Join(others, ", ")), fs.ErrNotExist}
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
