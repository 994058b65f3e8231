// Package cli is the command line: one table of commands ([Table]), each a
// struct with its flags and a Run method.
//
// Commands that start something (run, demo, sim, broker) compose the other
// packages; run.go shows of what a
// box consists, wiring.go how each part is made. All others talk to a running
// gateway over its control socket (internal/control), since the journal is
// locked by the process that owns it.
//
// # Rules for what is printed
//
// What was asked for goes to standard output, everything else (ids, progress,
// hints) to standard error. With --json standard output has JSON only: one
// value, or for lists and streams one value a line. An error says what was
// tried, what was found and what to do next.
//
// # Exit status
//
//	0  done; of a payment: approved
//	1  error, or refused: nothing happened
//	2  the command line was not understood
//	3  declined, cancelled, failed or reversed: not paid
//	4  in doubt, or a reversal that cannot be made: a person has to look
//	78 run: the configuration cannot be used; starting again does not help
package cli
