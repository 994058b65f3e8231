package store

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// errDamaged is wrapped when a segment is not what bbolt wrote.
var errDamaged = errors.New("damaged segment")

// checkTree is bbolt's own check of every page that the transaction sees. No
// write transaction may run meanwhile.
func checkTree(tx *bbolt.Tx) error {
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = fmt.Errorf("%w: %w", errDamaged, err)
		}
	}
	return first
}
