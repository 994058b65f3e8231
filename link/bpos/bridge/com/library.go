package com

import (
	"errors"
	"fmt"
	"math"
	"strconv"

	"tillgate/link/bpos/bridge"
)

// ProgID is the name under which regsvr32 registers the object.
const ProgID = "ECRCommX.BPOS1Lib"

// Object is an IDispatch. One goroutine uses it.
type Object interface {
	// Call invokes a method with int32, bool and string arguments. code is its
	// HRESULT where that is seen: 0 S_OK, 1 S_FALSE. An error wraps [ErrNoName] if
	// the object has no such method; after any other it may have been called.
	Call(name string, args ...any) (code int, err error)
	// Get reads a property: an integer of any size, a string or []byte.
	Get(name string) (any, error)
	Release()
}

// Errors of an [Object], and of making one.
var (
	ErrNoName        = errors.New("the object has no such name")
	ErrNotRegistered = errors.New("class not registered")
)

// Open makes the object, or says what to do so that it can be made. bits is the
// width of this program: 32 or 64.
func Open(create func(progID string) (Object, error), bits int) (bridge.Library, error) {
	o, err := create(ProgID)
	switch {
	case errors.Is(err, ErrNotRegistered):
		return nil, fmt.Errorf("%s is not registered for programs of %d bits: %s", ProgID, bits, register(bits))
	case err != nil:
		return nil, fmt.Errorf("create %s: %w; the library needs the Visual C++ Redistributable 2012 (x86)", ProgID, err)
	}
	return &library{o}, nil
}

// register is the guide's way to register the library. A 64-bit program cannot
// load the 32-bit one, which is the one that works in the field.
func register(bits int) string {
	const admin = "as administrator run "
	if bits == 32 {
		return admin + `C:\Windows\SysWOW64\regsvr32 ECRCommX.dll (on 32-bit Windows: regsvr32 ECRCommX.dll), in the folder where ECRCommX.dll of 32 bits lies`
	}
	return admin + `C:\Windows\System32\regsvr32 ECRCommX.dll with the library of 64 bits, or use the bridge of 32 bits (tillgate-bpos-bridge-386.exe) with the library of 32 bits`
}

type library struct{ object Object }

func (l *library) Close() { l.object.Release() }

// Call calls a method. All numbers go as 32-bit integers, which COM turns into
// what the method wants. IDispatch hides S_FALSE, so whether a port was opened is
// read from LastResult.
func (l *library) Call(method string, args []any) (int, error) {
	list := make([]any, len(args))
	for i, a := range args {
		list[i] = a
		if n, ok := a.(int64); ok {
			list[i] = int32(n)
		}
	}
	if method == "CommOpen" {
		n, err := strconv.ParseUint(args[0].(string), 10, 8)
		if err != nil || n == 0 {
			return 0, &bridge.Refusal{Fault: bridge.FaultArgument, Text: "CommOpen: bPort: the number of a COM port, 1 to 255, is required on Windows"}
		}
		list[0] = int32(n)
	}
	code, err := l.object.Call(method, list...)
	switch {
	case errors.Is(err, ErrNoName):
		return 0, bridge.ErrAbsent
	case err != nil:
		return 0, err
	}
	switch method {
	case "CommOpen", "CommOpenTCP", "CommOpenAuto":
		if code == 0 && l.number("LastResult") == 1 && l.number("LastErrorCode") == 1 {
			code = 1
		}
	}
	return code, nil
}

func (l *library) number(property string) int64 {
	v, _ := l.Get(property)
	n, _ := v.(int64)
	return n
}

// Get reads a property.
func (l *library) Get(property string) (any, error) {
	v, err := l.object.Get(property)
	switch {
	case errors.Is(err, ErrNoName):
		return nil, bridge.ErrAbsent
	case err != nil:
		return nil, err
	}
	p, _ := bridge.FindProperty(property)
	switch p.Kind {
	case bridge.Byte, bridge.Number:
		if n, ok := integer(v); ok {
			return n, nil
		}
		return nil, fmt.Errorf("%s: the object gives no number", property)
	case bridge.Data:
		b, ok := v.([]byte)
		if !ok && v != nil {
			return nil, fmt.Errorf("%s: the object gives no bytes", property)
		}
		return b, nil
	}
	switch v := v.(type) {
	case string:
		return bridge.Widened(v), nil
	case nil:
		return "", nil
	}
	if n, ok := integer(v); ok { // DiscountAttribute is a number in older type libraries
		return strconv.FormatInt(n, 10), nil
	}
	return nil, fmt.Errorf("%s: the object gives no text", property)
}

// integer is a number of any of COM's types.
func integer(v any) (int64, bool) {
	switch v := v.(type) {
	case uint8:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case int32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case int64:
		return v, true
	case uint:
		return int64(v), uint64(v) <= math.MaxInt64
	case int:
		return int64(v), true
	}
	return 0, false
}
