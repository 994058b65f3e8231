package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"sync/atomic"
	"syscall"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/serialio"
	"tillgate/usbhid"
)

// tap counts what passes on a terminal's line since it was dialled, and explains
// with it why the terminal could not be reached.
type tap struct {
	address link.Address
	driver  link.Driver
	probe   string // the command that tries other protocols and speeds

	sent, heard, strange atomic.Int64 // bytes; strange ones are no text
}

type tapped struct {
	link.Conn
	tap *tap
}

func (t *tap) dial(ctx context.Context) (link.Conn, error) {
	t.sent.Store(0)
	t.heard.Store(0)
	t.strange.Store(0)
	c, err := t.address.Dial(ctx)
	if err != nil {
		return nil, err
	}
	return tapped{c, t}, nil
}

func (c tapped) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.tap.sent.Add(int64(n))
	return n, err
}

func (c tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tap.heard.Add(int64(n))
	for _, x := range b[:n] {
		if x == 0 || x >= 0x80 {
			c.tap.strange.Add(1)
		}
	}
	return n, err
}

// explain tells what a line that could not be opened looks like, beside the error:
// nobody there, somebody mute, or somebody else; and what to do next.
func (t *tap) explain(err error) (found, next string) {
	if next := t.unopened(err); next != "" {
		return "", next
	}
	serial := t.address.Scheme() == "serial"
	probe := ""
	if serial {
		probe = "; to try other speeds and protocols: " + t.probe
	}
	switch sent, heard, strange := t.sent.Load(), t.heard.Load(), t.strange.Load(); {
	case sent == 0 && heard == 0:
		return "", "is the terminal on, connected, and set to talk to a cash register?"
	case heard == 0:
		return "the line is there and mute: what was sent came to no answer",
			"is the terminal on and at its idle screen? Is this its port, and the cable crossed where it must be? Has the bank enabled the link to a cash register (ECR)? Many are delivered without it" + probe
	case serial && strange*4 > heard:
		return "somebody answers, but much of it is no text: that is what a wrong speed looks like",
			"compare baud, bits and parity with the terminal's menu" + probe
	}
	return "somebody answers, and not as " + t.driver.Title + " does",
		"which protocol does the bank's paper name? Compare driver and profile with it" + probe
}

// unopened is what to do about a line that could not be opened, or about a terminal
// that answered and said no; "" for a line that was open.
func (t *tap) unopened(err error) string {
	_, unknown := errors.AsType[*net.DNSError](err)
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	_, said := errors.AsType[*link.Answered](err)
	timeout, isNet := errors.AsType[net.Error](err)
	web := t.address.Scheme() == "http" || t.address.Scheme() == "https"
	switch {
	case errors.Is(err, usbhid.ErrNotBuilt):
		return "install the release binary, which has USB in it; a terminal with a serial port of the kernel's (/dev/ttyACM0) needs none: tillgate discover"
	case errors.Is(err, usbhid.ErrNoUSB):
		return "this machine, or this container, shows no USB (/dev/bus/usb): give it the devices, or load the driver of its USB controller"
	case errors.Is(err, serialio.ErrUnplugged), errors.Is(err, usbhid.ErrUnplugged):
		return "its plug was pulled, or it lost its power or starts anew: it is opened again when it is back"
	case errors.Is(err, serialio.ErrInUse):
		return "end the other program; one port has one terminal, and one program that talks to it"
	case errors.Is(err, fs.ErrPermission):
		return "give the device to the gateway's user: install the udev rules (tillgate discover --udev-rules), or add the user to the device's group, and start it again"
	case errors.Is(err, fs.ErrNotExist):
		return "is the cable in, and the terminal on? What is there: tillgate discover; plug it in and see: tillgate discover --follow"
	case untrusted || errors.As(err, new(x509.UnknownAuthorityError)):
		return "its certificate is not trusted: compare name and certificate, and the clock of this box"
	case unknown:
		return "the name is not known here: write its address in digits, or look at the network's name server"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "somebody is there, and nothing listens on that port: is its link to a cash register switched on, and on this port?"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), web && isNet && timeout.Timeout():
		return "is the terminal on, and in this network? Compare its address with its menu"
	case said, payment.ReasonOf(err) != "":
		return "it answers: what it says is to be done at the terminal, or by its bank"
	}
	return ""
}
