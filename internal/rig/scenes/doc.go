// Package scenes is what the rig plays inside its machine: the release binary
// takes payments from simulated terminals through real drivers, and keeps its
// books while plugs are pulled. It has tests only, and they skip themselves
// outside of the machine.
//
//	wire    │ terminal's side                      │ gateway's side
//	libusb  │ ecrvn  ─ CDC-ACM ─ USB/IP ─ vhci_hcd │ libusb
//	acm     │ ecrvn  ─ CDC-ACM ─ USB/IP ─ vhci_hcd │ cdc_acm, /dev/ttyACM0
//	bulk    │ qfpay  ─ bulk ──── USB/IP ─ vhci_hcd │ libusb
//	hid     │ ecrvn  ─ HID ───── USB/IP ─ vhci_hcd │ libusb, taken from usbhid
//	uart    │ ecrvn  ─ 8250 ═ cable of QEMU        │ 8250 or PL011
//	ftdi    │ ecrvn  ─ 8250 ═ cable of QEMU        │ ftdi_sio, /dev/ttyUSB0
package scenes
