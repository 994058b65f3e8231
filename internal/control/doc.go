// Package control is the Unix socket through which a person's tools talk to a
// running gateway: HTTP/1.1 with JSON, on one file with mode 0660.
//
// The journal is locked by the process that owns it, so the command line asks
// that process instead of reading files.
//
//	POST /v1/commands            payment.Command ─► payment.Reply
//	POST /v1/commands?follow=1   ─► Line, Line, ... until the payment is over
//	GET  /v1/status              ─► payment.Status
//	GET  /v1/terminals           ─► [Terminal, ...]
//	GET  /v1/journal             order= last4= auth= terminal= since= until= limit= ─► a record a line
//	GET  /v1/journal/{id}        ─► Entry: the record with its steps
//	POST /v1/journal/verify      ─► what the journal's own check says
//	POST /v1/journal/backup      {dir} ─► {}, when the gateway has copied the journal into a new folder
//	GET  /v1/events              from= follow=1 ─► an event a line
//	GET  /v1/version             ─► Version
//
// Streams are NDJSON: one JSON value a line. Who may open the socket may do
// everything; the file's group is the permission. Commands carry the peer's
// user id (SO_PEERCRED, unix(7)), which the kernel vouches for.
package control
