package cli

import (
	"fmt"
	"os"
	"os/user"

	"tillgate/internal/payment"
)

type about struct {
	Payment string `arg:"" help:"Id of the payment."`
	JSON    bool   `name:"json" help:"Print the reply as JSON."`
}

func (p about) request() payment.Request { return payment.Request{ID: payment.ID(p.Payment)} }

type lookupCmd struct{ about }

func (lookupCmd) Help() string {
	return `Exit status: 0 approved, 1 there is no such payment, 3 not paid, 4 in doubt or
not over yet.

    tillgate lookup 01JD3Q8ZK2V5W7X9Y1B4C6D8EF`
}

func (l *lookupCmd) Run(a *app) error {
	r, err := a.do(payment.Command{Verb: payment.VerbLookup, Request: l.request()})
	if err != nil {
		return err
	}
	if r.Status == payment.ReplyRefused || r.Payment == nil {
		return a.refused(r, l.JSON)
	}
	if r.Payment.State == payment.StateBegun || r.Payment.State == payment.StateOwed {
		if l.JSON {
			err = asJSON(a.Out, r.Payment)
		} else {
			_, err = fmt.Fprintln(a.Out, sentence(*r.Payment))
		}
		if err != nil {
			return err
		}
		return &exit{exitDoubt, "it is not over yet: ask again"}
	}
	return a.outcome(*r.Payment, l.JSON)
}

type abortCmd struct{ about }

func (c *abortCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbAbort, Request: c.request()}, c.JSON)
}

type dispenseCmd struct{ about }

func (dispenseCmd) Help() string {
	return `The grant is given once for each payment. Exit status 0 means: give the goods
now. A repeat is answered with already-granted and exit status 3.`
}

func (c *dispenseCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbDispense, Request: c.request()}, c.JSON)
}

type commitCmd struct{ about }

func (c *commitCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbCommit, Request: c.request()}, c.JSON)
}

type rollbackCmd struct {
	about
	Reason string `help:"Why the goods were not given." placeholder:"TEXT"`
}

func (c *rollbackCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbRollback, Request: c.request(), Reason: c.Reason}, c.JSON)
}

type resolveCmd struct {
	about
	Result string `required:"" enum:"approved,declined,failed,reversed" help:"What really became of it: approved, declined, failed or reversed." placeholder:"RESULT"`
	By     string `help:"Who says so. Default: the user who is logged in." placeholder:"NAME"`
	Reason string `required:"" help:"How it is known: slip, bank's list, a call." placeholder:"TEXT"`
	Force  bool   `help:"Say \"not paid\" although the terminal was not asked since the doubt began."`
}

func (resolveCmd) Help() string {
	return `A resolution ends the block of the terminal, and is kept in the journal with
name and reason. The terminal is still asked at the next connection; if it
contradicts, there is an alert and nothing is overwritten.

    tillgate resolve 01JD3Q8ZK2V5W7X9Y1B4C6D8EF --result approved --by "Lan" --reason "slip 000042 is signed"`
}

func (c *resolveCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbResolve, Request: c.request(), Result: payment.Result(c.Result), By: who(c.By), Reason: c.Reason, Force: c.Force}, c.JSON)
}

type onTerminal struct {
	Terminal string `help:"Terminal to use; needed where there are several." placeholder:"NAME"`
	JSON     bool   `name:"json" help:"Print the reply as JSON."`
}

type reconcileCmd struct {
	onTerminal
	Merchant string `help:"Which of the terminal's merchants, where each has a batch." placeholder:"ID"`
	ID       string `name:"id" help:"Id of the reconciliation. Default: a new one." placeholder:"ID"`
}

func (reconcileCmd) Help() string {
	return `It is refused while the terminal has anything unfinished, in doubt or owed.
Exit status as for pay.`
}

func (r *reconcileCmd) Run(a *app) error {
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	t, err := a.terminal(c, r.Terminal)
	if err != nil {
		return err
	}
	req := payment.Request{ID: a.id(r.ID), Terminal: t.Name, Merchant: r.Merchant, Operation: payment.Reconciliation}
	fmt.Fprintf(a.Err, "reconciliation %s on %s\n", req.ID, t.Name)
	return a.carryOut(c, payment.Command{Verb: payment.VerbReconcile, Request: req}, r.JSON)
}

type pauseCmd struct {
	Terminal string `help:"Terminal to pause. Default: all." placeholder:"NAME"`
	By       string `help:"Who wants it. Default: the user who is logged in." placeholder:"NAME"`
	Reason   string `help:"Why." placeholder:"TEXT"`
	JSON     bool   `name:"json" help:"Print the reply as JSON."`
}

func (pauseCmd) Help() string {
	return `A payment that is running goes on. The pause lasts until resume, over restarts
and power cuts; status says who paused and why.

    tillgate pause --terminal front --reason "paper is out"`
}

func (p *pauseCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbPause, Request: payment.Request{Terminal: p.Terminal}, By: who(p.By), Reason: p.Reason}, p.JSON)
}

type resumeCmd struct {
	Terminal string `help:"Terminal that sells again. Default: all." placeholder:"NAME"`
	By       string `help:"Who wants it. Default: the user who is logged in." placeholder:"NAME"`
	Reason   string `help:"Why." placeholder:"TEXT"`
	JSON     bool   `name:"json" help:"Print the reply as JSON."`
}

func (resumeCmd) Help() string {
	return `    tillgate resume --terminal front --reason "new paper"`
}

func (p *resumeCmd) Run(a *app) error {
	return a.simple(payment.Command{Verb: payment.VerbResume, Request: payment.Request{Terminal: p.Terminal}, By: who(p.By), Reason: p.Reason}, p.JSON)
}

// who is the name given, or that of the user.
func who(given string) string {
	if given != "" {
		return given
	}
	if u, err := user.Current(); err == nil && u.Username != "" {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// do sends one command to the running gateway.
func (a *app) do(c payment.Command) (payment.Reply, error) {
	client, err := a.dial()
	if err != nil {
		return payment.Reply{}, err
	}
	defer client.Close()
	return client.Do(a.ctx, c)
}

// simple sends a command that is done when it is answered.
func (a *app) simple(c payment.Command, asJSONOnly bool) error {
	r, err := a.do(c)
	if err != nil {
		return err
	}
	if r.Status == payment.ReplyRefused {
		return a.refused(r, asJSONOnly)
	}
	if asJSONOnly {
		err = asJSON(a.Out, r)
	} else {
		text := string(r.Status)
		if r.Text != "" {
			text += ": " + payment.Printable(r.Text)
		}
		_, err = fmt.Fprintln(a.Out, text)
	}
	if err == nil && r.Status == payment.ReplyAlreadyGranted {
		return &exit{exitNotPaid, "the goods were granted before: do not give them again"}
	}
	return err
}
