// Package usbip makes a simulator a USB device. It speaks USB/IP, the kernel's
// own protocol for USB over a socket, so that a real kernel enumerates the
// device, binds its drivers to it and hands it to libusb, with no hardware.
//
//	simulator ── bytes ──► Device ── URBs ──► vhci_hcd ──► cdc_acm, hid, libusb
//
// [Device.Serve] is the device on one cable. There are two ways to a kernel:
// [Attach] hands a socket to vhci_hcd of this machine, which takes root and
// nothing else; [Server] waits for `usbip attach` of this or another machine.
//
// A device is one of three [Kind]s: a CDC-ACM serial port, a pair of bulk
// endpoints of a vendor's class, or HID reports. All have one pipe of bytes. A
// cable that ends is a plug that was pulled; a terminal that ends, because its
// simulator lets it lose power, unplugs itself.
//
// Sources: Documentation/usb/usbip_protocol.rst of the Linux kernel; USB 2.0,
// chapter 9; USB CDC 1.2 and PSTN 1.2; HID 1.11.
package usbip
