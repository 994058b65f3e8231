package usbip

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Kind is how a device carries its bytes.
type Kind string

const (
	CDCACM Kind = "cdc-acm" // a serial port, /dev/ttyACM0 to the kernel
	Bulk   Kind = "bulk"    // two bulk endpoints of a vendor's class; no driver of the kernel takes it
	HID    Kind = "hid"     // reports of 64 bytes: a count, then that many bytes of data
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{CDCACM, Bulk, HID} }

// Direction of a transfer, as the host sees it.
type Direction string

const (
	Out Direction = "out" // to the device
	In  Direction = "in"
)

// Device is a simulated USB device at high speed. It may be plugged in, one
// cable at a time, and unplugged as often as wanted.
type Device struct {
	Kind         Kind
	Vendor       uint16
	Product      uint16
	Manufacturer string // at most 126 ASCII characters each, like the next two
	Name         string
	Serial       string

	// Line, if not nil, is told what the host does to a CDC-ACM device's line.
	Line func(LineState)
	// Before, if not nil, is called before data moves, with what moves. It may
	// cut the cable; the data then does not move.
	Before func(d Direction, b []byte)
}

// LineState is what a host last set on a CDC-ACM device.
type LineState struct {
	Baud     uint32
	DataBits uint8
	Parity   uint8 // 0 none, 1 odd, 2 even, 3 mark, 4 space
	StopBits uint8 // 0 one, 1 one and a half, 2 two
	DTR, RTS bool
}

// Endpoints and packet sizes. The interrupt endpoint of a CDC-ACM device never
// has anything to say.
const (
	dataEndpoint   = 1
	notifyEndpoint = 2

	bulkPacket = 512
	hidReport  = 64
)

// packet is the size of one packet on the data endpoints.
func (d *Device) packet() int {
	if d.Kind == HID {
		return hidReport
	}
	return bulkPacket
}

func (d *Device) check() error {
	if !slices.Contains(Kinds(), d.Kind) {
		return fmt.Errorf("USB device: kind %q: want one of %v", d.Kind, Kinds())
	}
	if d.Vendor == 0 || d.Product == 0 {
		return fmt.Errorf("USB device: it has no vendor or product id")
	}
	for _, s := range d.strings() {
		if len(s) > 126 || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) {
			return fmt.Errorf("USB device: %q: want at most 126 ASCII characters", s)
		}
	}
	return nil
}

func (d *Device) strings() []string { return []string{d.Manufacturer, d.Name, d.Serial} }

// The classes of USB-IF that are used here.
const (
	classComm   = 0x02
	classHID    = 0x03
	classData   = 0x0a
	classMisc   = 0xef
	classVendor = 0xff
)

// deviceClass is class, subclass and protocol of the device itself. A CDC-ACM
// device has an interface association (USB 3.0, 9.6.4), and says so here.
func (d *Device) deviceClass() [3]byte {
	if d.Kind == CDCACM {
		return [3]byte{classMisc, 2, 1}
	}
	return [3]byte{}
}

// interfaces lists class, subclass and protocol of each interface.
func (d *Device) interfaces() [][3]byte {
	switch d.Kind {
	case CDCACM:
		return [][3]byte{{classComm, 2, 1}, {classData, 0, 0}}
	case HID:
		return [][3]byte{{classHID, 0, 0}}
	}
	return [][3]byte{{classVendor, 0, 0}}
}

const deviceRelease = 0x0100 // bcdDevice: 1.00

// deviceDescriptor: USB 2.0, 9.6.1.
func (d *Device) deviceDescriptor() []byte {
	c := d.deviceClass()
	b := []byte{18, descDevice, 0, 2, c[0], c[1], c[2], 64}
	b = binary.LittleEndian.AppendUint16(b, d.Vendor)
	b = binary.LittleEndian.AppendUint16(b, d.Product)
	b = binary.LittleEndian.AppendUint16(b, deviceRelease)
	return append(b, 1, 2, 3, 1) // indexes of the three strings, one configuration
}

// configuration: USB 2.0, 9.6.3, with everything that belongs to it.
func (d *Device) configuration() []byte {
	var body []byte
	add := func(b ...byte) { body = append(body, b...) }
	switch d.Kind {
	case CDCACM:
		add(8, 11, 0, 2, classComm, 2, 1, 0) // these two belong together
		add(9, descInterface, 0, 0, 1, classComm, 2, 1, 0)
		add(5, 0x24, 0x00, 0x10, 0x01) // header, CDC 1.10
		add(5, 0x24, 0x01, 0x00, 1)    // no call management; data on interface 1
		add(4, 0x24, 0x02, 0x02)       // has line coding and control line state
		add(5, 0x24, 0x06, 0, 1)       // union of 0 and 1
		add(endpoint(In, notifyEndpoint, 3, 16, 9)...)
		add(9, descInterface, 1, 0, 2, classData, 0, 0, 0)
		add(endpoint(Out, dataEndpoint, 2, bulkPacket, 0)...)
		add(endpoint(In, dataEndpoint, 2, bulkPacket, 0)...)
	case HID:
		add(9, descInterface, 0, 0, 2, classHID, 0, 0, 0)
		add(d.hidDescriptor()...)
		add(endpoint(In, dataEndpoint, 3, hidReport, 4)...)
		add(endpoint(Out, dataEndpoint, 3, hidReport, 4)...)
	default:
		add(9, descInterface, 0, 0, 2, classVendor, 0, 0, 0)
		add(endpoint(Out, dataEndpoint, 2, bulkPacket, 0)...)
		add(endpoint(In, dataEndpoint, 2, bulkPacket, 0)...)
	}
	head := []byte{9, descConfiguration}
	head = binary.LittleEndian.AppendUint16(head, uint16(9+len(body)))
	head = append(head, byte(len(d.interfaces())), 1, 0, 0x80, 50) // powered by the bus, 100 mA
	return append(head, body...)
}

// endpoint: USB 2.0, 9.6.6. kind is 2 for bulk and 3 for interrupt.
func endpoint(dir Direction, number, kind byte, packet uint16, interval byte) []byte {
	if dir == In {
		number |= 0x80
	}
	return append(binary.LittleEndian.AppendUint16([]byte{7, descEndpoint, number, kind}, packet), interval)
}

// hidDescriptor: HID 1.11, 6.2.1.
func (d *Device) hidDescriptor() []byte {
	b := []byte{9, descHID, 0x11, 0x01, 0, 1, descReport}
	return binary.LittleEndian.AppendUint16(b, uint16(len(reportDescriptor)))
}

// reportDescriptor: a vendor's page with one report of 64 bytes each way and no
// report ids.
var reportDescriptor = []byte{
	0x06, 0x00, 0xff, // usage page: vendor
	0x09, 0x01, // usage 1
	0xa1, 0x01, // collection: application
	0x15, 0x00, 0x26, 0xff, 0x00, // values 0 to 255
	0x75, 0x08, 0x95, hidReport, // 64 of 8 bits
	0x09, 0x01, 0x81, 0x02, // input
	0x09, 0x01, 0x91, 0x02, // output
	0xc0,
}

// stringDescriptor: USB 2.0, 9.6.7, UTF-16LE.
func stringDescriptor(s string) []byte {
	b := []byte{byte(2 + 2*len(s)), descString}
	for i := range len(s) {
		b = append(b, s[i], 0)
	}
	return b
}
