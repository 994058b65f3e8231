package usbhid

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// ErrNotBuilt is what Open returns in a build without USB.
var ErrNotBuilt = errors.New("this build has no USB: rebuild with -tags libusb")

// ErrNoUSB is wrapped by Open's error on a machine whose kernel has no USB, or where
// libusb cannot use it.
var ErrNoUSB = errors.New("no USB here")

// ErrUnplugged is wrapped by the error of a Read or Write on a stream whose
// device is gone or no longer answers. A Stream's own Close gives os.ErrClosed.
var ErrUnplugged = errors.New("the USB device is gone")

// CloseLimit is how long Close waits for the transfers it cancelled.
const CloseLimit = 500 * time.Millisecond

// Options select a device and set its line. Vendor and Product, or Port, are
// required; what is given must all match, and match one device only.
type Options struct {
	Vendor, Product uint16 // USB ids
	Serial          string // the device's serial number
	Port            string // where it is plugged in, as Linux names it: "1-1.4"

	As        Kind // how it carries bytes; "" is found out from its descriptors
	Interface Interface
	Line      LineCoding // of a CDC-ACM device
	Report    Report     // of a HID device
}

// Kind is how a device carries a stream of bytes.
type Kind string

const (
	CDCACM Kind = "acm"  // a serial port by USB CDC
	Bulk   Kind = "bulk" // two bulk endpoints of a vendor's class
	HID    Kind = "hid"  // reports
)

// Interface chooses one of a device's interfaces; the zero value is the first
// that fits. Of a CDC-ACM device it is the control interface.
type Interface struct {
	Given  bool
	Number uint8
}

// Report is how a HID device's reports carry bytes, both ways alike. The zero
// value is no report ids and a count in front of the data. There is no standard
// for it: look into the terminal's manual.
//
//	id, if not 0   count, unless raw   data          zeros up to the report's size
//	1 byte         1 byte              count bytes
type Report struct {
	ID  uint8 // 0: the device has no report ids
	Raw bool  // no count: all bytes of a report are data
}

// overhead is how many bytes of a report are not data.
func (r Report) overhead() int {
	n := 0
	if r.ID != 0 {
		n++
	}
	if !r.Raw {
		n++
	}
	return n
}

// LineCoding is how a CDC-ACM device talks on its far side. Most terminals
// ignore it. The zero value is 115200 8N1.
type LineCoding struct {
	Baud     uint32 // bits per second
	DataBits uint8  // 5 to 8
	Parity   uint8  // 0 none, 1 odd, 2 even, 3 mark, 4 space
	StopBits uint8  // 1 or 2
}

// encode writes the structure of USB CDC PSTN 1.2, 6.3.11:
//
//	dwDTERate (LE)  bCharFormat  bParityType  bDataBits
//	4 bytes         0: 1 stop    0..4         5..8
//	                2: 2 stop
func (l LineCoding) encode() []byte {
	if l.Baud == 0 {
		l.Baud = 115200
	}
	if l.DataBits == 0 {
		l.DataBits = 8
	}
	b := binary.LittleEndian.AppendUint32(nil, l.Baud)
	format := byte(0)
	if l.StopBits == 2 {
		format = 2
	}
	return append(b, format, l.Parity, l.DataBits)
}

func (o Options) check() error {
	var errs []error
	if o.Port == "" && (o.Vendor == 0 || o.Product == 0) {
		errs = append(errs, errors.New("give vendor and product, or the port"))
	}
	if o.Line.DataBits != 0 && (o.Line.DataBits < 5 || o.Line.DataBits > 8) {
		errs = append(errs, fmt.Errorf("%d data bits: want 5 to 8", o.Line.DataBits))
	}
	if o.Line.Parity > 4 {
		errs = append(errs, fmt.Errorf("parity %d: want 0 to 4", o.Line.Parity))
	}
	if o.Line.StopBits > 2 {
		errs = append(errs, fmt.Errorf("%d stop bits: want 1 or 2", o.Line.StopBits))
	}
	switch o.As {
	case "", CDCACM, Bulk, HID:
	default:
		errs = append(errs, fmt.Errorf("kind %q: want acm, bulk or hid", string(o.As)))
	}
	return errors.Join(errs...)
}

// String names what was looked for: "usb 0b00:0080, serial 123, port 1-1.4".
func (o Options) String() string {
	s := "usb"
	if o.Vendor != 0 || o.Product != 0 {
		s += fmt.Sprintf(" %04x:%04x", o.Vendor, o.Product)
	}
	if o.Serial != "" {
		s += fmt.Sprintf(", serial %q", o.Serial)
	}
	if o.Port != "" {
		s += ", port " + o.Port
	}
	return s
}
