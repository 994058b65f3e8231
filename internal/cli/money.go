package cli

import (
	"errors"
	"fmt"

	"tillgate/internal/payment"
)

// moneyCmd is what the commands that move money, pay and reverse apart, have in
// common. All end with the exit status of pay.
type moneyCmd struct {
	Terminal string `help:"Terminal to use; needed where there are several." placeholder:"NAME"`
	Merchant string `help:"Which of the terminal's merchants, where it has several." placeholder:"ID"`
	ID       string `name:"id" help:"Id of this attempt. Default: a new one. The same id again gives the same answer." placeholder:"ID"`
	JSON     bool   `name:"json" help:"Print the outcome as JSON."`
}

// start sends a money command. amount is "" where there is none.
func (m moneyCmd) start(a *app, verb payment.Verb, amount string, edit func(*payment.Request)) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	t, err := a.terminal(c, m.Terminal)
	if err != nil {
		return err
	}
	r := payment.Request{ID: a.id(m.ID), Terminal: t.Name, Merchant: m.Merchant}
	if amount != "" {
		if r.Amount, err = payment.ParseMoney(amount, t.Currency); err != nil {
			return fmt.Errorf("amount %q: %w", amount, err)
		}
	}
	if edit != nil {
		edit(&r)
	}
	r.Operation, _ = verb.Operation()
	what := ""
	if !r.Amount.IsZero() {
		what = " of " + r.Amount.String()
	}
	fmt.Fprintf(a.Err, "%s %s%s on %s\n", verb, r.ID, what, t.Name)
	return a.carryOut(c, payment.Command{Verb: verb, Request: r}, m.JSON)
}

type refundCmd struct {
	Amount string `arg:"" help:"Amount in the major unit of the terminal's currency."`
	Of     string `help:"Id of the payment that is refunded, where it is in this journal." placeholder:"ID"`
	RRN    string `name:"rrn" help:"RRN on its slip, where it is not." placeholder:"NUMBER"`
	moneyCmd
}

func (refundCmd) Help() string {
	return `A refund needs the card, and works after the batch was closed; before that,
reverse. Exit status as for pay.

    tillgate refund 10.50 --of 01JD3Q8ZK2V5W7X9Y1B4C6D8EF
    tillgate refund 10.50 --rrn 519718000159`
}

func (c *refundCmd) Run(a *app) error {
	if (c.Of == "") == (c.RRN == "") {
		return &exit{exitUsage, "say which payment: --of ID, or --rrn NUMBER"}
	}
	return c.start(a, payment.VerbRefund, c.Amount, func(r *payment.Request) {
		r.Original = payment.Reference{Payment: payment.ID(c.Of), RRN: c.RRN}
	})
}

type preauthorizeCmd struct {
	Amount string `arg:"" help:"Amount to reserve, in the major unit of the terminal's currency."`
	Order  string `help:"The shop's own key: room, rental, vend." placeholder:"TEXT"`
	moneyCmd
}

func (preauthorizeCmd) Help() string {
	return `What is reserved is taken with complete, or released with reverse.

    tillgate preauthorize 500.00
    tillgate complete 01JD3Q8ZK2V5W7X9Y1B4C6D8EF 420.00`
}

func (c *preauthorizeCmd) Run(a *app) error {
	return c.start(a, payment.VerbPreauthorization, c.Amount, func(r *payment.Request) { r.Order = c.Order })
}

type completeCmd struct {
	Payment string `arg:"" help:"Id of the preauthorization."`
	Amount  string `arg:"" help:"Amount to take, in the major unit of the terminal's currency."`
	moneyCmd
}

func (c *completeCmd) Run(a *app) error {
	return c.start(a, payment.VerbCompletion, c.Amount, func(r *payment.Request) { r.Original.Payment = payment.ID(c.Payment) })
}

type cashAdvanceCmd struct {
	Amount string `arg:"" help:"Amount to give out, in the major unit of the terminal's currency."`
	moneyCmd
}

func (c *cashAdvanceCmd) Run(a *app) error {
	return c.start(a, payment.VerbCashAdvance, c.Amount, nil)
}

type depositCmd struct {
	Amount string `arg:"" help:"Amount to pay in, in the major unit of the terminal's currency."`
	moneyCmd
}

func (c *depositCmd) Run(a *app) error { return c.start(a, payment.VerbDeposit, c.Amount, nil) }

type balanceCmd struct{ moneyCmd }

func (balanceCmd) Help() string {
	return `The customer presents a card. Some terminals show the balance to the customer
only.`
}

func (c *balanceCmd) Run(a *app) error { return c.start(a, payment.VerbBalance, "", nil) }

// cashback reads the part of a payment that is given out in cash.
func cashback(text string, of payment.Money) (payment.Money, error) {
	if text == "" {
		return payment.Money{}, nil
	}
	m, err := payment.ParseMoney(text, of.Currency)
	if err != nil {
		return m, fmt.Errorf("cashback %q: %w", text, err)
	}
	if m.Minor >= of.Minor {
		return m, errors.New("cashback: the amount has it within, and must be more")
	}
	return m, nil
}
