# Starts one of the two systems: the first in BOOT_ORDER that has tries left. RAUC
# sets both when a system is installed, and gives the tries back when it has
# proven itself. A system that does not come up three times is left alone.
test -n "${BOOT_ORDER}" || setenv BOOT_ORDER "A B"
test -n "${BOOT_A_LEFT}" || setenv BOOT_A_LEFT 3
test -n "${BOOT_B_LEFT}" || setenv BOOT_B_LEFT 3

setenv slot
for s in ${BOOT_ORDER}; do
	if test -n "${slot}"; then
		true
	elif test "${s}" = A && test ${BOOT_A_LEFT} -gt 0; then
		setexpr BOOT_A_LEFT ${BOOT_A_LEFT} - 1
		setenv slot A
		setenv part 2
	elif test "${s}" = B && test ${BOOT_B_LEFT} -gt 0; then
		setexpr BOOT_B_LEFT ${BOOT_B_LEFT} - 1
		setenv slot B
		setenv part 3
	fi
done
if test -z "${slot}"; then
	# Both have failed: a kiosk that tries for ever is better than one that stands.
	setenv BOOT_A_LEFT 3
	setenv BOOT_B_LEFT 3
	saveenv
	reset
fi
saveenv

setenv bootargs "root=/dev/mmcblk0p${part} rootfstype=ext4 rootwait ro console=tty1 quiet panic=10 rauc.slot=${slot}"
# The firmware of the Raspberry Pi has made the device tree, with its overlays.
test -n "${fdt_addr}" || setenv fdt_addr ${fdtcontroladdr}
if load mmc 0:${part} ${kernel_addr_r} /boot/Image; then
	booti ${kernel_addr_r} - ${fdt_addr}
elif load mmc 0:${part} ${kernel_addr_r} /boot/zImage; then
	bootz ${kernel_addr_r} - ${fdt_addr}
fi
# Nothing to start there: the next boot has one try less.
reset
