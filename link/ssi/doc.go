// Package ssi drives the terminals of SSI SmartPOS_EMV (Verifone X990, TP10,
// M3P, Newland, SP880 and others) by their JSON protocol, over TCP, HTTP, or a
// serial or USB serial line.
//
//	gateway                                                    terminal        bank
//	  {"method":"GetLastResult"}  ──────────────────────────────►                     Baseline
//	  {"method":"Purchase","params":{"transAmount":"24500",..}} ─►
//	  ◄─ {"method":"Purchase","error":false}                     accepted
//	  {"method":"GetStatus"} ─► S02, S03 ..                      card, PIN ─────►
//	  {"method":"GetStatus"} ─► S00                              idle again ◄────
//	  {"method":"GetLastResult"} ─► APPROVED_ONLINE, amount, RRN
//
// The document is "Інтеграційний протокол SSI ECR JSON", 1.1.10 of 27/09/2024.
// What later firmware (1.2.6 and on) does otherwise is known from testers'
// scripts: transactionUid, GetResultByUid, the status S08. Every field, code and
// limit has a row in docs/protocols/ssi.md.
//
// # What is certain
//
// An answer with error true refuses the command: the terminal does nothing and
// leaves its result buffer as it was (5.1). An accepted command overwrites the
// buffer, which survives a restart. So a lost acknowledgement leaves two
// possibilities, and the buffer may show the customer before: it is compared
// with what was read before the command.
//
// CONNECTION_TIMEOUT, NO_CONNECTION, FAILED and their like do not exclude that
// the bank approved: Error{Sent: true}, never an outcome.
//
// # Looking up
//
// Where the terminal knows transactionUid it is asked for our attempt, and
// that is proof. Firmware of the document only has the last result; its place
// proves something only where nobody can sell on the keypad.
package ssi
