package store

import (
	"fmt"
	"maps"

	"go.etcd.io/bbolt"
)

// Note makes a short text durable under a name, in the place of the one before;
// "" removes it. Notes are what has to outlive the process without being about a
// payment. They move on with each segment. There are at most 64, of 1024 bytes,
// with names of 128.
func (s *Store) Note(name, text string) error {
	if name == "" || len(name) > maxNoteName || len(text) > maxNote {
		return fmt.Errorf("journal: note %.32q of %d bytes: a name has 1 to %d, a text at most %d", name, len(text), maxNoteName, maxNote)
	}
	return s.submit(func(b *batch) error {
		if _, ok := b.notes[name]; text != "" && !ok && len(b.notes) >= maxNotes {
			return fmt.Errorf("journal: note %q: there are %d already", name, maxNotes)
		}
		b.notes = maps.Clone(b.notes)
		if b.noted = maps.Clone(b.noted); b.noted == nil {
			b.noted = make(map[string]string)
		}
		b.noted[name] = text
		if text == "" {
			delete(b.notes, name)
		} else {
			b.notes[name] = text
		}
		return nil
	})
}

// Notes is what Note has kept; the caller owns the map.
func (s *Store) Notes() map[string]string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.notes)
}

func putNote(meta *bbolt.Bucket, name, text string) error {
	if text == "" {
		return meta.Delete([]byte(notePrefix + name))
	}
	return meta.Put([]byte(notePrefix+name), []byte(text))
}
