// Package store is the journal: what was asked of which terminal, what became
// of it, and which events still have to be told to whom.
//
//	<dir>/lock             held by the process that owns the journal, with its pid
//	<dir>/0000000007.idx   what a closed segment holds: hashes and positions
//	<dir>/0000000007.seg   a closed segment, read only
//	<dir>/0000000008.seg   the segment in use: a bbolt file of bounded size
//	<dir>/*.tmp            being made; removed at the next start
//
// A segment is a bbolt file with two buckets. "entries" is append-only: numbered
// steps of payments and numbered events, each with its own checksum (format.go
// draws them). "meta" says which segment this is and how far every destination
// has acknowledged the events.
//
// # What is promised
//
// Begin and Append return when what they were given is on disk (two flushes).
// A cursor that moved is remembered at once and written with the next commit.
// Nothing is written while nothing happens.
//
// The newest segment that has an id is authoritative for that payment: it holds
// all of its steps. So everything that is not over is always in the segment in
// use, and a restart reads that one file and the sidecars.
//
// # Roll-over
//
// A full segment is followed by a new one, made under a temporary name with all
// that it must carry over, flushed, and renamed. From the rename on it alone is
// authoritative: it says where its predecessor ends, which segments are expired,
// and how far the destinations are.
//
// # Faults
//
// After an error of a write or a flush nobody knows what is on disk. The store
// is then failed: it refuses to write until it has closed the file, thrown away
// its cached pages, read it back, and rolled over to a new one; see
// [Store.Healthy]. A disk without room for another segment refuses new payments
// while the reserve in the segment in use still takes the steps of open ones.
//
// Not defended against: a disk that acknowledges flushes it has not made and
// then loses power, and somebody who writes the files with other tools.
//
// # Concurrency
//
// A Store is safe for concurrent use. Whoever writes joins a queue; the first in
// it commits for all that are waiting (no timer), and a refusal concerns only the
// one refused. Readers do not wait for writers.
package store
