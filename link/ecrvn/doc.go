// Package ecrvn drives the Ingenico terminals of Vietnamese banks (iCT220,
// iWL220 and later) by their text protocol "/ecr?rqt=", over RS232
// (115200 8N1) or as a web service.
//
//	gateway                                              terminal          bank
//	  /ecr?rqt=q7..|tillgate&cmd=last_trans ───────────────►
//	  ◄─ {"requestId":"q7..",...,"transInfo":{the last successful one}}      Baseline
//	  /ecr?rqt=A1..|tillgate&cmd=sale|123456|||42||A1.. ───►
//	                                                       card, PIN ────────►
//	                                                       ◄──────── 00 or not
//	  ◄─ {"requestId":"A1..",..,"status":"DONE","transInfo":{..,"returnCode":"00"}}
//
// The document is "Hướng dẫn kết nối phần mềm tính tiền với POS Ingenico (Web
// Service and COM RS232, V201 build 08/11/2017)". Every field, code and limit
// of it has a row in docs/protocols/ecrvn.md.
//
// # What is certain
//
// DONE says that the bank answered, returnCode 00 that it approved. CANCELED
// says neither: the document has it cover the cancel key, a time-out and a lost
// line to the bank. It, an unknown status, a missing code and codes that leave
// the matter open are doubtful: Error{Sent: true}, never an outcome.
//
// # Looking up
//
// The protocol cannot ask for one attempt. last_trans shows the last
// transaction, by the RS232 chapter the last successful one: it can prove a
// payment and never disproves one. Firmware of 2018 keeps the ids of the
// original request inside transInfo; they name our attempt and are proof.
// Without them position is all there is, and counts only where nobody can sell
// on the keypad.
package ecrvn
