package serialio

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"periph.io/x/conn/v3"
	"periph.io/x/conn/v3/physic"
	"periph.io/x/conn/v3/uart"
	"periph.io/x/conn/v3/uart/uartreg"
)

// TxTimeout bounds each direction of a [UARTConn]'s Tx, which has no deadline of
// its own.
const TxTimeout = 10 * time.Second

// UART is a port as periph knows them, a [uart.PortCloser]: for programs that
// are written for periph. periph's own host package has no UART that works on
// Linux. It is safe for concurrent use.
type UART struct {
	options Options

	mu    sync.Mutex
	limit physic.Frequency // 0: none
	port  *Port            // nil: not connected
}

var _ uart.PortCloser = (*UART)(nil)

// RegisterUART makes a port known to periph under its path and aliases, so that
// uartreg.Open finds it. Registering the same path twice is an error. What
// Connect is not told (control lines, RS485) comes from o.
func RegisterUART(o Options, aliases ...string) error {
	return uartreg.Register(o.Path, aliases, -1, func() (uart.PortCloser, error) {
		return &UART{options: o}, nil
	})
}

// OpenUART opens a port the way a periph program does: by its name in uartreg,
// where it is registered if it is not yet.
func OpenUART(o Options) (*Port, error) {
	o = o.withDefaults()
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("serial port %s: %w", o.Path, err)
	}
	p, err := uartreg.Open(o.Path)
	if err != nil {
		if err := RegisterUART(Options{Path: o.Path}); err != nil {
			return nil, fmt.Errorf("serial port %s: %w", o.Path, err)
		}
		if p, err = uartreg.Open(o.Path); err != nil {
			return nil, fmt.Errorf("serial port %s: %w", o.Path, err)
		}
	}
	u, ok := p.(*UART)
	if !ok { // somebody else's; it would have no deadlines
		p.Close()
		return nil, fmt.Errorf("serial port %s: another library has registered this name", o.Path)
	}
	u.options = o // control lines, DTR and RTS: Connect has no words for them
	stop, flow := uart.One, uart.NoFlow
	if o.StopBits == StopBitsTwo {
		stop = uart.Two
	}
	if o.Flow == FlowRTSCTS {
		flow = uart.RTSCTS
	}
	c, err := u.Connect(physic.Frequency(o.Baud)*physic.Hertz, stop, parities[o.Parity], flow, o.DataBits)
	if err != nil {
		return nil, err
	}
	return c.(*UARTConn).Port, nil
}

var parities = [...]uart.Parity{uart.NoParity, uart.Odd, uart.Even, uart.Mark, uart.Space}

func (u *UART) String() string { return u.options.Path }

// LimitSpeed bounds what Connect sets.
func (u *UART) LimitSpeed(f physic.Frequency) error {
	if f < 50*physic.Hertz || f > MaxBaud*physic.Hertz {
		return fmt.Errorf("serial port %s: limit of %s: want 50 to %d baud", u, f, MaxBaud)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.limit = f
	return nil
}

// Connect opens the port. It may be called once, like every periph port's. The
// connection is a *[UARTConn]: a byte stream, too.
func (u *UART) Connect(f physic.Frequency, stop uart.Stop, parity uart.Parity, flow uart.Flow, bits int) (conn.Conn, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.port != nil {
		return nil, fmt.Errorf("serial port %s: it is connected already", u)
	}
	if u.limit != 0 {
		f = min(f, u.limit)
	}
	o := u.options
	o.Baud, o.DataBits = int(f/physic.Hertz), bits
	switch stop {
	case uart.One:
		o.StopBits = StopBitsOne
	case uart.Two:
		o.StopBits = StopBitsTwo
	default:
		return nil, fmt.Errorf("serial port %s: %d stop bits: want one or two", u, stop)
	}
	known := false
	for p, theirs := range parities {
		if theirs == parity {
			o.Parity, known = Parity(p), true
		}
	}
	if !known {
		return nil, fmt.Errorf("serial port %s: parity %q is unknown", u, parity)
	}
	switch flow {
	case uart.NoFlow:
		o.Flow = FlowNone
	case uart.RTSCTS:
		o.Flow = FlowRTSCTS
	default:
		return nil, fmt.Errorf("serial port %s: flow control %s would take values out of the byte stream", u, flow)
	}
	p, err := Open(o)
	if err != nil {
		return nil, err
	}
	u.port = p
	return &UARTConn{p}, nil
}

// Close closes what Connect opened.
func (u *UART) Close() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.port == nil {
		return nil
	}
	return u.port.Close()
}

// UARTConn is a connected port: a conn.Conn of periph, and a byte stream with
// deadlines.
type UARTConn struct{ *Port }

var (
	_ conn.Conn     = (*UARTConn)(nil)
	_ io.ReadWriter = (*UARTConn)(nil)
)

func (c *UARTConn) String() string { return c.Path() }

// Tx writes w, then reads until r is full, each within [TxTimeout]. The lengths
// may differ.
func (c *UARTConn) Tx(w, r []byte) error {
	limit := time.Now().Add(TxTimeout)
	if len(w) > 0 {
		if err := c.SetWriteDeadline(limit); err != nil {
			return err
		}
		if _, err := c.Write(w); err != nil {
			return err
		}
	}
	if len(r) == 0 {
		return nil
	}
	if err := c.SetReadDeadline(limit); err != nil {
		return err
	}
	_, err := io.ReadFull(c.Port, r)
	return errors.Join(err, c.SetDeadline(time.Time{}))
}

// Duplex is full: both wires carry bytes at once.
func (c *UARTConn) Duplex() conn.Duplex { return conn.Full }
