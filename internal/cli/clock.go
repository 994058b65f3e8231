package cli

import (
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/payment"
)

// clockOf gives the wall clock with its quality: "synced" and "unsynced" as
// configured, "auto" as the kernel says.
func clockOf(setting string) func() payment.Moment {
	return func() payment.Moment {
		m := payment.Moment{Time: time.Now(), Clock: payment.ClockUnsynced}
		if setting == "synced" || setting == "auto" && synchronised() {
			m.Clock = payment.ClockSynced
		}
		return m
	}
}

// synchronised asks the kernel whether an NTP client keeps the clock
// (adjtimex(2): TIME_ERROR and STA_UNSYNC mean that none does). A box with an
// RTC and no network is not synchronised in this sense.
func synchronised() bool {
	var t unix.Timex // Modes 0 changes nothing and needs no privilege
	state, err := unix.Adjtimex(&t)
	const timeError, staUnsync = 5, 0x40
	return err == nil && state != timeError && t.Status&staUnsync == 0
}
