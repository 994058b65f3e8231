#!/bin/sh
# Makes the places that the file system's table mounts on, and switches serial
# consoles off: the UART belongs to the terminal.
set -eu
target=$1
for dir in data var/lib/tillgate var/lib/tillgate-firmware etc/tillgate; do
	mkdir -p "$target/$dir"
done
for unit in serial-getty@.service systemd-time-wait-sync.service; do
	ln -sf /dev/null "$target/etc/systemd/system/$unit"
done
