// Package qfpay drives the terminals of QFPay (Haojin app on Landi A8 and PAX
// A920) by packets on a serial line, over HTTP or HTTPS, and over TCP.
//
//	gateway                                               terminal        QFPay
//	  10 #5 {func_type=1001,amt=10.5,out_trade_no='A1..'} ─►
//	  ◄─ 20 #5                                            within 1000 ms
//	                                                      card or code ────►
//	                                                      ◄──────── 0000 or not
//	  ◄─ 10 #9 {"respcd":"6000","data":"{\"respcd\":\"0000\",..}"}
//	  20 #9 ──────────────────────────────────────────────►
//
// The document is "ECR integration technical specification", QFPay, 4.33.24.
// Every field, code and limit of it has a row in docs/protocols/qfpay.md.
//
// # What is certain
//
// respcd 6000 says that the request was served. What became of the money is the
// transaction's own respcd, inside data: 0000 is an approval. 4005, 6002, an
// unknown code and codes that leave the matter open are doubtful:
// Error{Sent: true}, never an outcome. 6001 says that the customer gave up, and
// is believed after a question that finds nothing.
//
// # Looking up
//
// Function 4001 asks for one attempt by the out_trade_no that we gave it, so it
// can say what became of this one. It finds nothing before the card is read: not
// found is final only after the longest time a payment can take, and after
// function 5001 has made the terminal stop.
//
// A refund has no id of ours. What the original can still be refunded, read
// before, is its baseline.
package qfpay
