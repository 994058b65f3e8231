// Package rig boots a QEMU machine with a kernel of Debian and runs the release
// binary in it, with simulated terminals behind real drivers of that kernel:
//
//	this machine        │ the QEMU machine, emulated: no hardware, no KVM, no root here
//	TestRig ── QEMU ──► │ kernel ─► guest (PID 1) ─► usbhid.test, serialio.test, scenes.test
//	        ◄─ console ─│                              scenes ─► tillgate run, tillgate pay ...
//	                    │   simulator ─ USB/IP ─► vhci_hcd ─► cdc_acm, hid, libusb ─► tillgate
//	                    │   simulator ─ 8250 or PL011 ═ cable ═ 8250, ftdi_sio ────► tillgate
//
// The cables of the UARTs are QEMU's, from one port of the machine to another
// through a socket. What runs in the machine are plain Go tests that skip
// themselves anywhere else; the guest only starts them.
//
// The test needs RIG=quick (one machine) or RIG=all (every architecture), which
// `make rig` and `make rig-all` set. Kernels are Debian packages; they are
// fetched once, by apt with a state of its own, and kept in the user's cache
// folder (RIG_CACHE). The host's apt sources are used and nothing is installed.
package rig
