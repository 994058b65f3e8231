// Package stream is a terminal behind one connection, read all the time
// ([Stream]), or behind a new one for each request ([Calls]).
//
//	connection ──> the driver's framer and decoder ──> Stream ──> who waits
//	               (a goroutine of its own)
//
// A terminal talks when it likes: an answer may come after nobody waits for it
// any more. A goroutine therefore reads as long as the connection lasts. What
// came late is in hand before the next request is sent, without a wait for bytes
// that may not exist, and an end of the connection is known at once.
//
// What a message is, and which request it answers, is the driver's business.
package stream
