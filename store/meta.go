package store

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/bbolt"

	"tillgate/internal/payment"
)

// The bucket "meta" of a segment:
//
//	segment           JSON of segmentMeta, written once, when the segment is made
//	board             serial number of the board the journal is bound to
//	oldest            segments before this one are expired too, 8 bytes, big-endian
//	cursor/<name>     last event a destination has acknowledged, 8 bytes, big-endian
//	note/<name>       what the gateway wants to find again, text; see [Store.Note]
var (
	bucketEntries = []byte("entries")
	bucketMeta    = []byte("meta")

	keySegment = []byte("segment")
	keyBoard   = []byte("board")
	keyOldest  = []byte("oldest")
)

const (
	cursorPrefix = "cursor/"
	notePrefix   = "note/"

	// format is refused when it differs; minor may be newer: its additions are
	// kept and skipped, so that an update of the box can be rolled back.
	format = 1
	minor  = 0

	maxMetaValue    = 4 << 10
	maxDestination  = 64 // characters of a destination's name
	maxDestinations = 16
	maxNotes        = 64
	maxNoteName     = 128 // bytes
	maxNote         = 1024
)

// segmentMeta is what a segment knows about its place in the row.
type segmentMeta struct {
	Format  int            `json:"format"`
	Minor   int            `json:"minor"`
	Number  uint64         `json:"number"`
	First   uint64         `json:"first"`  // number of the first entry that is new here; smaller ones are carried over
	Seq     uint64         `json:"seq"`    // last event before this segment
	Oldest  uint64         `json:"oldest"` // segments before this one are expired
	Created payment.Moment `json:"created"`

	// The last removal of events that some destination had not yet, for the
	// gateway.gap that announces it.
	GapEpoch string         `json:"gap_epoch,omitempty"`
	GapAt    payment.Moment `json:"gap_at,omitzero"`
}

// errForeign is wrapped when a file is a bbolt file, but no segment of ours.
var errForeign = errors.New("not a segment of this journal")

// readMeta reads and bounds everything in the bucket "meta".
func readMeta(tx *bbolt.Tx) (m segmentMeta, board string, cursors map[string]uint64, notes map[string]string, err error) {
	b := tx.Bucket(bucketMeta)
	if b == nil || tx.Bucket(bucketEntries) == nil {
		return m, "", nil, nil, fmt.Errorf("%w: it lacks a bucket", errForeign)
	}
	cursors, notes = make(map[string]uint64), make(map[string]string)
	var oldest uint64
	err = b.ForEach(func(k, v []byte) error {
		if len(v) > maxMetaValue {
			return fmt.Errorf("%w: meta value of %d bytes", errForeign, len(v))
		}
		name, isCursor := strings.CutPrefix(string(k), cursorPrefix)
		switch {
		case string(k) == string(keySegment):
			return json.Unmarshal(v, &m)
		case string(k) == string(keyBoard):
			board = string(v)
		case string(k) == string(keyOldest) && len(v) == 8:
			oldest = binary.BigEndian.Uint64(v)
		case isCursor && len(v) == 8 && len(name) <= maxDestination:
			cursors[name] = binary.BigEndian.Uint64(v)
		}
		if name, ok := strings.CutPrefix(string(k), notePrefix); ok && len(name) <= maxNoteName && len(notes) < maxNotes {
			notes[name] = string(v)
		}
		return nil // what a newer version added
	})
	if err != nil {
		return m, "", nil, nil, err
	}
	m.Oldest = max(m.Oldest, oldest)
	if m.Format != format {
		return m, "", nil, nil, fmt.Errorf("%w: format %d, this version reads %d", errForeign, m.Format, format)
	}
	if m.Number == 0 || m.First == 0 || m.Oldest > m.Number {
		return m, "", nil, nil, fmt.Errorf("%w: segment %d, first %d, oldest %d", errForeign, m.Number, m.First, m.Oldest)
	}
	return m, board, cursors, notes, nil
}

func putCursor(b *bbolt.Bucket, name string, seq uint64) error {
	return b.Put([]byte(cursorPrefix+name), binary.BigEndian.AppendUint64(nil, seq))
}
