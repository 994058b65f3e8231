// Package tmaster is a simulated terminal with its bank: an Ingenico Telium with
// T-Master, as the guide to BPOS1 (ECRCommX 3.2.3 of 02.02.2021) and the bank's
// JSON protocol (1.0.3.1 of 17.01.2025) describe it. It is the state machine
// behind the simulators of both; there is no wire in it.
//
//	        Begin                    bank                     Confirm
//	idle ─────────► working 9, 6, 3 ──────► answered ──────────────────► idle
//	                   │ 11: Correct            │ none comes, or another Begin
//	                   │  4: Press              ▼
//	                   └─ Cancel: 1001      taken back ── at once: reversed
//	                                            └──────── pending: canceled, and the
//	                                                      money is back when the
//	                                                      batch is closed
//
// A face turns what its own wire says into a [Command], and an [Answer] into
// what its wire says. Two kinds of face fit:
//
//   - one that is told: Begin with a function that gets the answer (JSON);
//   - one that polls: [Terminal.Status] until it is no longer working, then
//     [Terminal.Last], then [Terminal.Confirm] (BPOS1, with Config.ConfirmWithin).
//
// The terminal outlives the face's connections, and with a ledger file its
// process: everything is durable before anybody hears of it. A terminal that is
// loaded with an approval that was never confirmed takes it back, as one does
// that lost its power.
package tmaster
