package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// asJSON writes one value on one line.
func asJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

var stages = map[payment.Stage]string{
	payment.StageIdle:        "the terminal is idle",
	payment.StageWaitingCard: "waiting for the card",
	payment.StagePIN:         "waiting for the PIN",
	payment.StageHost:        "asking the bank",
	payment.StagePrinting:    "printing",
	payment.StageRemoveCard:  "remove the card",
}

func stageText(p payment.Progress) string {
	text, ok := stages[p.Stage]
	if !ok {
		text = string(p.Stage)
	}
	if p.Vendor.Text != "" {
		text += " (" + payment.Printable(p.Vendor.Text) + ")"
	}
	return text
}

// standing is how a payment stands, in a word or two.
func standing(r payment.Record) string {
	if r.State == payment.StateFinal {
		return string(r.Outcome.Result)
	}
	return string(r.State)
}

// sentence is a payment on one line, for a person.
func sentence(r payment.Record) string {
	o := r.Outcome
	amount := o.Amount
	if amount.IsZero() {
		amount = r.Amount
	}
	s := strings.TrimSpace(standing(r) + " " + amount.String()) // a reconciliation has none
	if r.Operation != payment.Purchase {
		s = string(r.Operation) + " " + s
	}
	var facts []string
	add := func(name, value string) {
		if value != "" {
			facts = append(facts, strings.TrimSpace(name+" "+payment.Printable(value)))
		}
	}
	add("card", o.Card.PAN.String())
	add("authorisation", o.Reference.Auth)
	add("receipt", o.Reference.Receipt)
	add("RRN", o.Reference.RRN)
	if o.Result != "" && !o.Result.Paid() && o.Result != payment.Reversed { // why not
		add("bank says", o.Response)
		add("", string(o.Condition))
		add("terminal says", strings.TrimSpace(o.Vendor.Code+" "+o.Vendor.Text))
	}
	if r.Test {
		add("", "simulated")
	}
	if len(facts) > 0 {
		s += " (" + strings.Join(facts, ", ") + ")"
	}
	if o.Text != "" && o.Text != string(o.Result) {
		s += ": " + payment.Printable(o.Text)
	}
	return s
}

func moment(m payment.Moment) string {
	if m.Time.IsZero() {
		return ""
	}
	s := m.Time.Local().Format(time.DateTime)
	if m.Clock == payment.ClockUnsynced {
		s += " (clock not synchronised)"
	}
	return s
}

// columns writes rows with their columns under each other.
func columns(w io.Writer, rows [][]string) {
	var width []int
	for _, row := range rows {
		for i, cell := range row {
			if i == len(width) {
				width = append(width, 0)
			}
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	for _, row := range rows {
		var line strings.Builder
		for i, cell := range row {
			line.WriteString(cell)
			if i < len(row)-1 {
				line.WriteString(strings.Repeat(" ", width[i]-len([]rune(cell))+2))
			}
		}
		fmt.Fprintln(w, strings.TrimRight(line.String(), " "))
	}
}
