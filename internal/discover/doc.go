// Package discover finds what may be a card terminal: serial ports and USB
// devices, what they probably are, who may use them, and what to write into the
// configuration. It reads sysfs and /proc and opens nothing, so a terminal that
// is busy is not disturbed.
//
// What is known of devices is in ids.go. The udev rules that are shipped are
// made from the same table ([Rules]).
package discover
