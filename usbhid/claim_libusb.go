//go:build libusb

package usbhid

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/gousb"
)

// Requests of USB CDC PSTN 1.2, 6.3.10 and 6.3.12, and of HID 1.11, 7.2.2, host
// to the interface.
const (
	classToInterface    = 0x21
	setLineCoding       = 0x20
	setControlLineState = 0x22
	dtrAndRTS           = 0x0003
	setReport           = 0x09
	outputReport        = 0x0200 // wValue of setReport, beside the id
)

// claim takes the interfaces of the device's function, and makes a pipe of it.
func claim(d *gousb.Device, o Options, undo *cleanup) (inEndpoint, outEndpoint, error) {
	number, err := d.ActiveConfigNum()
	if err != nil {
		return nil, nil, fmt.Errorf("read the active configuration: %w", err)
	}
	f, err := findFunction(d.Desc.Configs[number], o)
	if err != nil {
		return nil, nil, err
	}
	// The kernel's driver goes with the claim and comes back with the release.
	if err := d.SetAutoDetach(true); err != nil {
		return nil, nil, fmt.Errorf("take the device from the kernel's driver: %w", err)
	}
	config, err := d.Config(number)
	if err != nil {
		return nil, nil, fmt.Errorf("take configuration %d: %w", number, err)
	}
	undo.add(func() { config.Close() })
	take := func(s gousb.InterfaceSetting) (*gousb.Interface, error) {
		i, err := config.Interface(s.Number, s.Alternate)
		if err != nil {
			if errors.Is(err, gousb.ErrorBusy) {
				err = fmt.Errorf("%w: another program has it", err)
			}
			return nil, fmt.Errorf("claim interface %d: %w", s.Number, err)
		}
		undo.add(i.Close)
		return i, nil
	}
	if f.kind == CDCACM {
		if _, err := take(f.control); err != nil {
			return nil, nil, err
		}
	}
	data, err := take(f.data)
	if err != nil {
		return nil, nil, err
	}
	if f.kind == CDCACM {
		if err := raise(d, f.control.Number, o.Line); err != nil {
			return nil, nil, err
		}
	}
	return pipes(d, data, f, o.Report)
}

// raise sets the line of a CDC-ACM device, and DTR and RTS.
func raise(d *gousb.Device, control int, line LineCoding) error {
	if _, err := d.Control(classToInterface, setLineCoding, 0, uint16(control), line.encode()); err != nil {
		return fmt.Errorf("set the line: %w", err)
	}
	if _, err := d.Control(classToInterface, setControlLineState, dtrAndRTS, uint16(control), nil); err != nil {
		return fmt.Errorf("raise DTR and RTS: %w", err)
	}
	return nil
}

// pipes opens the endpoints of the data interface.
func pipes(d *gousb.Device, data *gousb.Interface, f function, r Report) (inEndpoint, outEndpoint, error) {
	in, err := data.InEndpoint(f.in)
	if err != nil {
		return nil, nil, fmt.Errorf("IN endpoint: %w", err)
	}
	var out outEndpoint
	size := in.Desc.MaxPacketSize
	if f.out >= 0 {
		e, err := data.OutEndpoint(f.out)
		if err != nil {
			return nil, nil, fmt.Errorf("OUT endpoint: %w", err)
		}
		out = e
		if f.kind == HID {
			size = min(size, e.Desc.MaxPacketSize)
		}
	} else {
		out = reportRequest{d, uint16(f.data.Number), r.ID}
	}
	if f.kind != HID {
		return packets{in, in.Desc.MaxPacketSize}, out, nil
	}
	if size <= r.overhead() {
		return nil, nil, fmt.Errorf("its reports of %d bytes have no room for data", size)
	}
	return &reportIn{from: in, report: r, buf: make([]byte, in.Desc.MaxPacketSize)},
		&reportOut{to: out, report: r, buf: make([]byte, size)}, nil
}

// packets reads one packet at a time. A transfer ends with a packet that is not
// full; one that asks for more waits for ever where a terminal ends a message
// with a full packet and sends no empty one after it, and many do not.
type packets struct {
	from inEndpoint
	size int
}

func (p packets) ReadContext(ctx context.Context, b []byte) (int, error) {
	return p.from.ReadContext(ctx, b[:min(len(b), p.size)])
}

// reportRequest sends reports by control requests, to a HID device that has no
// OUT endpoint (HID 1.11, 4.4). A request cannot be cancelled; it is bounded by
// a second.
type reportRequest struct {
	device *gousb.Device
	number uint16
	id     uint8
}

func (r reportRequest) WriteContext(ctx context.Context, b []byte) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return r.device.Control(classToInterface, setReport, outputReport|uint16(r.id), r.number, b)
}
