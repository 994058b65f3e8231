package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"tillgate/link"
)

// Bank is what every simulated bank remembers. A driver embeds it in the state
// of its terminal.
type Bank struct {
	Currency string       `json:"currency"` // ISO 4217
	Entries  []link.Entry `json:"entries"`  // the ledger, oldest first
}

func (b *Bank) bank() *Bank { return b }

// Ledger is a copy of the ledger.
func (b *Bank) Ledger() []link.Entry { return slices.Clone(b.Entries) }

// State is what a terminal and its bank remember: a pointer to a struct that
// embeds [Bank] and can be read and written as JSON.
type State interface {
	// Check refuses a state that contradicts itself: one that was kept by
	// another version, or written by hand.
	Check() error
	bank() *Bank
}

// maxFile bounds a ledger file; ten thousand payments have about 6 MB.
const maxFile = 256 << 20

// Load reads what was kept in a file. s has the beginnings of a new terminal,
// with its currency; it stays as it is if the file is "" or not there. A file
// with unknown members, in another currency, or that s refuses, is an error.
func Load(file string, s State) error {
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) { // it is written there at the first payment
		_, err = os.Stat(filepath.Dir(file))
		return err
	}
	if err != nil {
		return err
	}
	if info.Size() > maxFile {
		return fmt.Errorf("%s: has %d bytes, more than %d", file, info.Size(), maxFile)
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	currency := s.bank().Currency
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(s); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if kept := s.bank().Currency; kept != currency {
		return fmt.Errorf("%s: is kept in %s, not in %s", file, kept, currency)
	}
	if err := s.Check(); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

// Save makes a state durable: a new file, flushed, under the old name, and the
// directory flushed. A crash leaves the old state or the new one. "" keeps
// nothing.
func Save(file string, s State) error {
	if file == "" {
		return nil
	}
	b, err := json.Marshal(s)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".ledger-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), file); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
