package usbip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Port is the TCP port of USB/IP.
const Port = 3240

// BusID is the one device that a [Server] has, for `usbip attach --busid`.
const BusID = "1-1"

// The first half of USB/IP: asking for devices.
const (
	protocolVersion = 0x0111
	opDevlist       = 0x0005
	opImport        = 0x0003
	opRequest       = 0x8000
	busIDSize       = 32
	pathSize        = 256
)

// helloLimit is how long a client may take to say what it wants.
const helloLimit = 10 * time.Second

// Server offers one device to `usbip attach`. One cable is plugged in at a
// time; others are told that the device is busy.
type Server struct {
	Device *Device
	Talk   func(context.Context, net.Conn) error // as for [Device.Serve]
	Log    *slog.Logger                          // nil discards

	busy sync.Mutex
}

// Serve accepts connections until ctx ends.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if err := s.Device.check(); err != nil {
		return err
	}
	log := s.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var all sync.WaitGroup
	defer all.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("wait for usbip attach: %w", err)
		}
		all.Go(func() {
			defer c.Close()
			if err := s.client(ctx, c); err != nil && ctx.Err() == nil {
				log.Warn("USB/IP client", "peer", c.RemoteAddr().String(), "err", err)
			}
		})
	}
}

// client answers requests for the list, and becomes the cable at an import.
//
//	0 version 0x0111  2 code  4 status    then, in an import, the bus id in 32 bytes
func (s *Server) client(ctx context.Context, c net.Conn) error {
	defer context.AfterFunc(ctx, func() { c.Close() })()
	c.SetDeadline(time.Now().Add(helloLimit))
	var h [8]byte
	if _, err := io.ReadFull(c, h[:]); err != nil {
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	}
	if v := binary.BigEndian.Uint16(h[:]); v != protocolVersion {
		return fmt.Errorf("USB/IP version %#04x: want %#04x", v, protocolVersion)
	}
	switch code := binary.BigEndian.Uint16(h[2:]); code {
	case opRequest | opDevlist:
		b := reply(opDevlist, 0)
		b = binary.BigEndian.AppendUint32(b, 1)
		b = append(b, s.Device.entry()...)
		for _, i := range s.Device.interfaces() {
			b = append(b, i[0], i[1], i[2], 0)
		}
		_, err := c.Write(b)
		return err
	case opRequest | opImport:
		return s.lend(ctx, c)
	default:
		return fmt.Errorf("USB/IP request %#04x is unknown", code)
	}
}

func (s *Server) lend(ctx context.Context, c net.Conn) error {
	var id [busIDSize]byte
	if _, err := io.ReadFull(c, id[:]); err != nil {
		return err
	}
	const failed, absent = 1, 4 // ST_NA, ST_NODEV
	if name := text(id[:]); name != BusID {
		_, err := c.Write(reply(opImport, absent))
		return errors.Join(fmt.Errorf("it asks for bus id %q: there is only %s", name, BusID), err)
	}
	if !s.busy.TryLock() {
		_, err := c.Write(reply(opImport, failed))
		return errors.Join(errors.New("the device is attached already"), err)
	}
	defer s.busy.Unlock()
	if _, err := c.Write(append(reply(opImport, 0), s.Device.entry()...)); err != nil {
		return err
	}
	c.SetDeadline(time.Time{})
	return s.Device.Serve(ctx, c, s.Talk)
}

func reply(code uint16, status uint32) []byte {
	b := binary.BigEndian.AppendUint16(nil, protocolVersion)
	b = binary.BigEndian.AppendUint16(b, code)
	return binary.BigEndian.AppendUint32(b, status)
}

// entry describes the device in answers:
//
//	0 path (256)  256 bus id (32)  288 busnum  292 devnum  296 speed
//	300 vendor  302 product  304 release  306 class, subclass, protocol
//	309 configuration in use  310 configurations  311 interfaces
func (d *Device) entry() []byte {
	b := make([]byte, pathSize+busIDSize, 312)
	copy(b, "/sys/devices/simulated/usb1/"+BusID)
	copy(b[pathSize:], BusID)
	for _, n := range []uint32{1, 2, highSpeed} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	for _, n := range []uint16{d.Vendor, d.Product, deviceRelease} {
		b = binary.BigEndian.AppendUint16(b, n)
	}
	c := d.deviceClass()
	return append(b, c[0], c[1], c[2], 1, 1, byte(len(d.interfaces())))
}

// text is a string that ends at the first zero.
func text(b []byte) string {
	for i, c := range b {
		if c == 0 {
			return string(b[:i])
		}
	}
	return string(b)
}
