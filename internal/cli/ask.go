package cli

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"

	"tillgate/internal/payment"
	"tillgate/link"
)

// ask has a terminal asked, and decodes its answer into what show prints.
func ask[T any](a *app, terminal string, cmd payment.Command, asJSONOnly bool, show func(T)) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if cmd.Verb != payment.VerbPrint || cmd.ID == "" { // a receipt is asked of the terminal of its payment
		t, err := a.terminal(c, terminal)
		if err != nil {
			return err
		}
		terminal = t.Name
	}
	cmd.Terminal = terminal
	r, err := c.Do(a.ctx, cmd)
	if err != nil {
		return err
	}
	if r.Status == payment.ReplyRefused {
		return a.refused(r, asJSONOnly)
	}
	if asJSONOnly {
		return asJSON(a.Out, r)
	}
	var answer T
	b, err := json.Marshal(r.Result)
	if err == nil {
		err = json.Unmarshal(b, &answer)
	}
	if err != nil {
		return fmt.Errorf("the terminal's answer to %s: %w", cmd.Verb, err)
	}
	show(answer)
	return nil
}

type totalsCmd struct{ onTerminal }

func (totalsCmd) Help() string {
	return `The batch stays open: that is the difference to reconcile. Not every protocol can tell; it is refused then.

    tillgate totals --terminal front
    tillgate totals --json | jq .result`
}

func (t *totalsCmd) Run(a *app) error {
	return ask(a, t.Terminal, payment.Command{Verb: payment.VerbTotals}, t.JSON, func(all []link.Total) {
		if len(all) == 0 {
			fmt.Fprintln(a.Out, "the batch is empty")
		}
		for _, t := range all {
			fmt.Fprintf(a.Out, "%-16s %6d  %s\n", t.Operation, t.Count, t.Amount)
		}
	})
}

type diagnoseCmd struct {
	onTerminal
	Host bool `help:"Ask whether the terminal reaches its bank, too. Some terminals forget their last result over it, so it is refused while a payment is open."`
}

func (diagnoseCmd) Help() string {
	return `It moves no money.

    tillgate diagnose
    tillgate diagnose --host --terminal front`
}

func (d *diagnoseCmd) Run(a *app) error {
	return ask(a, d.Terminal, payment.Command{Verb: payment.VerbDiagnose, Host: d.Host}, d.JSON, func(found link.Diagnosis) {
		line := func(name, value string) {
			if value != "" {
				fmt.Fprintf(a.Out, "%-16s %s\n", name, printable(value))
			}
		}
		line("identity", found.Identity)
		line("batch", found.Batch)
		line("cannot sell", string(found.Blocked))
		for _, name := range slices.Sorted(maps.Keys(found.Facts)) {
			line(name, found.Facts[name])
		}
	})
}

type printCmd struct {
	onTerminal
	Payment  string `arg:"" optional:"" help:"Id of the payment whose receipt is wanted once more."`
	What     string `enum:"receipt,totals,reconciliation,journal,document" default:"receipt" help:"What: receipt, totals, reconciliation (the last one), journal (of the open batch) or document." placeholder:"KIND"`
	Document string `help:"File with the shop's own document; of --what document." placeholder:"FILE" type:"existingfile"`
	Address  string `help:"Where the terminal finds the document instead." placeholder:"URL"`
}

func (printCmd) Help() string {
	return `The terminal prints, or, if it has no printer, what it would print comes here. Not every terminal has every kind; it is refused then.

    tillgate print 01JD3Q8ZK2V5W7X9Y1B4C6D8EF
    tillgate print --what totals --terminal front
    tillgate print --what document --document voucher.txt`
}

// maxDocument bounds a document, in bytes, like any command.
const maxDocument = 64 << 10

func (p *printCmd) Run(a *app) error {
	kind := payment.PrintKind(p.What)
	switch {
	case (p.Payment != "") != (kind == payment.PrintReceipt):
		return &exit{exitUsage, "a receipt is of a payment: tillgate print ID; everything else has none: tillgate print --what totals"}
	case (p.Document != "" || p.Address != "") != (kind == payment.PrintDocument) || p.Document != "" && p.Address != "":
		return &exit{exitUsage, "--what document needs --document FILE or --address URL, one of them, and no other kind has it"}
	}
	cmd := payment.Command{Verb: payment.VerbPrint, Request: payment.Request{ID: payment.ID(p.Payment)}, Print: kind, Document: p.Address}
	if p.Document != "" {
		b, err := os.ReadFile(p.Document)
		if err != nil {
			return err
		}
		if len(b) > maxDocument {
			return fmt.Errorf("%s has %d bytes; a document has %d at most", p.Document, len(b), maxDocument)
		}
		cmd.Document = string(b)
	}
	return ask(a, p.Terminal, cmd, p.JSON, func(lines []string) {
		if len(lines) == 0 {
			fmt.Fprintln(a.Out, "printed")
		}
		for _, line := range lines {
			fmt.Fprintln(a.Out, printable(line))
		}
	})
}

type restartCmd struct {
	onTerminal
	Deep bool `help:"Restart the whole terminal, not its payment application only."`
}

func (restartCmd) Help() string {
	return `It is refused while a payment is open. The terminal is away for a while; status shows when it is back.

    tillgate restart --terminal front
    tillgate restart --deep`
}

func (r *restartCmd) Run(a *app) error {
	return ask(a, r.Terminal, payment.Command{Verb: payment.VerbRestart, Deep: r.Deep}, r.JSON, func(any) {
		fmt.Fprintln(a.Out, "the terminal restarts")
	})
}
