package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// errDamaged is wrapped when a segment is not what bbolt wrote.
var errDamaged = errors.New("damaged segment")

// checkTree is bbolt's own check of every page that the transaction sees. No
// write transaction may run meanwhile. It wants both meta pages, so a file with
// a torn one has only the check of [checkFile].
func checkTree(tx *bbolt.Tx, torn bool) error {
	if torn {
		return nil
	}
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return first
}
