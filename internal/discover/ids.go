package discover

import "fmt"

// known is what is written about a USB device somewhere. None of it was tried
// on the device by us.
type known struct {
	vendor, product uint16 // product 0: every device of the vendor
	name            string
	kind            kind
	note            string
	source          string
}

type kind int

const (
	terminal kind = iota // a card terminal
	adapter              // a USB-RS232 converter: whatever is behind it
	other                // looks like one and is not
)

// Ids of vendors that are met below.
const (
	sagem    = 0x079b
	ingenico = 0x0b00
	verifone = 0x11ca
	paxOld   = 0x9908
	pax      = 0x2fb8
)

var table = []known{
	{sagem, 0x0028, "Ingenico (Sagem) Telium: iPP3xx, iCT2xx", terminal, "", "udev rules; pyTeliumManager"},
	{ingenico, 0x3070, "Ingenico 3070", terminal, "", "Linux, cp210x.c"},
	{ingenico, 0x0057, "Ingenico", terminal, "", "udev rules"},
	{ingenico, 0x0060, "Ingenico iPP350 in COM mode", terminal, "", "udev rules"},
	{ingenico, 0x0072, "Ingenico in HID mode", terminal, "it is no serial port: switch the terminal to COM mode, or use as=hid", "udev rules"},
	{ingenico, 0x0074, "Ingenico iSC250 in HID mode", terminal, "it is no serial port: switch the terminal to COM mode, or use as=hid", "udev rules"},
	{ingenico, 0x0080, "Ingenico", terminal, "", "udev rules"},
	{ingenico, 0x0081, "Ingenico", terminal, "", "udev rules"},
	{ingenico, 0x00a2, "Ingenico Lane/3600", terminal, "", "udev rules"},
	{ingenico, 0x0090, "Sesam Vitale reader", other, "a reader of health cards, no payment terminal", "udev rules"},
	{verifone, 0x0201, "Verifone", terminal, "", "Linux, cdc-acm.c"},
	{verifone, 0x0219, "Verifone", terminal, "", "udev rules"},
	{verifone, 0x0220, "Verifone", terminal, "", "udev rules"},
	{verifone, 0x0222, "Verifone VX520", terminal, "the kernel has no driver for it by itself: modprobe usbserial vendor=0x11ca product=0x0222, or use the usb: address", "PrivatBank's protocol, chapter 1"},
	{verifone, 0x0300, "Verifone", terminal, "", "udev rules"},
	{paxOld, 0x9030, "PAX in CDC mode", terminal, "", "udev rules"},
	{pax, 0x2116, "PAX A920", terminal, "the data is on interface 0", "vendor's driver"},
	{pax, 0x2205, "PAX A910", terminal, "", "vendor's driver"},
	{pax, 0x2466, "PAX A910s", terminal, "", "vendor's driver"},
	{pax, 0x225e, "PAX IM30", terminal, "", "vendor's driver"},
	{pax, 0x2367, "PAX A35", terminal, "", "vendor's driver"},
	{0x0ca6, 0, "Castles", terminal, "", "udev rules"},
	{0x067b, 0x2303, "PL2303 converter, such as QFPay's cable", adapter, "if it is QFPay's: driver qfpay", "QFPay, ECR integration"},
	{0x0403, 0, "FTDI converter", adapter, "", "Linux, ftdi_sio"},
	{0x10c4, 0xea60, "CP210x converter", adapter, "", "Linux, cp210x.c"},
	{0x1a86, 0x7523, "CH340 converter", adapter, "", "Linux, ch341.c"},
	{0x1209, 0x0001, "simulated terminal of tillgate sim --usbip", terminal, "", "this program"},
}

// lookUp finds what is known of a device; an exact product comes first.
func lookUp(vendor, product uint16) (known, bool) {
	var byVendor known
	found := false
	for _, k := range table {
		if k.vendor != vendor {
			continue
		}
		if k.product == product {
			return k, true
		}
		if k.product == 0 {
			byVendor, found = k, true
		}
	}
	return byVendor, found
}

// RulesFile is the name under which [Rules] is installed: before ModemManager's
// own, which begin with 77.
const RulesFile = "70-tillgate.rules"

// Rules is the file of udev rules for the terminals that are known.
func Rules() string {
	s := `# Card terminals. ModemManager talks to every new port that may be a modem, and
# a terminal takes that for a cash register. Made by: tillgate discover --udev-rules
#
# The kernel's port:  group dialout, and a name that stays with the socket it is
#                     plugged into: /dev/tillgate/usb-1-1.4-if00
# The device itself:  group plugdev, for usb: addresses (libusb)
#
# For a converter cable (FTDI, PL2303, CH340, CP210x) add a rule of your own,
# since others have modems behind the same ones:
#   SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ATTRS{serial}=="A5XK3RJT", ENV{ID_MM_PORT_IGNORE}="1"
ACTION=="remove", GOTO="tillgate_end"
SUBSYSTEM!="usb|tty", GOTO="tillgate_end"
`
	for _, k := range table {
		if k.kind != terminal {
			continue
		}
		product := ""
		if k.product != 0 {
			product = fmt.Sprintf(`, ATTR%%s{idProduct}=="%04x"`, k.product)
		}
		one := func(s string) string {
			if product == "" {
				return ""
			}
			return fmt.Sprintf(product, s)
		}
		s += fmt.Sprintf("\n# %s\n", k.name)
		s += fmt.Sprintf(`SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="%04x"%s, ENV{ID_MM_DEVICE_IGNORE}="1", GROUP="plugdev", MODE="0660"`+"\n", k.vendor, one(""))
		s += fmt.Sprintf(`SUBSYSTEM=="tty", SUBSYSTEMS=="usb", ATTRS{idVendor}=="%04x"%s, ENV{ID_MM_PORT_IGNORE}="1", GROUP="dialout", MODE="0660", SYMLINK+="tillgate/usb-$id-if$env{ID_USB_INTERFACE_NUM}"`+"\n", k.vendor, one("S"))
	}
	return s + "\nLABEL=\"tillgate_end\"\n"
}
