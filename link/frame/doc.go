// Package frame cuts byte streams from terminals into messages.
//
//	noise {"requestId":"A","transInfo":{...}} noise {"requestId": ...
//	      └──────────── one object ─────────┘
//
// A reader here has two kinds of error. One that is [ErrCorrupt] tells that
// bytes were thrown away: the stream goes on, ask again. Every other error is
// the stream's own and ends the connection, except a deadline that the caller
// has set himself.
//
// Buffers are bounded and allocated once, time is linear in the bytes read
// whatever they are, and a frame costs no allocation.
package frame
