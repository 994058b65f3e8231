package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"tillgate/internal/payment"
)

// seed is what a new segment is made with.
type seed struct {
	meta    segmentMeta
	board   string
	cursors map[string]uint64
	notes   map[string]string
	size    int64 // bytes to allocate

	from    *segment // where the carried entries lie; nil for the first segment
	numbers []uint64 // of the carried entries
}

// create makes a segment that is complete on the disk before it has its name.
// bbolt can be left in a state it cannot open when the power goes while a file
// is initialised, so no name is given before.
func (s *Store) create(d seed) error {
	path := segmentPath(s.options.Dir, d.meta.Number)
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	err := s.durably("create", func() error { return d.write(tmp) })
	if err != nil {
		_ = os.Remove(tmp)
		return fmt.Errorf("new segment %d: %w", d.meta.Number, err)
	}
	return nil
}

// install gives the segment its name. From then on it is authoritative.
func (s *Store) install(number uint64) error {
	path := segmentPath(s.options.Dir, number)
	err := s.durably("rename", func() error { return os.Rename(path+".tmp", path) })
	if err != nil {
		return fmt.Errorf("new segment %d: %w", number, err)
	}
	return s.durably("directory", func() error { return syncDir(s.options.Dir) })
}

func (d seed) write(tmp string) error {
	sparse, err := allocate(tmp, d.size)
	if err != nil {
		return err
	}
	db, file, err := openDB(tmp, false, int(d.size))
	if err != nil {
		return err
	}
	err = guard(func() error { return db.Update(d.fill) })
	if err == nil && sparse {
		err = writeZeros(file, d.size)
	}
	if err == nil {
		err = file.Sync()
	}
	if errors.Is(err, errPanicked) {
		file.Close()
		return err
	}
	if cerr := guard(db.Close); err == nil {
		err = cerr
	}
	return err
}

func (d seed) fill(tx *bbolt.Tx) error {
	entries, err := tx.CreateBucket(bucketEntries)
	if err != nil {
		return err
	}
	entries.FillPercent = 1
	meta, err := tx.CreateBucket(bucketMeta)
	if err != nil {
		return err
	}
	text, err := json.Marshal(d.meta)
	if err != nil {
		return err
	}
	if err := meta.Put(keySegment, text); err != nil {
		return err
	}
	if d.board != "" {
		if err := meta.Put(keyBoard, []byte(d.board)); err != nil {
			return err
		}
	}
	for name, seq := range d.cursors {
		if err := putCursor(meta, name, seq); err != nil {
			return err
		}
	}
	for name, text := range d.notes {
		if err := putNote(meta, name, text); err != nil {
			return err
		}
	}
	if len(d.numbers) == 0 {
		return nil
	}
	return d.from.view(func(old *bbolt.Tx) error {
		source := old.Bucket(bucketEntries)
		for _, n := range d.numbers {
			v := source.Get(key(n))
			if _, _, err := decode(n, v); err != nil {
				return err
			}
			if err := entries.Put(key(n), append([]byte(nil), v...)); err != nil {
				return err
			}
		}
		return nil
	})
}

// allocate makes a file of no length that owns all its blocks, so that a disk
// that fills up fails a roll-over and never a commit. sparse says that the file
// system cannot do that.
func allocate(path string, size int64) (sparse bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return false, err
	}
	err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, size)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		sparse, err = true, nil
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return false, fmt.Errorf("allocate %d bytes: %w", size, err)
	}
	return sparse, nil
}

// writeZeros allocates what bbolt has not written of a file by writing it.
func writeZeros(f *os.File, size int64) error {
	block, zeros := make([]byte, pageSize), make([]byte, pageSize)
	for at := int64(0); at < size; at += pageSize {
		n, _ := f.ReadAt(block, at)
		if n == pageSize && string(block) != string(zeros) {
			continue
		}
		if n > 0 && string(block[:n]) != string(zeros[:n]) {
			continue
		}
		if _, err := f.WriteAt(zeros, at); err != nil {
			return err
		}
	}
	return nil
}

// saveSidecar writes a sidecar completely before it has its name.
func (s *Store) saveSidecar(path string, b []byte) error {
	err := s.durably("sidecar", func() error {
		f, err := os.OpenFile(path+".tmp", os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o640)
		if err != nil {
			return err
		}
		_, err = f.Write(b)
		if err == nil {
			err = f.Sync()
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = os.Rename(path+".tmp", path)
		}
		return err
	})
	if err != nil {
		_ = os.Remove(path + ".tmp")
		return fmt.Errorf("sidecar %s: %w", filepath.Base(path), err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// firstSegment is the beginning of a journal.
func (s *Store) firstSegment() error {
	now := s.options.Now()
	err := s.create(seed{
		meta:  segmentMeta{Format: format, Minor: minor, Number: 1, First: 1, Oldest: 1, Created: payment.Moment{Time: now.Time.UTC(), Clock: now.Clock}},
		board: s.options.Board,
		size:  s.options.SegmentSize,
	})
	if err != nil {
		return err
	}
	return s.install(1)
}
