// Package bench measures the goals of docs/performance.md through the parts
// that a customer's payment passes: a real broker, the MQTT edge, the gateway,
// the journal, a driver, and a pty with a simulated terminal behind it; and the
// real binary where a goal is about a process. It has no code of its own for
// production.
//
// A number of one machine says little about another, so each is reported as a
// ratio to floors that are measured beside it, in turn with it:
//
//	N   the same road with a journal in memory (floorJournal)
//	C   one bare bbolt commit of 600 bytes
//	F   one append of 4 KiB and its fdatasync
//
// HISTORY is how many payments lie in the journal already. It is filled once
// and kept below HISTORY_DIR. Nothing here asserts a time, and nothing runs
// without -bench: see `make bench`.
package bench
