package store

import (
	"errors"
	"fmt"
	"io"
	"os"

	"go.etcd.io/bbolt"
)

// errDamaged is wrapped when a segment is not what bbolt wrote.
var errDamaged = errors.New("damaged segment")

// checkFile reads a file from one end to the other. It warms the cache in the
// one order an SD card is fast in, and a block that cannot be read is an error
// here, not a fault in the mapping.
func checkFile(path string) (os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > 2*maxSegmentSize {
		return nil, fmt.Errorf("%w: %d bytes", errDamaged, info.Size())
	}
	buf := make([]byte, 256<<10)
	for {
		if _, err := f.Read(buf); err == io.EOF {
			return info, nil
		} else if err != nil {
			return nil, err
		}
	}
}

// checkTree is bbolt's own check of every page that the transaction sees.
func checkTree(tx *bbolt.Tx) error {
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return first
}
