// Package broker is the MQTT broker that Tillgate brings along for kiosks that
// have none: nats-server with its MQTT 3.1.1 listener on loopback, in a child
// process of the same binary.
//
//	gateway process                         child: tillgate broker
//	Supervisor ── stdin: Config, JSON ────► Main
//	           ◄─ stdout: {"port":1883} ──  ready
//	           ── MQTT: publish and hear ─► canary, every few seconds
//	           ── stdin closed ───────────► ends; so does the child of a dead parent
//
// A child, since nats-server has no recover(): a fault of the broker must not
// touch a payment. What lies in its store is a transport queue and never the
// record: the store is in memory (a runtime directory), and is wiped when the
// canary fails. The gateway publishes retained topics and unacknowledged
// events again when it reconnects.
//
// Concurrency: a [Supervisor] is run once; its other methods are safe for
// concurrent use. Nothing outlives [Supervisor.Run].
package broker
