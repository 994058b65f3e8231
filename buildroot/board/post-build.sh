#!/bin/sh
# Makes the places that the file system's table mounts on, switches serial
# consoles off (the UART belongs to the terminal), and tells RAUC what the box is
# and whose bundles it takes: the certificate that RAUC_KEYRING names.
#
#	post-build.sh TARGET BOARD
set -eu
target=$1 board=$2
for dir in data boot/firmware var/lib/tillgate var/lib/tillgate-firmware etc/tillgate; do
	mkdir -p "$target/$dir"
done
for unit in serial-getty@.service systemd-time-wait-sync.service; do
	ln -sf /dev/null "$target/etc/systemd/system/$unit"
done
sed -i "s/@BOARD@/$board/" "$target/etc/rauc/system.conf"
if [ -n "${RAUC_KEYRING:-}" ]; then
	install -m 0644 "$RAUC_KEYRING" "$target/etc/rauc/keyring.pem"
fi
# U-Boot takes the kernel from the system that it starts.
if [ -d "$target/boot" ] && ! [ -e "$target/boot/Image" ] && ! [ -e "$target/boot/zImage" ]; then
	echo "post-build: there is no kernel in $target/boot" >&2
	exit 1
fi
