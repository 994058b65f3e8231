package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"tillgate/internal/usbip"
	"tillgate/link"
)

// simUSB is how a simulated terminal is a USB device.
type simUSB struct {
	USBIP  bool   `name:"usbip" xor:"line" help:"As a USB device, offered to 'usbip attach'."`
	Listen string `default:"127.0.0.1:3240" help:"With --usbip: where 'usbip attach' finds it. Whoever reaches it may plug it in." placeholder:"ADDRESS"`
	Attach bool   `help:"With --usbip: plug it into this machine at once. Takes root and the module vhci-hcd, and no usbip tool."`
	As     string `name:"usb-as" default:"cdc-acm" enum:"cdc-acm,bulk,hid" help:"With --usbip: a serial port (cdc-acm), a vendor's bulk endpoints, or HID reports."`
	ID     string `name:"usb-id" default:"1209:0001" help:"With --usbip: vendor and product id." placeholder:"VVVV:PPPP"`
	Serial string `name:"usb-serial" default:"SIM0001" help:"With --usbip: serial number." placeholder:"TEXT"`
}

const usbMaker = "Tillgate"

func (u *simUSB) device(driver link.Driver, log *slog.Logger) (*usbip.Device, error) {
	vendor, product, _ := strings.Cut(u.ID, ":")
	v, err1 := strconv.ParseUint(vendor, 16, 16)
	p, err2 := strconv.ParseUint(product, 16, 16)
	if err1 != nil || err2 != nil || v == 0 || p == 0 {
		return nil, &exit{exitUsage, fmt.Sprintf("--usb-id %q: want vendor:product in hex, like 1209:0001", u.ID)}
	}
	return &usbip.Device{
		Kind: usbip.Kind(u.As), Vendor: uint16(v), Product: uint16(p), Manufacturer: usbMaker, Name: driver.Name + " simulator", Serial: u.Serial,
		Line: func(l usbip.LineState) {
			log.Info("the host set the line", "baud", l.Baud, "bits", l.DataBits, "parity", l.Parity, "stop", l.StopBits, "dtr", l.DTR, "rts", l.RTS)
		},
	}, nil
}

// address is what a configuration says for the device: the kernel's port where
// there is one, since that needs no libusb.
func (u *simUSB) address(d *usbip.Device) string {
	switch d.Kind {
	case usbip.CDCACM:
		name := strings.ReplaceAll(d.Manufacturer+"_"+d.Name+"_"+d.Serial, " ", "_")
		return "serial:///dev/serial/by-id/usb-" + name + "-if00"
	case usbip.HID:
		return fmt.Sprintf("usb:%04x:%04x?as=hid", d.Vendor, d.Product)
	}
	return fmt.Sprintf("usb:%04x:%04x", d.Vendor, d.Product)
}

func (s *simCmd) onUSB(ctx context.Context, a *app, driver link.Driver, sim link.Simulator, log *slog.Logger) error {
	d, err := s.device(driver, log)
	if err != nil {
		return err
	}
	talk := func(ctx context.Context, c net.Conn) error { return sim.Serve(ctx, c) }
	if s.Attach {
		cable, err := usbip.Attach() // before anything is told
		if err != nil {
			return err
		}
		s.advertise(a, driver, s.address(d))
		if err := d.Serve(ctx, cable, talk); err != nil {
			return err
		}
		return d.Plug(ctx, talk)
	}
	l, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return fmt.Errorf("wait for usbip attach: %w", err)
	}
	s.advertise(a, driver, s.address(d))
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	tool := "sudo usbip"
	if port != strconv.Itoa(usbip.Port) {
		tool += " --tcp-port " + port
	}
	fmt.Fprintf(a.Err, "Plug it in with:\n    sudo modprobe vhci-hcd\n    %s attach --remote %s --busid %s\nand pull it out with `sudo usbip detach --port 0`. On Debian the tool is in the package usbip.\n", tool, host, usbip.BusID)
	server := usbip.Server{Device: d, Talk: talk, Log: log}
	return server.Serve(ctx, l)
}
