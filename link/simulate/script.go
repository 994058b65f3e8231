package simulate

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"tillgate/link"
)

// Grammar is what the scripts of a simulator may say. B is one behaviour of it.
// An entry of a script is an outcome, features, or both, joined by '+'; either
// may have an argument behind a colon. An entry without an outcome approves.
type Grammar[B any] struct {
	Begin    func(outcome string) B // a behaviour with that outcome, as it is before its words are read; required
	Outcomes map[string]Word[B]     // what happens; "approve" must be among them
	Features map[string]Word[B]     // how the terminal does it, whatever happens
}

// Word is what a name does to a behaviour, and the judge of its argument, "" if
// there is none. A nil Word does nothing and takes no argument.
type Word[B any] func(b *B, arg string) error

// standard is the outcome of an entry that names none, and of an empty script.
const standard = "approve"

// Script hands out behaviours in order; the last one stays. It is not safe for
// concurrent use.
type Script[B any] struct{ entries []B }

// Next takes the behaviour of the next money command.
func (s *Script[B]) Next() B {
	b := s.entries[0]
	if len(s.entries) > 1 {
		s.entries = s.entries[1:]
	}
	return b
}

// Peek is what Next will give.
func (s *Script[B]) Peek() B { return s.entries[0] }

// Parse reads a script. An empty one approves for ever. The error names the
// entry, counted from 1, and what the simulator knows.
func (g Grammar[B]) Parse(script []string) (Script[B], error) {
	if len(script) == 0 {
		script = []string{standard}
	}
	s := Script[B]{entries: make([]B, len(script))}
	for i, text := range script {
		var err error
		if s.entries[i], err = g.entry(text); err != nil {
			return Script[B]{}, fmt.Errorf("script %d: behaviour %q: %w", i+1, text, err)
		}
	}
	return s, nil
}

// Prepare is the first step of making a simulator: it reads the script, and fills
// in the driver's usual currency and a log that discards.
func Prepare[B any](c link.SimulatorConfig, currency string, g Grammar[B]) (link.SimulatorConfig, Script[B], error) {
	if c.Currency == "" {
		c.Currency = currency
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	script, err := g.Parse(c.Script)
	return c, script, err
}

// entry reads one entry. Features are set before the outcome's argument is, so
// that their order does not matter.
func (g Grammar[B]) entry(text string) (b B, err error) {
	outcome, argument := "", ""
	type feature struct {
		name, arg string
		set       Word[B]
	}
	var features []feature
	for part := range strings.SplitSeq(text, "+") {
		name, arg, _ := strings.Cut(part, ":")
		if _, ok := g.Outcomes[name]; ok {
			if outcome != "" {
				return b, fmt.Errorf("%s and %s: an entry has one outcome", outcome, name)
			}
			outcome, argument = name, strings.TrimPrefix(part, name)
			continue
		}
		set, ok := g.Features[name]
		switch {
		case !ok:
			return b, fmt.Errorf("no such behaviour: %q; %s", name, g.known())
		case slices.ContainsFunc(features, func(f feature) bool { return f.name == name }):
			return b, fmt.Errorf("%s stands there twice", name)
		}
		features = append(features, feature{name, arg, set})
	}
	if outcome == "" {
		outcome = standard
	}
	b = g.Begin(outcome)
	for _, f := range features {
		if err := f.set.apply(&b, f.arg); err != nil {
			return b, fmt.Errorf("%s: %w", f.name, err)
		}
	}
	if err := g.Outcomes[outcome].apply(&b, strings.TrimPrefix(argument, ":")); err != nil {
		return b, fmt.Errorf("%s: %w", outcome, err)
	}
	return b, nil
}

func (w Word[B]) apply(b *B, arg string) error {
	if w == nil {
		w = Flag(func(*B) {})
	}
	return w(b, arg)
}

// known lists the names that a script may use.
func (g Grammar[B]) known() string {
	text := "outcomes are " + strings.Join(slices.Sorted(maps.Keys(g.Outcomes)), ", ")
	if len(g.Features) > 0 {
		text += "; to be added with + are " + strings.Join(slices.Sorted(maps.Keys(g.Features)), ", ")
	}
	return text
}

// Flag is a word without an argument.
func Flag[B any](set func(*B)) Word[B] {
	return func(b *B, arg string) error {
		if arg != "" {
			return errors.New("it takes no argument")
		}
		set(b)
		return nil
	}
}

// Text is a word whose argument is any text; none means usual.
func Text[B any](usual string, set func(*B, string)) Word[B] {
	return func(b *B, arg string) error {
		if arg == "" {
			arg = usual
		}
		set(b, arg)
		return nil
	}
}

// Checked is a word whose argument must pass a check; none means usual, which
// must pass it too.
func Checked[B any](usual string, check func(string) error, set func(*B, string)) Word[B] {
	return func(b *B, arg string) error {
		if arg == "" {
			arg = usual
		}
		if err := check(arg); err != nil {
			return err
		}
		set(b, arg)
		return nil
	}
}

// Whole is a word whose argument is a whole number, in minor units where it is
// an amount; none means usual.
func Whole[B any](usual int64, set func(*B, int64)) Word[B] {
	return func(b *B, arg string) error {
		n := usual
		if arg != "" {
			var err error
			if n, err = strconv.ParseInt(arg, 10, 64); err != nil {
				return fmt.Errorf("%q is no whole number", arg)
			}
		}
		set(b, n)
		return nil
	}
}

// Duration is a word whose argument is a time as in 20s or 1500ms; none means
// usual.
func Duration[B any](usual time.Duration, set func(*B, time.Duration)) Word[B] {
	return func(b *B, arg string) error {
		d, err := duration(arg, usual)
		if err == nil {
			set(b, d)
		}
		return err
	}
}

// Late is a late approval: after so many questions, as in 2, or after a time, as
// in 90s; then asks is 0. Without an argument it is one question.
func Late[B any](set func(b *B, asks int, after time.Duration)) Word[B] {
	return func(b *B, arg string) error {
		if arg == "" {
			arg = "1"
		}
		if n, err := strconv.Atoi(arg); err == nil && n > 0 {
			set(b, n, 0)
			return nil
		}
		d, err := duration(arg, 0)
		if err != nil || d == 0 {
			return fmt.Errorf("%q is neither a number of questions nor a time: write 2 or 90s", arg)
		}
		set(b, 0, d)
		return nil
	}
}

func duration(arg string, usual time.Duration) (time.Duration, error) {
	if arg == "" {
		return usual, nil
	}
	d, err := time.ParseDuration(arg)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is no time: write 20s or 1500ms", arg)
	}
	return d, nil
}
