package bridge

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Version is that of the line protocol. A bridge of another one refuses hello.
const Version = 1

// Bounds of a line in bytes, with its end. An answer can have a data file in
// base64, or a receipt in which each byte has become six.
const (
	MaxRequest = 16 << 10
	MaxAnswer  = 512 << 10
	maxGet     = 64 // properties in one request
)

// Request is one line of the gateway: hello, call or get.
type Request struct {
	ID    int64    `json:"id"`
	Hello int      `json:"hello,omitempty"` // the version
	Call  string   `json:"call,omitempty"`  // a method
	Args  []any    `json:"args,omitempty"`  // int64, bool or string, in the method's order
	Get   []string `json:"get,omitempty"`   // properties
}

// Answer is one line of the bridge. It has the id of its request, 0 if that
// could not be read.
type Answer struct {
	ID      int64          `json:"id"`
	Hello   int            `json:"hello,omitempty"`
	Kind    string         `json:"kind,omitempty"`    // of the bridge: linux, windows, simulator
	Library string         `json:"library,omitempty"` // its version
	Code    *int           `json:"code,omitempty"`    // what the method returned; 0 is done
	Values  map[string]any `json:"values,omitempty"`  // int64, bool, string or []byte; nil: the library has it not
	Error   Fault          `json:"error,omitempty"`
	Text    string         `json:"text,omitempty"` // for a person: what was tried, what to do next
}

// Fault is a kind of refusal.
type Fault string

const (
	FaultVersion   Fault = "version"   // hello names another version, or was not the first request
	FaultMalformed Fault = "malformed" // the line is no request
	FaultUnknown   Fault = "unknown"   // no such method or property
	FaultArgument  Fault = "argument"  // number, type or bound of an argument
	FaultRefused   Fault = "refused"   // the bridge does not do that: [Method.Refused]
	FaultAbsent    Fault = "absent"    // this library does not have it
	FaultLibrary   Fault = "library"   // the library cannot be loaded
	FaultBusy      Fault = "busy"      // the request before is not answered yet
	FaultFailed    Fault = "failed"    // the call of the library broke: it may have been made
)

// Refusal is an answer of the bridge itself: the library was not called, unless
// the fault is [FaultFailed].
type Refusal struct {
	Fault Fault
	Text  string
}

func (r *Refusal) Error() string { return fmt.Sprintf("the bridge refuses (%s): %s", r.Fault, r.Text) }

func refuse(f Fault, format string, a ...any) *Refusal {
	return &Refusal{f, fmt.Sprintf(format, a...)}
}

// Line is the request as it is sent.
func (r Request) Line() ([]byte, error) { return line(r, MaxRequest) }

// Line is the answer as it is sent.
func (a Answer) Line() ([]byte, error) { return line(a, MaxAnswer) }

func line(v any, most int) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	if b.Len() > most {
		return nil, fmt.Errorf("a line of %d bytes, at most %d", b.Len(), most)
	}
	return b.Bytes(), nil
}

// decodeLine reads one JSON object and nothing behind it.
func decodeLine(b []byte, v any) error {
	if !utf8.Valid(b) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return errors.New("not an object of this protocol") // the decoder would quote values
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the object")
	}
	return nil
}

// ParseRequest reads a request and checks it against the library's interface.
// The error is a [Refusal]; the id is what could be read of it.
func ParseRequest(b []byte) (Request, error) {
	var r Request
	if err := decodeLine(b, &r); err != nil {
		return Request{}, refuse(FaultMalformed, "%v", err)
	}
	asked := 0
	for _, is := range []bool{r.Hello != 0, r.Call != "", len(r.Get) > 0} {
		if is {
			asked++
		}
	}
	switch {
	case r.ID <= 0:
		return Request{}, refuse(FaultMalformed, "id: a number from 1 is required")
	case asked != 1:
		return Request{ID: r.ID}, refuse(FaultMalformed, "one of hello, call and get is required")
	case r.Call == "" && len(r.Args) > 0:
		return Request{ID: r.ID}, refuse(FaultMalformed, "args: only a call has them")
	}
	if err := r.check(); err != nil {
		return Request{ID: r.ID}, err
	}
	return r, nil
}

func (r *Request) check() error {
	if r.Call != "" {
		return r.checkCall()
	}
	if len(r.Get) > maxGet {
		return refuse(FaultMalformed, "get: at most %d properties", maxGet)
	}
	for _, name := range r.Get {
		switch p, ok := FindProperty(name); {
		case !ok:
			return refuse(FaultUnknown, "the library has no property of this name")
		case p.Refused != "":
			return refuse(FaultRefused, "%s: %s", p.Name, p.Refused)
		}
	}
	return nil
}

func (r *Request) checkCall() error {
	m, ok := FindMethod(r.Call)
	switch {
	case !ok:
		return refuse(FaultUnknown, "the library has no method of this name")
	case m.Refused != "":
		return refuse(FaultRefused, "%s: %s", m.Name, m.Refused)
	case len(r.Args) != len(m.Args):
		return refuse(FaultArgument, "%s: %d arguments are required", m.Name, len(m.Args))
	}
	for i, a := range m.Args {
		v, err := a.read(r.Args[i])
		if err != nil {
			return refuse(FaultArgument, "%s: %s: %v", m.Name, a.Name, err)
		}
		r.Args[i] = v
	}
	if m.Name == "useLogging" && r.Args[0] != int64(0) {
		return refuse(FaultRefused, "useLogging: the library's log of a higher level has card data; it stays 0")
	}
	return nil
}

// read checks one argument: int64, bool or string.
func (a Arg) read(v any) (any, error) {
	switch a.Kind {
	case Byte, Number:
		return readNumber(a.Kind, v)
	case Bool:
		if b, ok := v.(bool); ok {
			return b, nil
		}
		return nil, errors.New("true or false is required")
	}
	s, ok := v.(string)
	if !ok {
		return nil, errors.New("a text is required")
	}
	if strings.ContainsRune(s, 0) {
		return nil, errors.New("a text has no 00")
	}
	encoded, err := Encode1251(s)
	if err != nil {
		return nil, err
	}
	if len(encoded) > a.Max {
		return nil, fmt.Errorf("at most %d bytes", a.Max)
	}
	return s, nil
}

func readNumber(k Kind, v any) (int64, error) {
	most := int64(MaxNumber)
	if k == Byte {
		most = 255
	}
	var n int64
	switch v := v.(type) {
	case json.Number:
		var err error
		if n, err = v.Int64(); err != nil {
			return 0, errors.New("a whole number is required")
		}
	case int64:
		n = v
	case int:
		n = int64(v)
	default:
		return 0, errors.New("a whole number is required")
	}
	if n < 0 || n > most {
		return 0, fmt.Errorf("a number from 0 to %d is required", most)
	}
	return n, nil
}

// ParseAnswer reads an answer and checks its values against the library's
// interface. No value is in the error.
func ParseAnswer(b []byte) (Answer, error) {
	var a Answer
	if err := decodeLine(b, &a); err != nil {
		return Answer{}, err
	}
	said := 0
	for _, is := range []bool{a.Hello != 0, a.Code != nil, a.Values != nil, a.Error != ""} {
		if is {
			said++
		}
	}
	if said != 1 || a.ID < 0 || a.ID == 0 && a.Error == "" {
		return Answer{}, errors.New("not an answer of this protocol")
	}
	for name, v := range a.Values {
		p, ok := FindProperty(name)
		if !ok || p.Refused != "" {
			return Answer{}, errors.New("values has a property that the library does not have, or that the bridge does not give")
		}
		value, err := p.read(v)
		if err != nil {
			return Answer{}, fmt.Errorf("values: %s: %w", name, err)
		}
		a.Values[name] = value
	}
	return a, nil
}

// read checks one value; nil means that the library has it not.
func (p Property) read(v any) (any, error) {
	if v == nil {
		return nil, nil
	}
	switch p.Kind {
	case Byte, Number:
		return readNumber(p.Kind, v)
	}
	s, ok := v.(string)
	if !ok {
		return nil, errors.New("a text is required")
	}
	if p.Kind == Data {
		b, err := base64.StdEncoding.DecodeString(s)
		if err != nil || len(b) > p.Max {
			return nil, errors.New("base64 within the library's bound is required")
		}
		return b, nil
	}
	if utf8.RuneCountInString(s) > p.Max {
		return nil, fmt.Errorf("at most %d characters", p.Max)
	}
	return s, nil
}
