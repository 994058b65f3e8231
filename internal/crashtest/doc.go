// Package crashtest breaks Tillgate on purpose and compares its journal with
// the simulated bank's ledger. It has no code of its own for production: it
// holds the crash matrix, its oracle, and the mutations that prove that the
// oracle can fail.
//
//	story      what a controller does: pay, dispense, commit, roll back, reverse
//	behaviour  what the terminal does about it: approve, lose the answer, ...
//	break      the process is cut at the n-th durable write of the journal, before
//	           or after it lands, or at some moment of the exchange; the disk
//	           fails at the n-th write; the line breaks at the n-th read or
//	           write, or the cable is pulled at some moment
//
// Every combination runs in virtual time with the real gateway, journal, driver
// and simulated terminal, for every driver and for more than one of its wires.
// After the break the process starts again, the controller repeats what it got
// no answer to, and the oracle checks:
//
//   - each attempt is charged at most once, each id at most once;
//   - nothing was charged that the journal did not begin before;
//   - what is recorded as approved is charged, what is recorded as not paid is not;
//   - what the terminal can prove is known in the end, nothing stays stuck;
//   - each id has exactly one final event, and events have no gap;
//   - what the terminal can take back is taken back;
//   - goods are granted at most once, and only for an approved payment.
package crashtest
