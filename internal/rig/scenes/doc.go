// Package scenes is what the rig plays inside its machine: the release binary
// takes payments from simulated terminals through real drivers, and keeps its
// books while plugs are pulled. It has tests only, and they skip themselves
// outside of the machine.
//
//	wire    │ terminal's side                       │ gateway's side
//	libusb  │ ecrvn  ─ CDC-ACM ─ USB/IP ─ vhci_hcd  │ libusb
//	acm     │ ecrvn  ─ CDC-ACM ─ USB/IP ─ vhci_hcd  │ cdc_acm, /dev/ttyACM0
//	bulk    │ qfpay  ─ bulk ──── USB/IP ─ vhci_hcd  │ libusb
//	hid     │ ecrvn  ─ HID ───── USB/IP ─ vhci_hcd  │ libusb, taken from usbhid
//	gadget  │ ecrvn  ─ ttyGS0 ─ f_acm ─ dummy_hcd   │ cdc_acm, /dev/ttyACM1
//	uart    │ ecrvn  ─ 8250 ═ cable outside         │ 8250 or PL011
//	ftdi    │ ecrvn  ─ 8250 ═ cable outside ═ FTDI  │ ftdi_sio, /dev/ttyUSB0
//
// A plug is pulled on the terminal's side: a USB/IP connection is closed, a
// gadget is unbound, a cable outside of the machine is cut between two bytes.
// The oracle is the ledger of every terminal's bank.
package scenes
