// Package rig boots a QEMU machine with a kernel of Debian and runs the release
// binary in it, with simulated terminals behind real drivers of that kernel:
//
//	this machine        │ the QEMU machine, emulated: no hardware, no KVM, no root here
//	TestRig ── QEMU ──► │ kernel ─► guest (PID 1) ─► usbhid.test, scenes.test
//	        ◄─ console ─│                              scenes ─► tillgate run, tillgate pay ...
//	                    │   simulator ─ USB/IP ─► vhci_hcd ─► cdc_acm, hid, libusb ─► tillgate
//	                    │   simulator ─ f_acm ─ dummy_hcd ─► cdc_acm ──────────────► tillgate
//	        ═ cables ══ │   simulator ─ 8250 ═ cable ═ 8250, PL011, ftdi_sio ──────► tillgate
//
// The cables of the UARTs lead from one port of the machine to another through
// this test, which cuts them when a scene asks for it. What runs in the machine
// are plain Go tests that skip themselves anywhere else; the guest only starts
// them.
//
// The test needs RIG=quick (one machine), a machine's name, or RIG=all (every
// machine, every moment at which a plug can be pulled); `make rig` and `make
// rig-all` set it. RIG_ONLY, a regular expression, chooses scenes, and
// RIG_MOMENTS=all every moment of one machine. Kernels are Debian packages; they
// are fetched once, by apt with a state of its own, and kept in the user's cache
// folder (RIG_CACHE). The host's apt sources are used and nothing is installed.
package rig
