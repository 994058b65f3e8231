package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"tillgate/internal/payment"
	"tillgate/link"
)

type totalsCmd struct{ onTerminal }

func (c *totalsCmd) Run(a *app) error {
	return a.question(payment.Command{Verb: payment.VerbTotals, Request: payment.Request{Terminal: c.Terminal}}, c.JSON, showTotals)
}

func showTotals(w io.Writer, result []byte) error {
	var all []link.Total
	if err := json.Unmarshal(result, &all); err != nil {
		return err
	}
	for _, t := range all {
		if _, err := fmt.Fprintf(w, "%-18s %6d  %s\n", t.Operation, t.Count, t.Amount); err != nil {
			return err
		}
	}
	return nil
}

type diagnoseCmd struct {
	onTerminal
	Host bool `help:"Ask whether the terminal reaches its bank, too. Refused while a payment is unsettled: some terminals forget their last payment over it."`
}

func (c *diagnoseCmd) Run(a *app) error {
	return a.question(payment.Command{Verb: payment.VerbDiagnose, Request: payment.Request{Terminal: c.Terminal}, Host: c.Host}, c.JSON, showDiagnosis)
}

func showDiagnosis(w io.Writer, result []byte) error {
	var d link.Diagnosis
	if err := json.Unmarshal(result, &d); err != nil {
		return err
	}
	rows := map[string]string{"identity": d.Identity, "batch": d.Batch, "cannot sell": string(d.Blocked)}
	maps.Copy(rows, d.Facts)
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		if rows[name] == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-16s %s\n", name, payment.Printable(rows[name])); err != nil {
			return err
		}
	}
	return nil
}

type printCmd struct {
	What string `arg:"" enum:"receipt,totals,reconciliation,journal,document" help:"receipt, totals, reconciliation, journal or document."`
	Of   string `arg:"" optional:"" help:"Id of the payment, of a receipt; file, or address that the terminal opens, of a document."`
	onTerminal
}

func (printCmd) Help() string {
	return `What does not come out of the terminal is printed here.

    tillgate print receipt 01JD3Q8ZK2V5W7X9Y1B4C6D8EF
    tillgate print journal
    tillgate print document menu.xml
    tillgate print document https://shop.example/menu.pdf`
}

func (c *printCmd) Run(a *app) error {
	cmd := payment.Command{Verb: payment.VerbPrint, Request: payment.Request{Terminal: c.Terminal}, Print: payment.PrintKind(c.What)}
	switch needs := cmd.Print == payment.PrintReceipt || cmd.Print == payment.PrintDocument; {
	case needs && c.Of == "":
		return &exit{exitUsage, "say what to print: tillgate print receipt ID, or tillgate print document FILE"}
	case !needs && c.Of != "":
		return &exit{exitUsage, "there is one " + c.What + " only: leave out " + c.Of}
	case cmd.Print == payment.PrintReceipt:
		cmd.ID = payment.ID(c.Of)
	case needs:
		cmd.Document = c.Of
		if text, err := os.ReadFile(c.Of); err == nil {
			cmd.Document = string(text)
		}
	}
	return a.question(cmd, c.JSON, showLines)
}

func showLines(w io.Writer, result []byte) error {
	var lines []string
	if err := json.Unmarshal(result, &lines); err != nil {
		return err
	}
	if lines == nil {
		lines = []string{"printed by the terminal"}
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, payment.Printable(line)); err != nil {
			return err
		}
	}
	return nil
}

type restartCmd struct {
	onTerminal
	Deep bool `help:"The whole terminal, not its payment application only."`
}

func (restartCmd) Help() string {
	return `It is refused while a payment is unsettled, and while the terminal asks its
bank. A terminal that hangs at a payment is restarted by the gateway itself,
where its protocol can: see recovery in the configuration.`
}

func (c *restartCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbRestart, Request: payment.Request{Terminal: c.Terminal}, Deep: c.Deep}, c.JSON)
}

// question asks a terminal something and shows the answer.
func (a *app) question(c payment.Command, asJSONOnly bool, show func(io.Writer, []byte) error) error {
	r, err := a.do(c)
	if err != nil {
		return err
	}
	if r.Status == payment.ReplyRefused {
		return a.refused(r, asJSONOnly)
	}
	if asJSONOnly {
		return asJSON(a.Out, r)
	}
	b, err := json.Marshal(r.Result)
	if err != nil {
		return err
	}
	return show(a.Out, b)
}
