// Package usbhid opens terminals that are wired by USB, without the kernel's
// serial driver: CDC-ACM (Ingenico Telium and the like) as a byte stream.
//
//	Read  ◄── ring ◄── pump ◄── bulk IN      one goroutine per direction;
//	Write ──► ring ──► pump ──► bulk OUT     deadlines act on the rings
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
// Rings and pumps are tested everywhere. What needs a real USB device (claiming
// interfaces, detaching the kernel's driver, line coding) is not tested here.
package usbhid
