package link

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"tillgate/serialio"
	"tillgate/usbhid"
)

// DialTimeout bounds the making of a TCP connection; ctx may end it sooner.
const DialTimeout = 5 * time.Second

// keepAlive finds a peer that lost its power within 15 + 3 * 5 seconds.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}

// Dial opens the address as a byte stream: serial, usb and tcp are; http and
// https are not, and simulators live in this process. A serial or USB port is
// looked up by its name anew each time, so that it follows a replugged device;
// close the old Conn first. Errors say what was tried and what to do next.
func (a Address) Dial(ctx context.Context) (Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("dial %s: %w", a, err)
	}
	switch a.scheme {
	case schemeSerial:
		open := serialio.Open
		if a.periph {
			open = serialio.OpenUART
		}
		p, err := open(a.serial)
		if err != nil {
			return nil, err // not p, which would be a Conn that is not nil
		}
		return p, nil
	case schemeUSB:
		s, err := usbhid.Open(ctx, a.usb)
		if err != nil {
			return nil, err
		}
		return s, nil
	case schemeTCP:
		return dialTCP(ctx, a.host)
	case schemeHTTP, schemeHTTPS:
		return nil, fmt.Errorf("dial %s: this is a web service, not a byte stream: a driver that has one talks to it itself; give any other driver a serial, usb or tcp address", a)
	case schemeSim:
		return nil, fmt.Errorf("dial %s: a simulated terminal runs inside the gateway and has no line to open", a)
	}
	return nil, errors.New("dial: no address given")
}

// dialTCP keeps TCP_NODELAY, which Go sets: without it a short frame after
// another waits 40 ms for the peer's delayed acknowledgement.
func dialTCP(ctx context.Context, host string) (Conn, error) {
	d := net.Dialer{Timeout: DialTimeout, KeepAliveConfig: keepAlive}
	c, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, fmt.Errorf("dial tcp://%s: %w; is the terminal on, in this network and listening on that port?", host, cause(err))
	}
	return tcpConn{c}, nil
}

// cause leaves out the address that the net package put around err.
func cause(err error) error {
	if oe, ok := errors.AsType[*net.OpError](err); ok {
		return oe.Err
	}
	return err
}

// tcpConn makes net.ErrClosed, which is an error of its own, the os.ErrClosed
// that Conn promises.
type tcpConn struct{ net.Conn }

func (c tcpConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	return n, c.closed("read", err)
}

func (c tcpConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	return n, c.closed("write", err)
}

func (c tcpConn) SetReadDeadline(t time.Time) error {
	return c.closed("set deadline", c.Conn.SetReadDeadline(t))
}

func (c tcpConn) SetWriteDeadline(t time.Time) error {
	return c.closed("set deadline", c.Conn.SetWriteDeadline(t))
}

// Close is idempotent, as it is for the other kinds.
func (c tcpConn) Close() error {
	if err := c.Conn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (c tcpConn) closed(op string, err error) error {
	if errors.Is(err, net.ErrClosed) {
		return &os.PathError{Op: op, Path: c.RemoteAddr().String(), Err: os.ErrClosed}
	}
	return err
}

// Device is the key under which two lanes find out that they have the same
// device: the resolved path of a serial port, host and port of a network
// address whatever the protocol, the selection of a USB device. It is "" for a
// simulated terminal, which is always one of its own.
func (a Address) Device() string {
	switch a.scheme {
	case schemeSerial:
		path, err := serialio.Resolve(a.serial.Path)
		if err != nil {
			path = a.serial.Path // unplugged: all that is known
		}
		return "serial:" + path
	case schemeUSB:
		return a.usb.String()
	case schemeTCP, schemeHTTP, schemeHTTPS:
		return "net:" + strings.ToLower(a.host)
	}
	return ""
}
