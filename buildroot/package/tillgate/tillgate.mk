################################################################################
#
# tillgate
#
################################################################################

# The sources are the ones this folder lies in.
TILLGATE_VERSION = $(firstword $(shell $(BR2_EXTERNAL_TILLGATE_PATH)/../.ci/version))
TILLGATE_SITE = $(BR2_EXTERNAL_TILLGATE_PATH)/..
TILLGATE_SITE_METHOD = local
TILLGATE_DEPENDENCIES = libusb host-pkgconf
TILLGATE_GOMOD = .
# The image has libusb as a library of its own: it is not linked statically.
TILLGATE_TAGS = libusb netgo osusergo nethttpomithttp2
TILLGATE_LDFLAGS = -X main.version=$(TILLGATE_VERSION)

ifeq ($(BR2_PACKAGE_TILLGATE_BROKER_EMBEDDED),)
TILLGATE_TAGS += nobroker
endif

define TILLGATE_INSTALL_TARGET_CMDS
	$(INSTALL) -D -m 0755 $(@D)/bin/tillgate \
		$(TARGET_DIR)/usr/lib/tillgate/tillgate
	ln -sf /var/lib/tillgate-firmware/current/tillgate \
		$(TARGET_DIR)/usr/bin/tillgate
	$(INSTALL) -D -m 0644 $(@D)/systemd/tillgate.tmpfiles \
		$(TARGET_DIR)/usr/lib/tmpfiles.d/tillgate.conf
	for rules in $(@D)/systemd/*.rules; do \
		$(INSTALL) -D -m 0644 $$rules \
			$(TARGET_DIR)/usr/lib/udev/rules.d/$${rules##*/} || exit 1; \
	done
endef

define TILLGATE_USERS
	tillgate -1 tillgate -1 * /var/lib/tillgate - dialout Tillgate payment gateway
	- -1 plugdev -1 - - - - USB devices of terminals
	- -1 gpio -1 - - - - GPIO
endef

define TILLGATE_INSTALL_INIT_SYSTEMD
	for unit in $(@D)/systemd/*.service $(@D)/systemd/*.path $(@D)/systemd/*.socket; do \
		$(INSTALL) -D -m 0644 $$unit \
			$(TARGET_DIR)/usr/lib/systemd/system/$${unit##*/} || exit 1; \
	done
endef

$(eval $(golang-package))
