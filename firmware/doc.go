// Package firmware replaces the program of a box by a newer one, and takes it
// back if it does not prove itself. It must work when everything else does not.
//
//	bundle ─► verify ─► stage ─► hold ─► stop ─► settled? ─► switch ─► start ─► gate ─┬─► confirm
//	          signature  copy    no new         nothing     one       the new        └─► back to
//	          version    and     payment        open or     rename    one holds          the old one
//	          machine    flush   begins         in doubt
//
// # Promises
//
//   - Nothing is installed that no trusted key has signed (minisign), that is
//     for another machine, or that is older than what is confirmed, unless the
//     signed manifest names the version it may replace.
//   - Nothing is switched while a payment is open or in doubt, neither forwards
//     nor back: the running gateway holds, and after it has stopped its journal
//     is read once more. A new version sells nothing before it is confirmed.
//   - At every moment the link "current" leads to a complete program. Power may
//     fail between any two writes: [Updater.Boot] and [Updater.Apply] go on, or
//     back, from what they find. A version that does not come up within
//     MaxTries starts is taken back without being asked.
//   - The program that judges is the packaged one, which no update of a program
//     replaces. A whole system ([Image]) brings a judge of its own: one that
//     cannot judge never says that it is good, and the bootloader leaves it.
//
// # Layout
//
//	{dir}/current            link to the folder of the program that runs
//	{dir}/versions/v1.4.0/   tillgate, manifest.json, manifest.json.minisig
//	{dir}/state.json         what is going on, written before it is done
//	{dir}/keys.json          keys that bundles have brought or revoked
//	{dir}/stick/             a bundle from a USB stick, and that it was asked for
//	{dir}/lock               held by the one updater that works
//
// All of it is root's. The gateway, which is not, only leaves a request; it is
// not believed.
package firmware
