package cli

import (
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/config"
	"tillgate/link"
)

type configCmd struct {
	Check   checkCmd   `cmd:"" help:"Check a configuration, with its secrets, without starting anything."`
	Example exampleCmd `cmd:"" help:"Print a configuration with every key explained."`
	Schema  schemaCmd  `cmd:"" help:"Print the JSON Schema of the configuration, for editors."`
}

type checkCmd struct {
	File string `arg:"" optional:"" help:"File to check. Default: the one --config names."`
	JSON bool   `name:"json" help:"Print the problems as JSON."`
}

func (checkCmd) Help() string {
	return `Every problem is told at once, each with file, line and key. Exit status 1 if
there is one.

    tillgate config check /etc/tillgate/tillgate.yaml`
}

func (c *checkCmd) Run(a *app) error {
	if c.File == "" {
		c.File = a.table.Config
	}
	conf, err := config.Load(c.File, a.drivers)
	problems, known := errors.AsType[config.Problems](err)
	switch {
	case err != nil && !known && !c.JSON:
		return err
	case err != nil && !known:
		problems = config.Problems{{File: c.File, Text: err.Error()}}
	case err == nil:
		problems = append(conf.Absent, unopened(conf)...)
	}
	if c.JSON {
		if problems == nil {
			problems = config.Problems{}
		}
		if err := asJSON(a.Out, struct {
			OK       bool            `json:"ok"`
			Problems config.Problems `json:"problems"`
		}{len(problems) == 0, problems}); err != nil {
			return err
		}
	}
	if len(problems) > 0 {
		if !c.JSON {
			fmt.Fprintln(a.Out, problems)
		}
		return &exit{exitError, plural(len(problems), "problem")}
	}
	if !c.JSON {
		var terminals []string
		for _, t := range conf.Terminals {
			terminals = append(terminals, t.Name+" ("+t.Driver+", "+place(t)+")")
		}
		fmt.Fprintf(a.Out, "%s: good. Box %s, terminals: %s\n", c.File, conf.Box, strings.Join(terminals, ", "))
	}
	return nil
}

// unopened are the senders with whose settings nobody could listen.
func unopened(c config.Config) (all config.Problems) {
	for i, s := range c.Notify.Senders {
		if _, err := s.Spec.Notify.Open(link.NotifyConfig{Name: s.Name, Currency: s.Currency, Settings: s.Settings}); err != nil {
			all = append(all, config.Problem{File: c.File, Path: fmt.Sprintf("notify.senders[%d].profile", i), Text: err.Error()})
		}
	}
	return all
}

// place is where a terminal is, and how its line will be set.
func place(t config.Terminal) string {
	a, err := t.Spec.Address(t.Address)
	if err != nil || a.Line() == "" {
		return t.Address
	}
	return t.Address + " at " + a.Line()
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

type exampleCmd struct{}

func (exampleCmd) Help() string {
	return `    tillgate config example | sudo tee /etc/tillgate/tillgate.yaml`
}

func (exampleCmd) Run(a *app) error {
	_, err := a.Out.Write(config.Example(a.drivers))
	return err
}

type schemaCmd struct{}

func (schemaCmd) Run(a *app) error {
	b, err := config.Schema(a.drivers)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.Out, "%s\n", b)
	return err
}
