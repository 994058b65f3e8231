// Package payment is Tillgate's vocabulary: what a payment is, what may be
// asked of a terminal, what may come of it, and how that is written down.
//
// It holds values and rules, no I/O and no goroutines, and imports only the
// standard library. The words are those of the nexo Retailer Protocol and of
// ISO 8583; a vendor's own word never appears here.
//
//	Command ──► Request ──► Transaction ──► Outcome
//	 (asked)    (valid)     (journalled)    (what became of it)
//	                └──────── Record ─────────┘
//	                 folded from Steps, announced by Events
//
// # Reading order
//
// [Operation], [Money], [Request], [Outcome], then [Record] with its [Step]s:
// the state machine of one payment is the function [Record.Apply].
//
// All types are plain values: copying one is safe, and none of them is safe
// for concurrent mutation. Card numbers exist only as [PAN], which never holds
// more than the last four digits.
package payment
