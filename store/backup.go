package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.etcd.io/bbolt"
)

// Backup copies the journal into a directory that does not exist yet. It may run
// beside payments. The copy is a journal: it can be verified and opened, also on
// another board once it is adopted there. It is made beside its name, in
// dir.part, so that an unfinished one is never taken for a journal.
func (s *Store) Backup(ctx context.Context, dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("backup to %s: it exists already", dir)
	}
	part := dir + ".part"
	if err := os.Mkdir(part, 0o750); err != nil {
		return fmt.Errorf("backup: %w", err)
	}
	err := s.backup(ctx, part)
	if err == nil {
		err = os.Rename(part, dir)
	}
	if err == nil {
		return syncDir(filepath.Dir(dir))
	}
	_ = os.RemoveAll(part)
	return fmt.Errorf("backup to %s: %w", dir, err)
}

func (s *Store) backup(ctx context.Context, dir string) error {
	s.mu.Lock()
	s.holding++
	active, closed, oldest := s.active, slices.Clone(s.closed), s.oldest().number
	db, err := active.acquire()
	s.mu.Unlock()
	defer s.letGo()
	if err != nil {
		return err
	}
	defer active.release()
	err = guard(func() error {
		return db.View(func(tx *bbolt.Tx) error {
			return copyTo(ctx, segmentPath(dir, active.number), func(w io.Writer) error { _, err := tx.WriteTo(w); return err })
		})
	})
	if err != nil {
		return err
	}
	for _, g := range closed {
		if err := copyFile(ctx, g.path, segmentPath(dir, g.number)); err != nil {
			return err
		}
	}
	files, err := list(s.options.Dir)
	if err != nil {
		return err
	}
	for _, n := range files.sidecars {
		known := n < oldest || slices.ContainsFunc(closed, func(g *segment) bool { return g.number == n })
		if !known {
			continue
		}
		if err := copyFile(ctx, sidecarPath(s.options.Dir, n), sidecarPath(dir, n)); err != nil {
			return err
		}
	}
	return syncDir(dir)
}

// letGo removes what expired while the files were needed.
func (s *Store) letGo() {
	s.mu.Lock()
	var gone []*segment
	if s.holding--; s.holding == 0 {
		gone, s.doomed = s.doomed, nil
	}
	s.mu.Unlock()
	for _, g := range gone {
		s.remove(g)
	}
}

func copyFile(ctx context.Context, from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return copyTo(ctx, to, func(w io.Writer) error { _, err := io.Copy(w, f); return err })
}

func copyTo(ctx context.Context, path string, fill func(io.Writer) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	err = fill(cancellable{ctx, f})
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// cancellable is a writer that ends with its context.
type cancellable struct {
	ctx context.Context
	w   io.Writer
}

func (c cancellable) Write(b []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.w.Write(b)
}
