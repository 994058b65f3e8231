// Package gateway carries payments through: one goroutine per terminal, its
// lane, that opens the terminal, settles what is unfinished, and serves.
//
//	Do(Command) ─► lane: validate · known? · order free? · sellable and idle?
//	                 │ Baseline          what does the terminal say before?
//	                 │ Journal.Begin     durable ──► Reply accepted
//	                 │ Terminal.Execute  sent once
//	                 │ Journal.Append    outcome and event, one transaction
//	                 ▼
//	               open ─► settle ─► serve ─┐
//	                ▲───────────────────────┘  a broken line, a crash and a
//	                                           restart all take this road
//
// Nothing here knows a protocol, a broker or a database: terminals are
// [link.Terminal]s, fronts send a [payment.Command], the store is a [Journal].
package gateway
