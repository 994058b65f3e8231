package cli

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tillgate/internal/config"
	"tillgate/internal/control"
	"tillgate/internal/payment"
)

type journalCmd struct {
	List   listCmd   `cmd:"" default:"withargs" help:"List payments, newest first."`
	Show   showCmd   `cmd:"" help:"Show everything about one payment."`
	Verify verifyCmd `cmd:"" help:"Check the journal while it runs."`
	Backup backupCmd `cmd:"" help:"Copy the journal while it runs."`
	Export exportCmd `cmd:"" help:"Write payments as CSV for a spreadsheet."`
	Adopt  adoptCmd  `cmd:"" help:"Bind the journal of a stopped gateway to this board."`
}

// selection is what payments are searched by.
type selection struct {
	Order    string `help:"Only payments of this order." placeholder:"TEXT"`
	Last4    string `name:"last4" help:"Only cards that end in these four digits." placeholder:"DIGITS"`
	Auth     string `help:"Only this authorisation code." placeholder:"CODE"`
	Terminal string `help:"Only this terminal." placeholder:"NAME"`
	Since    string `help:"Begun then or later: 2026-11-22, 2026-11-22T15:04, or 24h and 7d for that long ago." placeholder:"TIME"`
	Until    string `help:"Begun before then." placeholder:"TIME"`
}

func (s selection) query(limit int) (control.Query, error) {
	q := control.Query{Order: s.Order, Last4: s.Last4, Auth: s.Auth, Terminal: s.Terminal, Limit: limit}
	var err error
	if q.Since, err = readTime("--since", s.Since, time.Now()); err != nil {
		return q, err
	}
	q.Until, err = readTime("--until", s.Until, time.Now())
	return q, err
}

// readTime reads a point in time, local unless it says otherwise, or a length
// of time before now.
func readTime(flag, text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	var ago config.Duration
	if ago.UnmarshalText([]byte(text)) == nil {
		return now.Add(-ago.Std()), nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, &exit{exitUsage, fmt.Sprintf("%s %q is not a time: write 2026-11-22, 2026-11-22T15:04, or 24h or 7d for that long ago", flag, text)}
}

type listCmd struct {
	selection
	Limit int  `default:"50" help:"At most this many." placeholder:"N"`
	JSON  bool `name:"json" help:"Print one record a line as JSON."`
}

func (listCmd) Help() string {
	return `    tillgate journal list --since 24h
    tillgate journal list --last4 6163 --auth 004512
    tillgate journal list --order bill-77 --json`
}

func (l *listCmd) Run(a *app) error {
	q, err := l.query(l.Limit)
	if err != nil {
		return err
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	rows := [][]string{{"BEGUN", "ID", "TERMINAL", "WHAT", "AMOUNT", "OUTCOME", "CARD", "AUTH", "ORDER"}}
	for r, err := range c.History(a.ctx, q) {
		switch {
		case err != nil:
			return err
		case l.JSON:
			if err := asJSON(a.Out, r); err != nil {
				return err
			}
		default:
			rows = append(rows, []string{
				r.Started.Time.Local().Format(time.DateTime), string(r.ID), r.Terminal, string(r.Operation), r.Amount.String(),
				standing(r), r.Outcome.Card.PAN.Last4(), payment.Printable(r.Outcome.Reference.Auth), payment.Printable(r.Order),
			})
		}
	}
	switch {
	case l.JSON:
	case len(rows) == 1:
		fmt.Fprintln(a.Err, "no payment is like that")
	default:
		columns(a.Out, rows)
		if len(rows) > l.Limit {
			fmt.Fprintf(a.Err, "the newest %d; more with --limit\n", l.Limit)
		}
	}
	return nil
}

type showCmd struct{ about }

func (s *showCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	e, err := c.Entry(a.ctx, payment.ID(s.Payment))
	if err != nil {
		if r := payment.ReasonOf(err); r != "" {
			return fmt.Errorf("%w%s", err, wayOut(r))
		}
		return err
	}
	if s.JSON {
		return asJSON(a.Out, e)
	}
	a.showEntry(e)
	return nil
}

func (a *app) showEntry(e control.Entry) {
	r, o := e.Payment, e.Payment.Outcome
	rows := [][]string{}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, payment.Printable(value)})
		}
	}
	add("payment", string(r.ID))
	add("stands", sentence(r))
	add("order", r.Order)
	add("terminal", r.Terminal)
	add("asked", r.Amount.String())
	add("original", string(r.Original.Payment))
	add("begun", moment(r.Started))
	add("attempt", r.Attempt)
	add("scheme", o.Card.Scheme)
	add("entry", string(o.Card.Entry))
	add("STAN", o.Reference.STAN)
	add("RRN", o.Reference.RRN)
	add("TID, MID", join2(o.Reference.TID, o.Reference.MID))
	add("batch", o.Reference.Batch)
	add("known from", string(o.Source))
	add("taken back", r.TakenBack.String())
	if v := r.Resolution; v != nil {
		add("resolved", fmt.Sprintf("%s by %s: %s", v.Result, v.By, v.Reason))
	}
	if v := r.Contradicted; v != nil {
		add("CONTRADICTED", fmt.Sprintf("the terminal says %s %s", v.Result, v.Amount))
	}
	columns(a.Out, rows)
	fmt.Fprintln(a.Out)
	rows = [][]string{}
	for _, s := range e.Steps {
		note := s.Reason
		if s.Outcome != nil {
			note = fmt.Sprintf("%s %s (%s) %s", s.Outcome.Result, s.Outcome.Amount, s.Outcome.Source, note)
		}
		if s.By != "" {
			note += " by " + s.By
		}
		rows = append(rows, []string{moment(s.At), string(s.Kind), payment.Printable(note)})
	}
	columns(a.Out, rows)
	if len(o.Receipt) > 0 {
		fmt.Fprintln(a.Out)
		for _, line := range o.Receipt {
			fmt.Fprintln(a.Out, "    "+payment.Printable(line))
		}
	}
}

func join2(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

type verifyCmd struct {
	JSON bool `name:"json" help:"Print what was found as JSON."`
}

func (verifyCmd) Help() string { return `Exit status 0 if all is well, 1 if something is damaged.` }

func (v *verifyCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	k, err := c.Verify(a.ctx)
	if err != nil {
		return err
	}
	if v.JSON {
		err = asJSON(a.Out, k)
	} else {
		fmt.Fprintf(a.Out, "%s, %s (%d not over), %s, %d bytes\n", plural(int(k.Segments), "segment"), plural(int(k.Payments), "payment"), k.Open, plural(int(k.Events), "event"), k.Bytes)
		for _, f := range k.Faults {
			fmt.Fprintf(a.Out, "segment %d: %s\n", f.Segment, payment.Printable(f.Text))
		}
	}
	if err == nil && !k.OK {
		return &exit{exitError, fmt.Sprintf("the journal is damaged (%s): stop selling, copy its folder away, and restore a backup", plural(len(k.Faults), "fault"))}
	}
	return err
}

type backupCmd struct {
	Dir string `arg:"" help:"Folder to make. It must not exist."`
}

func (backupCmd) Help() string {
	return `The gateway writes the copy, as its own user: the folder's parent must be
writable for it. A copy that breaks off leaves nothing. It is a journal
itself, and has no card numbers.

    tillgate journal backup /mnt/usb/kiosk-1`
}

func (b *backupCmd) Run(a *app) error {
	dir, err := filepath.Abs(b.Dir)
	if err != nil {
		return err
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := c.Backup(a.ctx, dir); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, dir)
	return nil
}

// writeWhole makes a file that is complete or not there.
func writeWhole(name string, write func(io.Writer) (int64, error)) (n int64, err error) {
	if !missing(name) {
		return 0, fmt.Errorf("write %s: there is a file of that name already: choose another one", name)
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	if n, err = write(f); err != nil {
		return 0, err
	}
	if err := f.Sync(); err != nil {
		return 0, err
	}
	return n, os.Link(f.Name(), name) // unlike rename it never replaces
}
