// Package privat drives the terminals of PrivatBank (Ingenico Telium with
// T-Master, Verifone, PAX, Newland) by the bank's "ECR protocol, JSON based",
// over TCP (port 2000) or USB and RS232 (115200 8N1).
//
//	gateway                                                  terminal      bank
//	  00 {"method":"PingDevice","step":0} 00 ────────────────►      connect, part
//	  {"method":"ServiceMessage",..identify} 00 ─────────────►      connect, part
//	  {"method":"GetTerminalInfo"} {"method":"GetReceiptInfo","0"}  Baseline
//	  {"method":"Purchase","params":{"amount":"0.60",..}} 00 ►
//	      ◄─ {"method":"ServiceMessage",..getLastStatMsgCode}       asked meanwhile
//	                                                         card, PIN ────►
//	                                                         ◄──── 00 or not
//	  ◄─ {"method":"Purchase",..,"responseCode":"0000","error":false} 00
//
// The document is "ECR протокол ПриватБанк (JSON based)", version 1.0.3.1 of
// 17.01.2025. Every field, code and limit of it has a row in
// docs/protocols/privat.md.
//
// # Three streams in one connection
//
// A terminal works on one operation at a time. A ServiceMessage is answered
// whatever it is doing; any other request meanwhile is refused with deviceBusy.
// So an answer to GetReceiptInfo also says that nothing is running.
//
// # Looking up
//
// No id of ours travels: an answer names its method only, and the read-back is
// "the last receipt of the batch". It is compared with the one before the sale,
// and proves a payment only where nobody can sell on the keypad. What a
// terminal says to a command on the same connection, or unasked on the next one,
// belongs to the command that was sent after the terminal was last seen idle.
package privat
