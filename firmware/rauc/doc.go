// Package rauc talks to RAUC, which keeps two complete systems on a box and
// writes the one that does not run, over D-Bus (de.pengutronix.rauc.Installer,
// as of RAUC 1.8).
//
//	updater ── InstallBundle ─► rauc     into the slot that does not run
//	        ◄─ Completed ──────          then LastError tells why not
//	        ── GetPrimary ────►          must still be the one that runs
//	        ── Mark active ───►          the switch, with the next boot
//	        ── Mark good ─────►          it has proven itself
//
// Its configuration has to say activate-installed=false: when the switch is made
// is not RAUC's to decide, since a payment may be open.
package rauc
