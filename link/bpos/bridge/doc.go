// Package bridge is the line protocol between the gateway and the process that
// holds the vendor's BPOS1Lib, and both of its ends.
//
//	gateway                                          bridge process        library
//	  {"id":1,"hello":1} ─────────────────────────────►
//	      ◄─ {"id":1,"hello":1,"kind":"linux","library":"1.4.19"}   loads
//	  {"id":2,"call":"Purchase","args":[12345,0,1]} ──►  Purchase(12345,0,1)
//	      ◄─ {"id":2,"code":0}                                      S_OK
//	  {"id":3,"get":["LastResult","LastStatMsgCode"]} ►  get_LastResult ...
//	      ◄─ {"id":3,"values":{"LastResult":2,"LastStatMsgCode":9}}
//	  {"id":4,"call":"Track3"} ───────────────────────►
//	      ◄─ {"id":4,"error":"unknown","text":"..."}
//
// The wire between the library and the terminal is the maker's secret. This one
// is ours: it carries the methods and properties of the library as the guide
// "ECRCommX for connecting to Ingenico POS-terminals using B-POS1 protocol",
// version 3.2.3 of 02.02.2021, has them, and nothing else. [Methods] and
// [Properties] list them.
//
// # Lines
//
// One JSON object a line, UTF-8, ended by 0A; [MaxRequest] and [MaxAnswer] bound
// it. The gateway asks, the bridge answers with the same id, and never speaks
// unasked. The first request is hello with the version of this protocol, which
// makes the bridge load the library. A request that comes before the one before
// it is answered is refused with "busy".
//
// Every method returns at once or within the library's own time; what the
// terminal makes of it is read with get, until LastResult is not 2. An answer
// "code" is what the library's method returned, 0 for done. An "error" is the
// bridge's own, and says that the library was not called: see [Refusal].
//
// # A bridge dies with its gateway
//
// A bridge serves one connection and ends with it, even if the library hangs. So
// no library is left over that goes on with a payment that nobody confirms.
//
// # Card data
//
// The bridge gives no track, no holder, no expiry date and no hash of a card, and
// of a card number the last four digits: see [Method.Refused].
package bridge
