// Package serialio opens RS232 ports, USB serial adapters and ptys as byte
// streams whose deadlines and Close can be relied on.
//
//	/dev/serial/by-id/usb-Ingenico_... ──Resolve──► /dev/ttyACM0
//	    open without blocking ── flock ── mode (go.bug.st/serial) ── read back
//	                                │
//	    Read, Write: our descriptor, on the runtime's poller
//
// # Why the library does not carry the bytes
//
// go.bug.st/serial 1.8.0 sets the line up well and moves bytes badly: a Write
// after Close goes to whatever file got the descriptor number in the meantime,
// a Write to a stuck line can neither time out nor be freed, and a descriptor
// of 1024 or more panics. So serialio opens the port itself and lets the
// library open the same port for as long as it takes to set mode and control
// lines, no longer. The library's descriptor is not close-on-exec: it never
// exists while this process forks, so that no child keeps a port open (an
// adapter that is unplugged while anybody holds ttyUSB0 comes back as ttyUSB1).
// Closing it disturbs nothing: our descriptor is older and stays, so the kernel
// sees no last close, and neither hangs up nor drops DTR. The library's list of
// ports is never asked for: it opens and reconfigures every ttyS there is.
//
// # Around a port
//
// GPIO lines (a transceiver's enable, a terminal's reset and power) are driven
// through periph's gpioioctl, RS485 by the kernel's driver (TIOCSRS485). periph
// has no UART of its own that works on Linux; [UART] is one, over [Open].
// Two things of gpioioctl are avoided: reading a line that is an output makes it
// an input, and a line's first output is low for a moment before it is what was
// asked for. So lines are never read, and Power cuts rather than gives.
//
// # Identity
//
// A name below /dev/serial/by-id or by-path follows the adapter through
// unplugging; [Open] resolves it anew each time. Close the old [Port] before
// opening it again, so that the kernel can give the same ttyUSB number back. A
// Port whose line is gone gives its descriptor back by itself, at the first
// Read or Write that sees it.
//
// # Concurrency
//
// One goroutine may read while another writes; Close and the deadline setters
// may be called by anybody at any time. Nothing here starts a goroutine.
package serialio
