package serialio

import (
	"errors"
	"fmt"
)

// DefaultBaud is the speed used where none is given.
const DefaultBaud = 115200

// MaxBaud is the highest speed accepted, the highest the kernel has a name for.
const MaxBaud = 4_000_000

// Options say which port to open and how its line is set. All but Path have a
// useful zero value: 115200 8N1 without flow control, DTR and RTS on.
type Options struct {
	Path     string   // required; /dev/ttyUSB0 or, better, a name below /dev/serial/by-id
	Baud     int      // bits per second; 0 is [DefaultBaud]
	DataBits int      // 5 to 8; 0 is 8
	Parity   Parity   //
	StopBits StopBits //
	Flow     Flow     //
	DTROff   bool     // leave DTR low; a port without modem lines refuses
	RTSOff   bool     // leave RTS low; not together with FlowRTSCTS
	RS485    RS485    // of the kernel's driver; not together with FlowRTSCTS
	Lines    Lines    // GPIO lines around the port
	Wake     string   // steps played when the port is opened: [ParseWake]
}

// Parity of a character.
type Parity int

const (
	ParityNone Parity = iota
	ParityOdd
	ParityEven
	ParityMark
	ParitySpace
)

// ParseParity reads "none", "odd", "even", "mark" or "space".
func ParseParity(s string) (Parity, error) {
	for p, name := range parityNames {
		if s == name {
			return Parity(p), nil
		}
	}
	return 0, fmt.Errorf("parity %q: want none, odd, even, mark or space", s)
}

var parityNames = [...]string{"none", "odd", "even", "mark", "space"}

func (p Parity) String() string {
	if p < 0 || int(p) >= len(parityNames) {
		return fmt.Sprintf("Parity(%d)", int(p))
	}
	return parityNames[p]
}

// StopBits after a character. The zero value is one.
type StopBits int

const (
	StopBitsOne StopBits = iota
	StopBitsTwo
)

// Flow is how the receiver of bytes holds back their sender. There is no
// XON/XOFF: it would take two values out of the byte stream.
type Flow int

const (
	FlowNone Flow = iota
	FlowRTSCTS
)

// withDefaults fills zero fields; check reports every field that is wrong.
func (o Options) withDefaults() Options {
	if o.Baud == 0 {
		o.Baud = DefaultBaud
	}
	if o.DataBits == 0 {
		o.DataBits = 8
	}
	return o
}

func (o Options) check() error {
	var errs []error
	if o.Path == "" {
		errs = append(errs, errors.New("no path given"))
	}
	if o.Baud < 50 || o.Baud > MaxBaud {
		errs = append(errs, fmt.Errorf("baud %d: want 50 to %d", o.Baud, MaxBaud))
	}
	if o.DataBits < 5 || o.DataBits > 8 {
		errs = append(errs, fmt.Errorf("%d data bits: want 5 to 8", o.DataBits))
	}
	if o.Parity < ParityNone || o.Parity > ParitySpace {
		errs = append(errs, fmt.Errorf("parity %d is unknown", int(o.Parity)))
	}
	if o.StopBits != StopBitsOne && o.StopBits != StopBitsTwo {
		errs = append(errs, fmt.Errorf("stop bits %d are unknown", int(o.StopBits)))
	}
	if o.Flow != FlowNone && o.Flow != FlowRTSCTS {
		errs = append(errs, fmt.Errorf("flow control %d is unknown", int(o.Flow)))
	}
	if o.RTSOff && o.Flow == FlowRTSCTS {
		errs = append(errs, errors.New("RTS cannot be held low and do flow control"))
	}
	if o.RS485.On && o.Flow == FlowRTSCTS {
		errs = append(errs, errors.New("RTS cannot do both flow control and RS485"))
	}
	if err := o.RS485.check(); err != nil {
		errs = append(errs, err)
	}
	steps, err := ParseWake(o.Wake)
	if err != nil {
		errs = append(errs, fmt.Errorf("wake %q: %w", o.Wake, err))
	}
	for _, s := range steps {
		if s.Line == "reset" && o.Lines.Reset == "" {
			errs = append(errs, errors.New("wake has a reset, and no line for it is named"))
			break
		}
	}
	return errors.Join(errs...)
}

// Mode writes the settings as people do: "115200 8N1".
func (o Options) Mode() string { return o.withDefaults().mode() }

func (o Options) mode() string {
	return fmt.Sprintf("%d %d%c%d", o.Baud, o.DataBits, "NOEMS"[o.Parity], int(o.StopBits)+1)
}
