package command

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Call is a command line that was understood.
type Call struct {
	// Command is a pointer to the command's struct.
	Command any
	// Help says that help was asked for, of Command; nothing else was checked.
	Help bool

	node *node
}

// Error is a command line that was not understood.
type Error struct {
	Command string // what was reached before it, like "firmware sign"; empty is the program
	text    string
}

func (e *Error) Error() string { return e.text }

// reading is a command line on its way.
type reading struct {
	at     *node
	args   int // of at, that are taken
	rest   []string
	ended  bool // -- was read
	called bool // -h was read
}

// Parse reads a command line, without the program's name, into the table. An
// error is an [Error].
func (p *Program) Parse(args []string) (*Call, error) {
	r := &reading{at: p.root, rest: args}
	for len(r.rest) > 0 {
		if err := r.next(); err != nil {
			return nil, r.fault(err)
		}
		if r.called {
			return &Call{Command: r.at.target.Addr().Interface(), Help: true, node: r.at}, nil
		}
	}
	for r.at.args == nil && r.at.children != nil {
		if !r.fall() {
			return nil, r.fault(fmt.Errorf("expected one of %s", choices(r.at)))
		}
	}
	if err := r.complete(); err != nil {
		return nil, r.fault(err)
	}
	return &Call{Command: r.at.target.Addr().Interface(), node: r.at}, nil
}

func (r *reading) fault(err error) error {
	command := ""
	if r.at.parent != nil {
		_, command, _ = strings.Cut(r.at.path(), " ")
	}
	return &Error{Command: command, text: err.Error()}
}

// next takes the next word, with its value if it has one.
func (r *reading) next() error {
	word := r.rest[0]
	r.rest = r.rest[1:]
	switch {
	case r.ended || word == "-" || !strings.HasPrefix(word, "-"):
		return r.word(word)
	case word == "--":
		r.ended = true
		return nil
	case strings.HasPrefix(word, "--"):
		return r.long(word[2:])
	}
	return r.short(word[1:])
}

// word is a command or an argument.
func (r *reading) word(word string) error {
	if i := slices.IndexFunc(r.at.children, func(c *node) bool { return c.name == word }); i >= 0 && !r.ended {
		r.at = r.at.children[i]
		return nil
	}
	if r.at.children != nil {
		// A name that is nearly right is more likely than an argument of the default.
		if near := nearest(word, names(r.at)); near != "" {
			return fmt.Errorf("unexpected argument %s, did you mean %q?", word, near)
		}
		if r.fall() {
			return r.word(word)
		}
	}
	if r.args >= len(r.at.args) {
		return fmt.Errorf("unexpected argument %s", word)
	}
	v := r.at.args[r.args]
	if !v.isList() {
		r.args++
	}
	return v.set(word)
}

// fall goes on to the command that is meant where none is named.
func (r *reading) fall() bool {
	i := slices.IndexFunc(r.at.children, func(c *node) bool { return c.fallback })
	if i < 0 {
		return false
	}
	r.at = r.at.children[i]
	return true
}

func (r *reading) long(text string) error {
	name, text, glued := strings.Cut(text, "=")
	if name == "help" && !glued {
		r.called = true
		return nil
	}
	v := r.find(func(v *value) bool { return v.name == name })
	if v == nil {
		err := fmt.Sprintf("unknown flag --%s", name)
		var all []string
		for _, n := range r.at.line() {
			for _, v := range n.flags {
				all = append(all, v.name)
			}
		}
		if near := nearest(name, all); near != "" {
			err += fmt.Sprintf(`, did you mean "--%s"?`, near)
		}
		return fmt.Errorf("%s", err)
	}
	switch {
	case glued:
		return v.set(text)
	case v.isBool():
		return v.set("true")
	}
	return r.value(v)
}

// short is one letter or more: -v, -vf, -fvalue.
func (r *reading) short(letters string) error {
	for i := range letters {
		letter := letters[i : i+1]
		if letter == "h" {
			r.called = true
			return nil
		}
		v := r.find(func(v *value) bool { return v.short == letter })
		switch rest := letters[i+1:]; {
		case v == nil:
			return fmt.Errorf("unknown flag -%s", letter)
		case v.isBool():
			if err := v.set("true"); err != nil {
				return err
			}
		case rest == "":
			return r.value(v)
		default:
			return v.set(strings.TrimPrefix(rest, "="))
		}
	}
	return nil
}

// find looks for a flag of the command and of those above; behind them is the
// command that is meant where none is named.
func (r *reading) find(is func(*value) bool) *value {
	for n := r.at; n != nil; n = n.parent {
		if i := slices.IndexFunc(n.flags, is); i >= 0 {
			return n.flags[i]
		}
	}
	if was := r.at; r.fall() {
		if v := r.find(is); v != nil {
			return v
		}
		r.at = was
	}
	return nil
}

// value takes the next word as the value of a flag. One that looks like a flag
// was meant as one: the value was forgotten.
func (r *reading) value(v *value) error {
	if len(r.rest) == 0 {
		return fmt.Errorf("--%s: expected a value, like --%s=%s", v.name, v.name, v.shown())
	}
	text := r.rest[0]
	if strings.HasPrefix(text, "-") && text != "-" {
		return fmt.Errorf("--%s: expected a value but got %s; a value that begins with - is written --%s=%s", v.name, text, v.name, text)
	}
	r.rest = r.rest[1:]
	return v.set(text)
}

// complete takes what is not on the command line from the environment, and
// looks for what is missing, or too much.
func (r *reading) complete() error {
	for _, v := range r.at.args[r.args:] {
		if v.required && !v.given {
			return fmt.Errorf("expected %q", v.typed())
		}
	}
	var missing []string
	chosen := map[string]string{}
	for _, n := range r.at.line() {
		for _, v := range n.flags {
			if v.given && v.xor != "" {
				if other := chosen[v.xor]; other != "" {
					return fmt.Errorf("%s and %s can't be used together", other, v.typed())
				}
				chosen[v.xor] = v.typed()
			}
			if text, ok := os.LookupEnv(v.env); ok && v.env != "" && !v.given {
				if err := v.set(text); err != nil {
					return fmt.Errorf("$%s: %w", v.env, err)
				}
			}
			if v.required && !v.given {
				missing = append(missing, v.assigned())
			}
		}
	}
	if missing != nil {
		return fmt.Errorf("missing flags: %s", strings.Join(missing, ", "))
	}
	return nil
}
