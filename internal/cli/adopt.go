package cli

import (
	"fmt"

	"tillgate/internal/config"
	"tillgate/store"
)

type adoptCmd struct{}

func (adoptCmd) Help() string {
	return `A journal belongs to the board it was begun on: a copied card would answer old
ids a second time. After a board was exchanged on purpose, and only one box
goes on with this journal, adopt it. The gateway must be stopped.

    sudo tillgate journal adopt --config /etc/tillgate/tillgate.yaml`
}

func (adoptCmd) Run(a *app) error {
	c, err := config.Load(a.table.Config, a.drivers)
	if err != nil {
		return err
	}
	board := boardSerial()
	if board == "" {
		return fmt.Errorf("adopt the journal in %s: this board has no serial number, so no journal is bound to it", c.Data)
	}
	b := &box{config: c, log: logger(a, c)}
	if err := store.Adopt(b.storeOptions()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Out, "the journal in %s belongs to board %s now\n", c.Data, board)
	return err
}
