// Package systemd tells systemd how the gateway is: ready, working, stuck,
// stopping. The folder also holds the unit files and udev rules that the
// packages and images install.
//
//	gateway ── READY=1 ──────► systemd    everything has been started
//	        ── STATUS=... ───►            what `systemctl status` shows
//	        ── WATCHDOG=1 ───►            every lane has kept its word
//	        ── STOPPING=1 ───►
//
// The watchdog is not fed because time has passed but because the work goes
// on: [Watch] asks whoever does the work, and says nothing if nobody answers
// or somebody is stuck. systemd then ends the process and starts it again,
// which for a payment is a crash like any other.
//
// Protocol: sd_notify(3). Without systemd (no NOTIFY_SOCKET) nothing is sent.
package systemd
