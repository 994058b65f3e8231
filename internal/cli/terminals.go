package cli

import (
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

type terminalsCmd struct {
	JSON bool `name:"json" help:"Print it as JSON."`
}

func (terminalsCmd) Help() string {
	return `What each terminal says of itself: serial number, TID, model, software. What
was accepted is remembered over restarts; the first look accepts. What differs
from it is marked, raises the alert terminal-changed, and is an event
terminal.changed. A protocol that does not tell something leaves it empty.

    tillgate terminals --json | jq -r '.[] | [.name, .inventory.software] | @tsv'`
}

// inventoried is a terminal as this command prints it.
type inventoried struct {
	Name      string             `json:"name"`
	Driver    string             `json:"driver"`
	Link      payment.Link       `json:"status"`
	Inventory payment.Inventory  `json:"inventory"`
	Paired    *payment.Inventory `json:"paired,omitempty"` // what was accepted, if that differs
	Differs   []string           `json:"differs"`
}

func (t *terminalsCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	st, err := c.Status(a.ctx)
	if err != nil {
		return err
	}
	all := []inventoried{}
	for _, t := range st.Terminals {
		i := inventoried{t.Name, t.Driver, t.Link, t.Inventory, t.Paired, []string{}}
		if t.Paired != nil {
			i.Differs = t.Inventory.Differs(*t.Paired)
		}
		all = append(all, i)
	}
	if t.JSON {
		return asJSON(a.Out, all)
	}
	rows := [][]string{{"TERMINAL", "DRIVER", "LINK", "SERIAL", "TID", "MODEL", "SOFTWARE", ""}}
	for _, t := range all {
		i, note := t.Inventory, ""
		if i.Serial == "" { // what it is known by then
			i.Serial = i.Identity
		}
		if len(t.Differs) > 0 {
			note = "CHANGED: " + changes(*t.Paired, t.Differs)
		}
		row := []string{t.Name, t.Driver, string(t.Link), payment.Printable(i.Serial), payment.Printable(i.TID), payment.Printable(i.Model), payment.Printable(i.Software), note}
		rows = append(rows, row)
	}
	columns(a.Out, rows)
	return nil
}

// changes says what the named members were.
func changes(was payment.Inventory, names []string) string {
	old := map[string]string{"identity": was.Identity, "serial": was.Serial, "tid": was.TID, "model": was.Model, "software": was.Software}
	var all []string
	for _, name := range names {
		all = append(all, fmt.Sprintf("%s was %s", name, payment.Printable(old[name])))
	}
	return strings.Join(all, ", ")
}

type acceptCmd struct {
	onTerminal
	By     string `help:"Who says so. Default: the user who is logged in." placeholder:"NAME"`
	Reason string `help:"Why, for the record." placeholder:"TEXT"`
}

func (acceptCmd) Help() string {
	return `A terminal whose software, serial number or TID is not what was accepted
before raises the alert terminal-changed until somebody accepts it, or it is
again what it was. Look first: another TID means that the money goes to
another account.

    tillgate terminals
    tillgate accept --terminal front --reason "repaired, ticket 1234"`
}

func (c *acceptCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbAccept, Request: payment.Request{Terminal: c.Terminal}, By: who(c.By), Reason: c.Reason}, c.JSON)
}
