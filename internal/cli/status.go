package cli

import (
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

type statusCmd struct {
	JSON bool `name:"json" help:"Print the status as JSON."`
}

func (statusCmd) Help() string {
	return `Exit status 0 if at least one terminal can sell, else 3.

    tillgate status --json | jq -r '.terminals[] | [.name, .status] | @tsv'`
}

func (s *statusCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	st, err := c.Status(a.ctx)
	if err != nil {
		return err
	}
	if s.JSON {
		err = asJSON(a.Out, st)
	} else {
		a.showStatus(st)
	}
	if err == nil && !st.Sellable {
		return &exit{code: exitNotPaid}
	}
	return err
}

func (a *app) showStatus(st payment.Status) {
	switch {
	case st.Stopping:
		fmt.Fprintln(a.Out, "stopping")
	case st.Sellable:
		fmt.Fprintln(a.Out, "selling")
	default:
		fmt.Fprintln(a.Out, "not selling:", join(st.Reasons))
	}
	rows := [][]string{{"TERMINAL", "DRIVER", "LINK", "STATE", "SELLS", "PAYMENT", ""}}
	for _, t := range st.Terminals {
		sells, note := "yes", ""
		if !t.Sellable {
			sells = "no: " + join(t.Reasons)
		}
		if t.Paused != "" {
			note = "paused by " + payment.Printable(t.Paused)
		}
		if t.Error != "" {
			note = payment.Printable(t.Error)
		}
		if t.Test {
			note = strings.TrimSpace("simulated " + note)
		}
		rows = append(rows, []string{t.Name, t.Driver, string(t.Link), string(t.Stage), sells, string(t.Payment), note})
	}
	columns(a.Out, rows)
	for _, t := range st.Terminals {
		if t.Next != "" {
			fmt.Fprintf(a.Out, "%s: %s\n", t.Name, t.Next)
		}
		if t.Recovery != "" {
			fmt.Fprintf(a.Out, "%s: last step of recovery: %s\n", t.Name, payment.Printable(t.Recovery))
		}
	}
	for _, al := range st.Alerts {
		fmt.Fprintf(a.Out, "ALERT %s since %s: %s\n", al.Code, al.Since.Local().Format("2006-01-02 15:04"), payment.Printable(al.Text))
		for _, id := range al.IDs {
			fmt.Fprintf(a.Out, "    tillgate journal show %s\n", id)
		}
	}
}

func join(rs []payment.Reason) string {
	texts := make([]string, len(rs))
	for i, r := range rs {
		texts[i] = string(r)
	}
	return strings.Join(texts, ", ")
}
