// Package zengi takes the payment notifications (IPN) of Zengi, a Vietnamese
// payment service: what became of a card transaction is posted to us, encrypted
// and signed. There is no terminal and no question: it only tells.
//
//	Zengi ── POST /ipn {"data": text} ──► text ─► iv, ciphertext ─► plaintext, JSON
//	                                       HMAC-SHA256 over one of them
//	      ◄─ 200 {"result":"ok"} ────────  durable
//	      ◄─ 400 {"result":"refused"} ───  anything else, always the same bytes
//
// Source: "Xử lý kết quả thanh toán thẻ" (Zengi developer pages, card IPN), below
// called the document. It says AES-256 and HMAC-256 and not how: mode, IV,
// padding, text, what is signed and where the signature stands are agreed with
// each partner. [Settings] has every one of them, and Certify tries a captured
// request against all of them.
//
// Reading order: settings.go, notifier.go (Decode), open.go and crypt.go (what
// opens a request), ipn.go and codes.go (what it says), sim.go (the other side).
package zengi
