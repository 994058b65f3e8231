package command

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Program is a table that was read. It is for one command line: what is parsed
// goes into the table.
type Program struct {
	root   *cobra.Command
	called any
}

// Error is a command line that was not understood.
type Error struct {
	Command string // what was reached before it, like "tillgate firmware sign"
	err     error
}

func (e *Error) Error() string { return strings.TrimSpace(e.err.Error()) }
func (e *Error) Unwrap() error { return e.err }

// New reads the table, which is a pointer to a struct. Its errors are faults of
// the table. The words are what ${name} stands for in help. Help is written to
// out, in lines of at most width characters where words allow it.
func New(name, help string, table any, words map[string]string, out io.Writer, width int) (*Program, error) {
	p := &Program{}
	p.root = p.command(name, help)
	p.root.SetOut(out)
	p.root.SetErr(io.Discard) // errors are the caller's to tell
	p.root.SetHelpFunc(func(c *cobra.Command, _ []string) { explain(c, max(width, 40)) })
	b := &builder{program: p, words: words}
	if err := b.read(p.root, reflect.ValueOf(table).Elem()); err != nil {
		return nil, err
	}
	p.completion()
	p.help()
	return p, nil
}

// Version adds the flag --version, which writes one line with the text.
func (p *Program) Version(text string) {
	p.root.Version = text
	p.root.InitDefaultVersionFlag()
	p.root.Flags().Lookup("version").Usage = "Tell the version."
}

// help is cobra's command that explains another one. cobra would explain the whole
// program where there is no such command, as if all were well.
func (p *Program) help() {
	p.root.InitDefaultHelpCmd()
	for _, c := range p.root.Commands() {
		if c.Name() == "help" {
			c.Use, c.Short, c.Long = "help [<command> ...]", "Explain a command.", ""
			c.Run, c.RunE = nil, func(_ *cobra.Command, typed []string) error {
				about, rest, err := p.root.Find(typed)
				if err != nil || len(rest) > 0 {
					return &Error{about.CommandPath(), unknown(about, typed[len(typed)-max(len(rest), 1)])}
				}
				return about.Help()
			}
		}
	}
}

// completion is cobra's command that prints scripts for shells, told as the others
// are.
func (p *Program) completion() {
	p.root.InitDefaultCompletionCmd()
	for _, c := range p.root.Commands() {
		if c.Name() != "completion" {
			continue
		}
		c.Use, c.Short, c.Long = "completion <command> [flags]", "Print a script that completes commands in a shell.", ""
		c.SuggestionsMinimumDistance = 2
		onlyBelow(c)
		where := map[string]string{
			"bash":       " | sudo tee /etc/bash_completion.d/" + p.root.Name(),
			"zsh":        ` > "${fpath[1]}/_` + p.root.Name() + `"`,
			"fish":       " > ~/.config/fish/completions/" + p.root.Name() + ".fish",
			"powershell": " >> $PROFILE",
		}
		for _, shell := range c.Commands() {
			shell.Short = "Print the script for " + shell.Name() + "."
			shell.Long = "A new shell has it.\n\n    " + shell.CommandPath() + where[shell.Name()]
			shell.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = "Complete without descriptions." })
		}
	}
}

func (p *Program) command(name, help string) *cobra.Command {
	return &cobra.Command{Use: name, Short: help, SilenceErrors: true, SilenceUsage: true, DisableFlagsInUseLine: true, SuggestionsMinimumDistance: 2, Annotations: map[string]string{}}
}

// Parse reads a command line, without the program's name, into the table, and
// returns a pointer to the command's struct. It is nil if help, or a script that
// completes commands in a shell, was asked for and written. An error is an
// [Error].
func (p *Program) Parse(args []string) (command any, err error) {
	p.root.SetArgs(args)
	c, err := p.root.ExecuteC()
	if e, ok := errors.AsType[*Error](err); ok {
		return nil, e
	}
	if err != nil {
		return nil, &Error{c.CommandPath(), err}
	}
	return p.called, nil
}

// argumentsOf is the annotation that has the arguments of a command for its help.
const argumentsOf = "arguments"

// explain writes what there is to say of a command.
func explain(c *cobra.Command, width int) {
	w := c.OutOrStdout()
	fmt.Fprintf(w, "Usage: %s\n\n%s\n", c.UseLine(), c.Short)
	if c.Long != "" {
		fmt.Fprintf(w, "\n%s\n", strings.Trim(c.Long, "\n"))
	}
	heads := map[string][]string{}
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			heads[sub.GroupID] = append(heads[sub.GroupID], fmt.Sprintf("  %-*s  %s", sub.NamePadding(), sub.Name(), sub.Short))
		}
	}
	for _, g := range append(c.Groups(), &cobra.Group{Title: "Commands"}) {
		if lines := heads[g.ID]; lines != nil {
			fmt.Fprintf(w, "\n%s\n%s\n", g.Title, strings.Join(lines, "\n"))
		}
	}
	if text := c.Annotations[argumentsOf]; text != "" {
		fmt.Fprintf(w, "\nArguments\n%s", text)
	}
	if c.HasAvailableLocalFlags() {
		fmt.Fprintf(w, "\nFlags\n%s", c.LocalFlags().FlagUsagesWrapped(width))
	}
	if c.HasAvailableInheritedFlags() {
		fmt.Fprintf(w, "\nFlags of every command\n%s", c.InheritedFlags().FlagUsagesWrapped(width))
	}
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(w, "\nRun `%s <command> --help` for more about one of them.\n", c.CommandPath())
	}
}
