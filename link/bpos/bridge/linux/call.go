//go:build bposlib && linux && cgo

package main

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef unsigned char byte;

// An argument of a method: a number, or a text.
typedef struct { int n; char *s; } arg;

#define B(i) (byte)a[i].n
#define I(i) a[i].n
#define S(i) a[i].s

// Calls f by its prototype, which is spelled with b (unsigned char), i (int), o
// (bool) and s (char*). -1 is a prototype that is not here.
static int call(void *f, const char *prototype, const arg *a, int *code) {
#define CASE(name, types, ...) if (strcmp(prototype, name) == 0) { *code = ((int (*)types)f)(__VA_ARGS__); return 0; }
	CASE("", (void))
	CASE("b", (byte), B(0))
	CASE("i", (int), I(0))
	CASE("s", (char *), S(0))
	CASE("o", (bool), I(0) != 0)
	CASE("ii", (int, int), I(0), I(1))
	CASE("ib", (int, byte), I(0), B(1))
	CASE("is", (int, char *), I(0), S(1))
	CASE("si", (char *, int), S(0), I(1))
	CASE("ss", (char *, char *), S(0), S(1))
	CASE("bs", (byte, char *), B(0), S(1))
	CASE("iib", (int, int, byte), I(0), I(1), B(2))
	CASE("bis", (byte, int, char *), B(0), I(1), S(2))
	CASE("bsb", (byte, char *, byte), B(0), S(1), B(2))
	CASE("sbb", (char *, byte, byte), S(0), B(1), B(2))
	CASE("iibs", (int, int, byte, char *), I(0), I(1), B(2), S(3))
	CASE("bisb", (byte, int, char *, byte), B(0), I(1), S(2), B(3))
	CASE("bisi", (byte, int, char *, int), B(0), I(1), S(2), I(3))
	CASE("bbsb", (byte, byte, char *, byte), B(0), B(1), S(2), B(3))
	return -1;
}

static int get_byte(void *f) { return ((byte (*)(void))f)(); }
static int get_number(void *f) { return ((int (*)(void))f)(); }
static int get_text(void *f, char *to) { return ((int (*)(char *))f)(to); }
*/
import "C"

import (
	"fmt"
	"runtime"
	"strconv"
	"unsafe"

	"tillgate/link/bpos/bridge"
)

// room is what a text of the library may take. The C interface has no bound for
// what it writes into a buffer: twice the most of the guide, and more.
const room = 512 << 10

// vendor is the library, loaded.
type vendor struct {
	handle unsafe.Pointer
	buffer unsafe.Pointer // room bytes
}

const prefix = "BPOSLib_"

// load opens the library and initialises it.
func load(path string) (*vendor, error) {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	handle := C.dlopen(name, C.RTLD_NOW|C.RTLD_LOCAL)
	if handle == nil {
		return nil, fmt.Errorf("load %s: %s: ask the bank for the library for %s, and put libCommLibX.so and libECRLibX.so, if it came with them, where ld.so finds them", path, C.GoString(C.dlerror()), runtime.GOARCH)
	}
	v := &vendor{handle: handle, buffer: C.malloc(room)}
	if v.find("Purchase") == nil || v.find("LastResult") == nil {
		v.Close()
		return nil, fmt.Errorf("load %s: it has no %sPurchase: this is not the plain C build of the library (libBPOSLib.so)", path, prefix)
	}
	if code, err := v.plain("InitializeBPOS", "", nil); err == nil && code != 0 {
		v.Close()
		return nil, fmt.Errorf("load %s: %sInitializeBPOS returned %d", path, prefix, code)
	}
	return v, nil
}

func (v *vendor) Close() {
	v.plain("UninitializeBPOS", "", nil)
	C.free(v.buffer)
	C.dlclose(v.handle)
}

func (v *vendor) find(name string) unsafe.Pointer {
	s := C.CString(prefix + name)
	defer C.free(unsafe.Pointer(s))
	return C.dlsym(v.handle, s)
}

// Call calls a method by the prototype that its arguments make.
func (v *vendor) Call(method string, args []any) (int, error) {
	m, _ := bridge.FindMethod(method)
	prototype := ""
	for _, a := range m.Args {
		prototype += map[bridge.Kind]string{bridge.Byte: "b", bridge.Number: "i", bridge.Bool: "o", bridge.Text: "s"}[a.Kind]
	}
	return v.plain(method, prototype, args)
}

func (v *vendor) plain(name, prototype string, args []any) (int, error) {
	f := v.find(name)
	if f == nil {
		return 0, bridge.ErrAbsent
	}
	var list [4]C.arg
	for i, a := range args {
		switch a := a.(type) {
		case int64:
			list[i].n = C.int(a)
		case bool:
			if a {
				list[i].n = 1
			}
		case string:
			b, err := bridge.Encode1251(a)
			if err != nil {
				return 0, &bridge.Refusal{Fault: bridge.FaultArgument, Text: err.Error()}
			}
			list[i].s = C.CString(string(b))
			defer C.free(unsafe.Pointer(list[i].s))
		}
	}
	p := C.CString(prototype)
	defer C.free(unsafe.Pointer(p))
	var code C.int
	if C.call(f, p, &list[0], &code) != 0 {
		return 0, &bridge.Refusal{Fault: bridge.FaultAbsent, Text: "no prototype " + strconv.Quote(prototype)}
	}
	return int(code), nil
}

// Get reads a property: a byte or a number is returned, a text written into a
// buffer, in Windows-1251.
func (v *vendor) Get(property string) (any, error) {
	p, _ := bridge.FindProperty(property)
	name := p.Name
	if p.C != "" {
		name = p.C
	}
	f := v.find(name)
	switch {
	case f == nil:
		return nil, bridge.ErrAbsent
	case p.Kind == bridge.Byte:
		return int64(C.get_byte(f)), nil
	case p.Kind == bridge.Number:
		return int64(C.get_number(f)), nil
	case p.CNumber:
		return strconv.FormatInt(int64(C.get_number(f)), 10), nil
	}
	C.memset(v.buffer, 0, room)
	n := int(C.get_text(f, (*C.char)(v.buffer)))
	if p.Kind != bridge.Data || n <= 0 || n > p.Max { // the C interface does not say how it tells the length of a file
		n = int(C.strnlen((*C.char)(v.buffer), room))
	}
	b := C.GoBytes(v.buffer, C.int(n))
	if p.Kind == bridge.Data {
		return b, nil
	}
	return bridge.Decode1251(b), nil
}

var _ bridge.Library = (*vendor)(nil)
