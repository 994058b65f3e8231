package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"tillgate/internal/control"
	"tillgate/internal/payment"
)

type payCmd struct {
	Amount       string        `arg:"" help:"Amount in the major unit of the terminal's currency, such as 123456 or 10.50."`
	Terminal     string        `help:"Terminal to use; needed where there are several." placeholder:"NAME"`
	Order        string        `help:"The shop's own key: bill, cart, vend. It is not charged twice." placeholder:"TEXT"`
	ID           string        `name:"id" help:"Id of this attempt. Default: a new one. The same id again gives the same answer." placeholder:"ID"`
	Currency     string        `help:"Currency of the amount; refused if it is not the terminal's." placeholder:"CODE"`
	Timeout      time.Duration `help:"How long the customer has to present a card." placeholder:"TIME"`
	FulfilWithin time.Duration `help:"Keep the payment reversible until the goods are granted, this long at most." placeholder:"TIME"`
	Cashback     string        `help:"Part of the amount that is given out in cash, in the major unit." placeholder:"AMOUNT"`
	Merchant     string        `help:"Which of the terminal's merchants is paid, where it has several." placeholder:"ID"`
	Split        bool          `help:"Pay a further part of an order that has been paid in part."`
	JSON         bool          `name:"json" help:"Print the outcome as JSON."`
}

func (payCmd) Help() string {
	return `The id of the payment is printed before anything is sent, so that a lost
answer can be looked up. Ctrl-C asks the terminal to stop; its answer decides.
Ctrl-C twice leaves the payment to the gateway.

Exit status: 0 approved, 1 error or refused (nothing was charged), 3 declined,
cancelled or failed, 4 in doubt (do not charge again: look it up).

    tillgate pay 123456
    tillgate pay 10.50 --terminal front --order bill-77
    tillgate pay 50000 --fulfil-within 60s    # then: tillgate dispense ID
    tillgate pay 50000 --json | jq -r .outcome.result`
}

func (p *payCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	t, err := a.terminal(c, p.Terminal)
	if err != nil {
		return err
	}
	if p.Currency == "" {
		p.Currency = t.Currency
	}
	amount, err := payment.ParseMoney(p.Amount, p.Currency)
	if err != nil {
		return fmt.Errorf("amount %q: %w", p.Amount, err)
	}
	cash, err := cashback(p.Cashback, amount)
	if err != nil {
		return err
	}
	r := payment.Request{
		ID: a.id(p.ID), Cashback: cash, Merchant: p.Merchant, Order: p.Order, Terminal: t.Name, Operation: payment.Purchase, Amount: amount,
		Timeout: payment.InMillis(p.Timeout), FulfilWithin: payment.InMillis(p.FulfilWithin), Split: p.Split,
	}
	fmt.Fprintf(a.Err, "payment %s: %s on %s\n", r.ID, amount, t.Name)
	return a.carryOut(c, payment.Command{Verb: payment.VerbPurchase, Request: r}, p.JSON)
}

type reverseCmd struct {
	Payment string `arg:"" help:"Id of the payment to take back."`
	Amount  string `help:"Take back only this much, in the major unit. Default: all that is left." placeholder:"AMOUNT"`
	ID      string `name:"id" help:"Id of the reversal. Default: a new one." placeholder:"ID"`
	JSON    bool   `name:"json" help:"Print the outcome as JSON."`
}

func (reverseCmd) Help() string {
	return `A reversal is a payment of its own, with its own id and outcome. Exit status
as for pay: 0 means that it was approved, and the money goes back.

    tillgate reverse 01JD3Q8ZK2V5W7X9Y1B4C6D8EF`
}

func (r *reverseCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	req := payment.Request{ID: a.id(r.ID), Operation: payment.Reversal, Original: payment.Reference{Payment: payment.ID(r.Payment)}}
	if r.Amount != "" {
		e, err := c.Entry(a.ctx, req.Original.Payment)
		if err != nil {
			return err
		}
		if req.Amount, err = payment.ParseMoney(r.Amount, e.Payment.Amount.Currency); err != nil {
			return fmt.Errorf("amount %q: %w", r.Amount, err)
		}
	}
	fmt.Fprintf(a.Err, "reversal %s of payment %s\n", req.ID, r.Payment)
	return a.carryOut(c, payment.Command{Verb: payment.VerbReversal, Request: req}, r.JSON)
}

// id is what was given, or a new one.
func (a *app) id(given string) payment.ID {
	if given != "" {
		return payment.ID(given)
	}
	return payment.ID(ulid.Make().String())
}

// terminal finds the terminal a command is for.
func (a *app) terminal(c *control.Client, name string) (control.Terminal, error) {
	all, err := c.Terminals(a.ctx)
	if err != nil {
		return control.Terminal{}, err
	}
	var known []string
	for _, t := range all {
		if t.Name == name || name == "" && len(all) == 1 {
			return t, nil
		}
		known = append(known, t.Name)
	}
	if name == "" {
		return control.Terminal{}, &exit{exitUsage, "there are several terminals: name one with --terminal: " + strings.Join(known, ", ")}
	}
	return control.Terminal{}, fmt.Errorf("there is no terminal %q; there are: %s", name, strings.Join(known, ", "))
}

// carryOut sends a money command, shows what happens, and ends with the exit
// status of its outcome.
func (a *app) carryOut(c *control.Client, cmd payment.Command, asJSONOnly bool) error {
	ctx, cancel := context.WithCancel(a.ctx)
	defer cancel()
	stop := a.abortOnInterrupt(c, cmd.ID, cancel)
	defer stop()

	var reply *payment.Reply
	var last *payment.Record
	for line, err := range c.Follow(ctx, cmd) {
		if err != nil {
			return a.lost(cmd.ID, err)
		}
		switch {
		case line.Reply != nil:
			reply = line.Reply
			if reply.Known {
				fmt.Fprintln(a.Err, "this id has been used before: this is what became of it")
			}
		case line.Progress != nil:
			fmt.Fprintln(a.Err, stageText(*line.Progress))
		case line.Terminal != nil:
			text := string(line.Terminal.Link)
			if line.Terminal.Error != "" {
				text += ": " + payment.Printable(line.Terminal.Error)
			}
			fmt.Fprintf(a.Err, "terminal %s is %s\n", line.Terminal.Name, text)
		case line.Payment != nil:
			last = line.Payment
			if !control.Over(*last) && last.State != payment.StateBegun {
				fmt.Fprintln(a.Err, standing(*last))
			}
		}
	}
	switch {
	case reply == nil:
		return a.lost(cmd.ID, errors.New("there was no answer"))
	case reply.Status == payment.ReplyRefused:
		return a.refused(*reply, asJSONOnly)
	case last == nil || !control.Over(*last):
		return a.lost(cmd.ID, errors.New("the answer broke off"))
	}
	return a.outcome(*last, asJSONOnly)
}

// abortOnInterrupt makes the first Ctrl-C an abort and the second an end.
func (a *app) abortOnInterrupt(c *control.Client, id payment.ID, end func()) (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			if n > 0 {
				end()
				return
			}
			r, err := c.Do(a.ctx, payment.Command{Verb: payment.VerbAbort, Request: payment.Request{ID: id}})
			switch {
			case err != nil:
				fmt.Fprintln(a.Err, "abort:", err)
			case r.Text != "":
				fmt.Fprintln(a.Err, "abort:", payment.Printable(r.Text))
			}
		}
	}()
	return func() { signal.Stop(signals); close(done) }
}

// lost is the end of a money command whose answer did not come.
func (a *app) lost(id payment.ID, err error) error {
	return &exit{exitDoubt, fmt.Sprintf("payment %s: %v\nNobody here knows what becomes of it. Do not charge again; ask for it:\n    tillgate lookup %s", id, err, id)}
}

// refused prints a refusal: nothing happened.
func (a *app) refused(r payment.Reply, asJSONOnly bool) error {
	if asJSONOnly {
		if err := asJSON(a.Out, r); err != nil {
			return err
		}
	}
	return &exit{exitError, fmt.Sprintf("refused (%s): %s", r.Reason, payment.Printable(r.Text)) + wayOut(r.Reason)}
}

// wayOut is what a person can do about a refusal.
func wayOut(r payment.Reason) string {
	switch r {
	case payment.ReasonOffline, payment.ReasonDevice:
		return "\nSee `tillgate status` and `tillgate doctor`."
	case payment.ReasonUnsettled:
		return "\nSee `tillgate status`; a payment in doubt is ended with `tillgate resolve`."
	case payment.ReasonPaused:
		return "\nSell again with `tillgate resume`."
	case payment.ReasonNotFound:
		return "\nSearch with `tillgate journal list`."
	case payment.ReasonReconcile:
		return "\nClose the batch with `tillgate reconcile`."
	}
	return ""
}

// outcome prints how a payment stands, and ends with its exit status.
func (a *app) outcome(r payment.Record, asJSONOnly bool) error {
	if asJSONOnly {
		if err := asJSON(a.Out, r); err != nil {
			return err
		}
	} else {
		fmt.Fprintln(a.Out, sentence(r))
	}
	switch {
	case r.State == payment.StateAuthorised:
		fmt.Fprintf(a.Err, "Goods wait for a grant: tillgate dispense %s\n", r.ID)
	case r.State == payment.StateInDoubt:
		return &exit{exitDoubt, fmt.Sprintf("nobody knows yet whether money moved. Do not charge again.\nThe gateway goes on asking the terminal: tillgate lookup %s\nWhen a person knows (slip, bank): tillgate resolve %s --result approved|failed --by NAME --reason TEXT", r.ID, r.ID)}
	case r.State == payment.StateFinal && r.Outcome.Result == payment.Unreversed && r.Outcome.Pending:
		return &exit{exitDoubt, "the customer has paid and got nothing. The terminal gives the money back when its batch is closed: tillgate reconcile"}
	case r.State == payment.StateFinal && r.Outcome.Result == payment.Unreversed:
		return &exit{exitDoubt, "the money could not be given back from here: give it back by hand, at the counter or through the bank"}
	case r.State == payment.StateFinal && !r.Outcome.Result.Paid():
		return &exit{code: exitNotPaid}
	}
	return nil
}
