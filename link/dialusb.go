package link

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"tillgate/usbhid"
)

// parseUSB reads what follows "usb:".
func (a *Address) parseUSB(s string) error {
	s, raw, _ := strings.Cut(s, "?")
	s = strings.TrimPrefix(s, "//")
	q, err := parseQuery(raw, "serial", "port", "as", "interface", "framing", "report", "baud", "bits", "parity", "stop")
	if err != nil {
		return err
	}
	if s != "" {
		vendor, product, ok := strings.Cut(s, ":")
		v, err1 := strconv.ParseUint(vendor, 16, 16)
		p, err2 := strconv.ParseUint(product, 16, 16)
		if !ok || err1 != nil || err2 != nil || v == 0 || p == 0 {
			return fmt.Errorf("USB ids %q: want vendor:product in hex, as lsusb shows them: usb:0b00:0080", s)
		}
		a.usb.Vendor, a.usb.Product = uint16(v), uint16(p)
	} else if q["port"] == "" {
		return errors.New("give the USB ids or the port: usb:0b00:0080 or usb:?port=1-1.4")
	}
	a.usb.Serial, a.usb.Port = q["serial"], q["port"]
	if a.usb.Port != "" && !IsUSBPort(a.usb.Port) {
		return fmt.Errorf("port=%s: want a port as Linux names it: 1-1.4", a.usb.Port)
	}
	baud, bits, parity, stop, err := line(q)
	if err != nil {
		return err
	}
	a.usb.Line = usbhid.LineCoding{Baud: uint32(baud), DataBits: uint8(bits), Parity: uint8(parity), StopBits: uint8(stop)}
	return a.parseUSBKind(q)
}

var usbPort = regexp.MustCompile(`^[0-9]{1,3}-[0-9]{1,3}(\.[0-9]{1,3}){0,6}$`)

// IsUSBPort says whether s can be where a USB device is plugged in, as Linux names
// it: bus, dash, ports of hubs.
func IsUSBPort(s string) bool { return usbPort.MatchString(s) }

// parseUSBKind reads the keys that say which part of a USB device carries the
// bytes, and how.
func (a *Address) parseUSBKind(q map[string]string) error {
	if q["as"] != "" {
		kinds := []usbhid.Kind{usbhid.CDCACM, usbhid.Bulk, usbhid.HID}
		i, err := oneOf(q, "as", "acm", "bulk", "hid")
		if err != nil {
			return err
		}
		a.usb.As = kinds[i]
	}
	if text, ok := q["interface"]; ok {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil {
			return fmt.Errorf("interface=%s: want 0 to 255", text)
		}
		a.usb.Interface = usbhid.Interface{Given: true, Number: uint8(n)}
	}
	if text, ok := q["report"]; ok {
		n, err := strconv.ParseUint(text, 10, 8)
		if err != nil || n == 0 {
			return fmt.Errorf("report=%s: want 1 to 255", text)
		}
		a.usb.Report.ID = uint8(n)
	}
	raw, err := oneOf(q, "framing", "count", "raw")
	if err != nil {
		return err
	}
	a.usb.Report.Raw = raw == 1
	if a.usb.As != usbhid.HID && a.usb.Report != (usbhid.Report{}) {
		return errors.New("report and framing are for HID devices: add as=hid")
	}
	return nil
}

// USB is the vendor and product id of a usb address, 0 where it has none.
func (a Address) USB() (vendor, product uint16) { return a.usb.Vendor, a.usb.Product }

// USBSerial is the serial number that a usb address asks for, "" for none.
func (a Address) USBSerial() string { return a.usb.Serial }

// USBPort is the port that a usb address asks for, "" for none.
func (a Address) USBPort() string { return a.usb.Port }
