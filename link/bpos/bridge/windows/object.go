//go:build windows

package main

import (
	"errors"
	"fmt"

	"github.com/go-ole/go-ole"
	"github.com/go-ole/go-ole/oleutil"

	"tillgate/link/bpos/bridge/com"
)

// HRESULTs that say something of their own.
const (
	sFalse             = 1
	unknownName        = 0x80020006 // DISP_E_UNKNOWNNAME
	memberNotFound     = 0x80020003 // DISP_E_MEMBERNOTFOUND
	classString        = 0x800401f3 // CO_E_CLASSSTRING: no such ProgID
	classNotRegistered = 0x80040154 // REGDB_E_CLASSNOTREG
)

// object is an IDispatch by go-ole.
type object struct{ dispatch *ole.IDispatch }

func create(progID string) (com.Object, error) {
	unknown, err := oleutil.CreateObject(progID)
	if err != nil {
		switch code(err) {
		case classString, classNotRegistered:
			return nil, fmt.Errorf("%w: %v", com.ErrNotRegistered, err)
		}
		return nil, err
	}
	defer unknown.Release()
	dispatch, err := unknown.QueryInterface(ole.IID_IDispatch)
	if err != nil {
		return nil, err
	}
	return &object{dispatch}, nil
}

// code is the HRESULT of an error, 0 if it has none.
func code(err error) uint32 {
	if e, ok := errors.AsType[*ole.OleError](err); ok {
		return uint32(e.Code())
	}
	return 0
}

func (o *object) Release() { o.dispatch.Release() }

func (o *object) Call(name string, args ...any) (int, error) {
	v, err := oleutil.CallMethod(o.dispatch, name, args...)
	if err != nil {
		return named(err)
	}
	return 0, v.Clear()
}

// named tells S_FALSE, which is no error, and a name that is not there from the
// rest.
func named(err error) (int, error) {
	switch code(err) {
	case sFalse:
		return sFalse, nil
	case unknownName, memberNotFound:
		return 0, fmt.Errorf("%w: %v", com.ErrNoName, err)
	}
	return 0, err
}

func (o *object) Get(name string) (any, error) {
	v, err := oleutil.GetProperty(o.dispatch, name)
	if err != nil {
		_, err = named(err)
		return nil, err
	}
	defer v.Clear()
	if v.VT == ole.VT_ARRAY|ole.VT_UI1 {
		return v.ToArray().ToByteArray(), nil
	}
	return v.Value(), nil
}

var _ com.Object = (*object)(nil)
