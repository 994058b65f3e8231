#!/bin/sh
# Makes the card's image, images/card.img, and with RAUC_CERT and RAUC_KEY in the
# environment a signed bundle of the system, images/system.raucb.
#
#	post-image.sh IMAGES BOARD
set -eu
images=$1 board=$2
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# What changes: ext4 without fast_commit, which a journal must not rely on.
mkdir -p "$work/data/tillgate" "$work/data/firmware" "$work/data/etc" "$work/data/rauc" "$work/none"
rm -f "$images/data.ext4"
mkfs.ext4 -q -L data -O ^fast_commit -E root_owner=0:0 -d "$work/data" "$images/data.ext4" "${DATA_SIZE:-512M}"

# The boot partition: firmware and device trees where there are any, U-Boot, and
# the script that chooses a system.
for file in "$images"/*.dtb "$images"/rpi-firmware/* "$images"/u-boot.bin "$images"/boot.scr; do
	[ -e "$file" ] || continue
	printf '\t\t\t"%s",\n' "${file#"$images"/}"
done >"$work/files"
[ -s "$work/files" ] || { echo "post-image: nothing to start from in $images" >&2; exit 1; }
sed -e "/@FILES@/{" -e "r $work/files" -e "d" -e "}" "$here/genimage.cfg.in" >"$work/genimage.cfg"
genimage --rootpath "$work/none" --tmppath "$work/tmp" --inputpath "$images" --outputpath "$images" --config "$work/genimage.cfg"

if [ -n "${RAUC_KEY:-}" ]; then
	mkdir "$work/bundle"
	cp "$images/rootfs.ext4" "$work/bundle/"
	cat >"$work/bundle/manifest.raucm" <<-MANIFEST
		[update]
		compatible=tillgate-$board
		version=${VERSION:-unknown}

		[bundle]
		format=verity

		[image.rootfs]
		filename=rootfs.ext4
	MANIFEST
	rm -f "$images/system.raucb"
	rauc bundle --cert="$RAUC_CERT" --key="$RAUC_KEY" "$work/bundle" "$images/system.raucb"
fi
