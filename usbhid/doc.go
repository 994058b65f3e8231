// Package usbhid opens terminals that are wired by USB as byte streams, without
// a driver of the kernel: CDC-ACM (Ingenico Telium and the like), a vendor's
// bulk endpoints, and HID reports.
//
//	Read  ◄── ring ◄── pump ◄── packet or report ◄── IN    a goroutine each way;
//	Write ──► ring ──► pump ──► packet or report ──► OUT   deadlines act on the rings
//
// A transfer is never cancelled by a deadline: a cancelled transfer may have
// moved bytes, and the stream would lose its place. Only Close cancels. If the
// USB stack does not give the transfers back within [CloseLimit], the device is
// declared lost: Close returns, and device and goroutines are released whenever
// the stack lets go.
//
// # Build tag
//
// libusb needs C. Without the build tag "libusb" this package has no USB:
// [Open] returns [ErrNotBuilt], and everything builds with Go alone. With it,
// Open works through github.com/google/gousb, which panics where the kernel has
// no USB at all; that becomes the error of the one terminal that wanted it.
//
// Rings, pumps and reports are tested everywhere. What needs a kernel (claiming
// interfaces, detaching its driver and giving it back, line coding, pulled
// plugs) is tested with simulated devices wherever vhci-hcd is, which is what
// `make rig` is for.
package usbhid
