package cli

import (
	"fmt"

	"tillgate/internal/payment"
)

type refundCmd struct {
	Payment  string `arg:"" optional:"" help:"Id of the payment to give back."`
	Amount   string `help:"How much, in the major unit. Default: all of the payment that was not reversed." placeholder:"AMOUNT"`
	RRN      string `name:"rrn" help:"Retrieval reference number of a payment that this box does not have; needs --amount." placeholder:"NUMBER"`
	Terminal string `help:"Terminal to use; needed with --rrn where there are several." placeholder:"NAME"`
	ID       string `name:"id" help:"Id of the refund. Default: a new one." placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print the outcome as JSON."`
}

func (refundCmd) Help() string {
	return `A refund is a payment of its own, the other way: it works when the batch is closed and the payment can no longer be reversed. Some terminals want the card again. It is never repeated after a lost answer: look it up. Exit status as for pay: 0 means that the money goes back.

    tillgate refund 01JD3Q8ZK2V5W7X9Y1B4C6D8EF
    tillgate refund 01JD3Q8ZK2V5W7X9Y1B4C6D8EF --amount 5.50
    tillgate refund --rrn 401122334455 --amount 5.50 --terminal front`
}

func (r *refundCmd) Run(a *app) error {
	if (r.Payment == "") == (r.RRN == "") || r.Payment == "" && r.Amount == "" {
		return &exit{exitUsage, "say what is given back: tillgate refund ID, or tillgate refund --rrn NUMBER --amount AMOUNT"}
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	req := payment.Request{ID: a.id(r.ID), Operation: payment.Refund, Terminal: r.Terminal}
	currency, what := "", "the payment with RRN "+r.RRN
	if r.Payment != "" {
		e, err := c.Entry(a.ctx, payment.ID(r.Payment))
		if err != nil {
			return err
		}
		req.Original.Payment, req.Terminal = e.Payment.ID, e.Payment.Terminal
		req.Amount, what = e.Payment.Outcome.Amount, "payment "+r.Payment
		req.Amount.Minor -= e.Payment.TakenBack.Minor
		currency = e.Payment.Amount.Currency
	} else {
		t, err := a.terminal(c, r.Terminal)
		if err != nil {
			return err
		}
		req.Original.RRN, req.Terminal, currency = r.RRN, t.Name, t.Currency
	}
	if r.Amount != "" {
		if req.Amount, err = payment.ParseMoney(r.Amount, currency); err != nil {
			return fmt.Errorf("amount %q: %w", r.Amount, err)
		}
	}
	fmt.Fprintf(a.Err, "refund %s: %s of %s\n", req.ID, req.Amount, what)
	return a.carryOut(c, payment.Command{Verb: payment.VerbRefund, Request: req}, r.JSON)
}

type balanceCmd struct {
	onTerminal
	ID string `name:"id" help:"Id of the inquiry. Default: a new one." placeholder:"ID"`
}

func (balanceCmd) Help() string {
	return `The customer presents a card; no money moves. Exit status as for pay.

    tillgate balance --terminal front`
}

func (b *balanceCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	t, err := a.terminal(c, b.Terminal)
	if err != nil {
		return err
	}
	req := payment.Request{ID: a.id(b.ID), Terminal: t.Name, Operation: payment.Balance}
	fmt.Fprintf(a.Err, "balance inquiry %s on %s\n", req.ID, t.Name)
	return a.carryOut(c, payment.Command{Verb: payment.VerbBalance, Request: req}, b.JSON)
}
