// Package mqtt is Tillgate's edge towards controllers and the uplink: commands
// in, replies, events and retained state out, over MQTT 3.1.1.
//
//	controller ── command/{verb} ──► decode strictly ─► lanes ─► Gateway.Do
//	           ◄─ reply/{client} ───────────────────────────────────┘
//	           ◄─ event/{type} ───── Outbox, in order, cursor moves on PUBACK
//	           ◄─ status info health sellable outbox terminal/… alert/… (retained)
//
// One [Edge] serves one destination (the local broker, an uplink) and has its
// own cursor in the outbox. A connection is one paho client that never
// reconnects by itself, so that a publish token means exactly one PUBACK on
// exactly this connection; whatever goes wrong ends the connection, and the
// next one starts again at the cursor.
//
// # Life of a connection
//
//	CONNECT (clean session, random client id, will: status offline)
//	SUBSCRIBE, every filter granted
//	gateway.started published, and it came back     else: the ACL forbids events
//	retained topics, all of them
//	events after the cursor, then what happens
//
// # Concurrency properties
//
// All goroutines of an Edge end before [Edge.Run] returns. The Gateway is
// called from at most maxLanes+maxQuick+maxAborts goroutines at a time, and
// from one that shows its status; commands about
// one terminal are handed over in the order of their arrival, and a slow one
// holds up neither an abort nor another terminal. Nothing queues without a
// bound: what does not fit is refused as busy.
//
// The contract for integrators is docs/mqtt.md; [AsyncAPI] is the same for
// machines.
package mqtt
