// Package notify is the listener for those who tell us by themselves: services
// of acquirers that post what became of a transaction. It is the one part of
// the box that strangers can reach, so it bounds everything, tells nothing, and
// shares nothing with a sale but the journal.
//
//	who            what                                      bound
//	connection     of an allowed address, else closed        Connections, PerSource, PerSecond
//	TLS, header    complete in time                          HeaderTimeout, 8 KiB
//	body           complete in time                          BodyTimeout, MaxBody
//	Decode         verified and decoded                      4 at a time, Hold
//	Notify         durable                                   4 at a time, SaveTimeout
//	200            only now
//
// Whatever is wrong with a request on the right path gets the same bytes after
// the same time: a sender learns that it was refused, never why. The reason is
// in this box's log, at most once a minute for each sender.
//
// HTTP/2 is not spoken: its streams would pass the bound on connections.
package notify
