package usbip

import "encoding/binary"

// Descriptor types: USB 2.0, table 9-5; HID 1.11, 7.1.
const (
	descDevice        = 1
	descConfiguration = 2
	descString        = 3
	descInterface     = 4
	descEndpoint      = 5
	descHID           = 0x21
	descReport        = 0x22
)

// Standard requests: USB 2.0, table 9-4.
const (
	reqGetStatus        = 0
	reqClearFeature     = 1
	reqSetFeature       = 3
	reqGetDescriptor    = 6
	reqGetConfiguration = 8
	reqSetConfiguration = 9
	reqGetInterface     = 10
	reqSetInterface     = 11
)

// Class requests: CDC PSTN 1.2, 6.3; HID 1.11, 7.2.
const (
	reqSetReport           = 0x09
	reqSetIdle             = 0x0a
	reqSetLineCoding       = 0x20
	reqGetLineCoding       = 0x21
	reqSetControlLineState = 0x22
)

// setup is the eight bytes of a control request: USB 2.0, 9.3.
//
//	bmRequestType  bRequest  wValue (LE)  wIndex (LE)  wLength (LE)
type setup [8]byte

func (s setup) kind() byte    { return s[0] & 0x60 >> 5 } // 0 standard, 1 class, 2 vendor
func (s setup) request() byte { return s[1] }
func (s setup) value() uint16 { return binary.LittleEndian.Uint16(s[2:]) }

// control answers a control request; !ok stalls. data is what came with it.
func (p *plug) control(s setup, data []byte) (answer []byte, ok bool) {
	switch s.kind() {
	case 0:
		return p.standard(s)
	case 1:
		return p.class(s, data)
	}
	return nil, false
}

func (p *plug) standard(s setup) ([]byte, bool) {
	switch s.request() {
	case reqGetDescriptor:
		return p.device.descriptor(byte(s.value()>>8), byte(s.value()))
	case reqGetStatus:
		return []byte{0, 0}, true
	case reqGetConfiguration:
		return []byte{1}, true
	case reqGetInterface:
		return []byte{0}, true
	case reqSetConfiguration, reqSetInterface, reqSetFeature, reqClearFeature:
		return nil, true
	}
	return nil, false
}

func (d *Device) descriptor(kind, index byte) ([]byte, bool) {
	switch kind {
	case descDevice:
		return d.deviceDescriptor(), true
	case descConfiguration:
		return d.configuration(), true
	case descString:
		if index == 0 {
			return []byte{4, descString, 0x09, 0x04}, true // US English
		}
		if all := d.strings(); int(index) <= len(all) {
			return stringDescriptor(all[index-1]), true
		}
	case descHID:
		return d.hidDescriptor(), d.Kind == HID
	case descReport:
		return reportDescriptor, d.Kind == HID
	}
	return nil, false
}

func (p *plug) class(s setup, data []byte) ([]byte, bool) {
	switch {
	case p.device.Kind == CDCACM && s.request() == reqSetLineCoding && len(data) == 7:
		p.line.Baud = binary.LittleEndian.Uint32(data)
		p.line.StopBits, p.line.Parity, p.line.DataBits = data[4], data[5], data[6]
		p.tellLine()
		return nil, true
	case p.device.Kind == CDCACM && s.request() == reqGetLineCoding:
		b := binary.LittleEndian.AppendUint32(nil, p.line.Baud)
		return append(b, p.line.StopBits, p.line.Parity, p.line.DataBits), true
	case p.device.Kind == CDCACM && s.request() == reqSetControlLineState:
		p.line.DTR, p.line.RTS = s.value()&1 != 0, s.value()&2 != 0
		p.tellLine()
		return nil, true
	case p.device.Kind == HID && s.request() == reqSetIdle:
		return nil, true
	}
	return nil, false
}

func (p *plug) tellLine() {
	if p.device.Line != nil {
		p.device.Line(p.line)
	}
}
