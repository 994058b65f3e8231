package cli

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/control"
	"tillgate/internal/payment"
)

type exportCmd struct {
	selection
	CSV  bool   `name:"csv" required:"" help:"As CSV (RFC 4180, UTF-8, one line of headings)."`
	File string `arg:"" default:"-" help:"File to write; '-' for standard output. It must not exist."`
}

func (exportCmd) Help() string {
	return `A text that a spreadsheet would take for a formula gets an apostrophe in
front, since orders come from outside.

    tillgate journal export --csv --since 2026-11-01 november.csv`
}

func (e *exportCmd) Run(a *app) error {
	q, err := e.query(control.MaxLimit)
	if err != nil {
		return err
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	write := func(w io.Writer) (int64, error) {
		out := csv.NewWriter(w)
		_ = out.Write(headings) // Error below has it
		for r, err := range c.History(a.ctx, q) {
			if err != nil {
				return 0, err
			}
			_ = out.Write(csvRow(r))
		}
		out.Flush()
		return 0, out.Error()
	}
	if e.File == "-" {
		_, err = write(a.Out)
	} else {
		_, err = writeWhole(e.File, write)
	}
	return err
}

var headings = []string{
	"begun", "clock", "id", "terminal", "operation", "order", "amount", "currency", "minor", "state", "result", "charged", "taken_back",
	"card", "scheme", "auth_code", "rrn", "stan", "tid", "mid", "batch", "receipt", "response_code", "original", "resolved_by", "test",
}

func csvRow(r payment.Record) []string {
	o := r.Outcome
	by := ""
	if r.Resolution != nil {
		by = r.Resolution.By
	}
	row := []string{
		r.Started.Time.UTC().Format(time.RFC3339), string(r.Started.Clock), string(r.ID), r.Terminal, string(r.Operation), r.Order,
		decimal(r.Amount), r.Amount.Currency, strconv.FormatInt(r.Amount.Minor, 10), string(r.State), string(o.Result), decimal(o.Amount), decimal(r.TakenBack),
		o.Card.PAN.Last4(), o.Card.Scheme, o.Reference.Auth, o.Reference.RRN, o.Reference.STAN, o.Reference.TID, o.Reference.MID, o.Reference.Batch, o.Reference.Receipt,
		o.Response, string(r.Original.Payment), by, strconv.FormatBool(r.Test),
	}
	for i, cell := range row {
		row[i] = harmless(payment.Printable(cell))
	}
	return row
}

func decimal(m payment.Money) string {
	if m.IsZero() {
		return ""
	}
	return m.Decimal()
}

// harmless keeps a spreadsheet from running a cell as a formula.
func harmless(cell string) string {
	if cell != "" && strings.ContainsAny(cell[:1], "=+-@") {
		return "'" + cell
	}
	return cell
}
