// Package com makes a bridge library of the COM object ECRCommX.BPOS1Lib, seen
// through the interface [Object]: what a Windows program does with IDispatch, and
// a test with an object of its own.
//
//	bridge.Library ──► Call("Purchase", 12345, 0, 1) ──► Object ──► IDispatch.Invoke
//	               ──► Get("LastResult")             ──►        ──► property-get
//
// It has not met the real object yet: see docs/protocols/bpos.md.
package com
