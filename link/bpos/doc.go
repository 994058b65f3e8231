// Package bpos drives Ingenico Telium terminals with T-Master through the
// vendor's own library, BPOS1Lib, which another process holds: a bridge. The
// wire between library and terminal is the maker's secret.
//
//	gateway        line protocol        bridge        BPOS1Lib          terminal   bank
//	  Purchase ─────────────────────────► Purchase() ───────────────────► card, PIN ──►
//	  LastResult 2, LastStatMsgCode 9, 6, 3 ◄── polled                           ◄── 00
//	  LastResult 0, RRN, InvoiceNum, Amount ◄────────────
//	  [outcome durable in the journal]
//	  Confirm ──────────────────────────► Confirm() ────────────────────► keeps it
//	  ReqCurrReceipt ───────────────────► Receipt                    else takes it back
//
// The document is "ECRCommX for connecting to Ingenico POS-terminals using
// B-POS1 protocol", version 3.2.3 of 02.02.2021 (the guide). The line protocol is
// tillgate/link/bpos/bridge. Every method, property, code and limit has a row in
// docs/protocols/bpos.md.
//
// # Confirm is the commit point
//
// An approval that is not confirmed is taken back by the terminal. So it is
// confirmed after the outcome is durable, once, and by the connection that heard
// the approval: afterwards the terminal is asked what it kept.
//
// # Looking up
//
// No id of ours travels. A transaction is found by the invoice number that came
// with its approval, or by its place in the terminal's journal (GetTxnNum,
// GetTxnDataByOrder), which counts only where nobody can sell on the keypad. An
// approval in the journal is believed when the terminal can no longer be waiting
// for a Confirm.
package bpos
