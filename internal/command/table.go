package command

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"

	"github.com/spf13/cobra"
)

// builder makes cobra's commands of a table.
type builder struct {
	program *Program
	words   map[string]string
}

// argument is one of a command's, in their order.
type argument struct {
	name     string
	help     string
	required bool
	value    value
}

var known = []string{"cmd", "arg", "embed", "name", "short", "help", "group", "hidden", "default", "env", "placeholder", "enum", "xor", "required", "optional", "sep"}

// read takes the fields of a struct into c.
func (b *builder) read(c *cobra.Command, s reflect.Value) error {
	var arguments []argument
	exclusive := map[string][]string{}
	below := hasCommands(s.Type())
	if err := b.fields(c, s, below, &arguments, exclusive); err != nil {
		return err
	}
	for _, names := range exclusive {
		c.MarkFlagsMutuallyExclusive(names...)
	}
	if below {
		c.Use += " <command> [flags]"
		if c.Run == nil { // none is meant where none is named
			onlyBelow(c)
		}
		return nil
	}
	for _, a := range arguments {
		c.Use += " " + a.usage()
		c.Annotations[argumentsOf] += fmt.Sprintf("  %-12s  %s\n", a.usage(), a.help)
	}
	if c.HasFlags() {
		c.Use += " [flags]"
	}
	if more, ok := s.Addr().Interface().(interface{ Help() string }); ok {
		c.Long = more.Help()
	}
	called := s.Addr().Interface()
	c.Args = func(_ *cobra.Command, typed []string) error { return take(arguments, typed) }
	c.Run = func(*cobra.Command, []string) { b.program.called = called }
	return nil
}

func hasCommands(table reflect.Type) bool {
	for f := range table.Fields() {
		if _, ok := f.Tag.Lookup("cmd"); ok {
			return true
		}
	}
	return false
}

// fields takes each field for what its tags say. below says whether flags are
// those of the commands below c too.
func (b *builder) fields(c *cobra.Command, s reflect.Value, below bool, arguments *[]argument, exclusive map[string][]string) error {
	for i := range s.NumField() {
		f, target := s.Type().Field(i), s.Field(i)
		err := keysOf(f.Tag)
		_, isCommand := f.Tag.Lookup("cmd")
		_, embedded := f.Tag.Lookup("embed")
		switch {
		case err != nil:
		case f.Anonymous || embedded:
			err = b.fields(c, target, below, arguments, exclusive)
		case !f.IsExported():
		case isCommand:
			err = b.sub(c, f, target)
		default:
			err = b.value(c, f, target, below, arguments, exclusive)
		}
		if err != nil {
			return fmt.Errorf("%s.%s: %w", s.Type(), f.Name, err)
		}
	}
	return nil
}

// sub adds a command. One that is meant where none is named lends its flags and
// arguments to c.
func (b *builder) sub(c *cobra.Command, f reflect.StructField, target reflect.Value) error {
	child := b.program.command(nameOf(f), b.help(f))
	_, child.Hidden = f.Tag.Lookup("hidden")
	if child.GroupID = f.Tag.Get("group"); child.GroupID != "" && !c.ContainsGroup(child.GroupID) {
		c.AddGroup(&cobra.Group{ID: child.GroupID, Title: child.GroupID})
	}
	if err := b.read(child, target); err != nil {
		return err
	}
	c.AddCommand(child)
	if f.Tag.Get("default") == "withargs" {
		c.Run = child.Run
		c.Args = func(c *cobra.Command, typed []string) error {
			if len(typed) > 0 { // a name that is nearly right is more likely than an argument
				if near := c.SuggestionsFor(typed[0]); len(near) > 0 {
					return unknown(c, typed[0])
				}
			}
			return child.Args(child, typed)
		}
		c.Flags().AddFlagSet(child.Flags())
	}
	return nil
}

// onlyBelow makes c one that is nothing without a command below it: alone it
// explains itself, and it knows no other word. cobra would explain then, too, as
// if all were well.
func onlyBelow(c *cobra.Command) {
	c.Args = func(c *cobra.Command, typed []string) error {
		if len(typed) > 0 {
			return unknown(c, typed[0])
		}
		return nil
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
}

func unknown(c *cobra.Command, word string) error {
	if near := c.SuggestionsFor(word); len(near) > 0 {
		return fmt.Errorf("unknown command %q, did you mean %q?", word, near[0])
	}
	return fmt.Errorf("unknown command %q", word)
}

// value adds an argument or a flag; below as in fields.
func (b *builder) value(c *cobra.Command, f reflect.StructField, target reflect.Value, below bool, arguments *[]argument, exclusive map[string][]string) error {
	tag, name := f.Tag.Get, nameOf(f)
	v, err := newValue(f, target)
	if err != nil {
		return err
	}
	has := func(key string) bool { _, ok := f.Tag.Lookup(key); return ok }
	if has("arg") {
		*arguments = append(*arguments, argument{name, b.help(f), !has("optional") && !has("default"), v})
		return nil
	}
	flags := c.Flags()
	if below {
		flags = c.PersistentFlags()
	}
	flag := flags.VarPF(v, name, tag("short"), b.help(f))
	flag.Hidden, flag.DefValue = has("hidden"), v.initial
	if strings.Contains(flag.Usage, "Default: ") {
		flag.DefValue = "" // the text says it
	}
	if target.Kind() == reflect.Bool {
		flag.NoOptDefVal = "true"
	}
	if has("required") {
		if err := c.MarkFlagRequired(name); err != nil {
			return err
		}
	}
	if group := tag("xor"); group != "" {
		exclusive[group] = append(exclusive[group], name)
	}
	return nil
}

// help is what the table says of a field, with its words filled in.
func (b *builder) help(f reflect.StructField) string {
	text := strings.ReplaceAll(f.Tag.Get("help"), "${enum}", f.Tag.Get("enum"))
	for word, stands := range b.words {
		text = strings.ReplaceAll(text, "${"+word+"}", stands)
	}
	if env := f.Tag.Get("env"); env != "" {
		text = strings.TrimSuffix(text, ".") + " ($" + env + ")."
	}
	return text
}

func (a argument) usage() string {
	text := "<" + a.name + ">"
	if a.value.list() {
		text += " ..."
	}
	if !a.required {
		text = "[" + text + "]"
	}
	return text
}

// take reads the arguments.
func take(arguments []argument, typed []string) error {
	for i, a := range arguments {
		switch {
		case len(typed) == 0 && a.required:
			return fmt.Errorf("expected %q", "<"+a.name+">")
		case a.value.list() && i == len(arguments)-1:
			return a.value.replace(typed)
		case len(typed) > 0:
			if err := a.value.Set(typed[0]); err != nil {
				return fmt.Errorf("%q is no <%s>: %w", typed[0], a.name, err)
			}
			typed = typed[1:]
		}
	}
	if len(typed) > 0 {
		return fmt.Errorf("unexpected argument %q", typed[0])
	}
	return nil
}

// keysOf makes sure that a misspelt key does not go unnoticed.
func keysOf(tag reflect.StructTag) error {
	for rest := string(tag); strings.TrimSpace(rest) != ""; {
		key, after, ok := strings.Cut(strings.TrimSpace(rest), `:"`)
		if !ok || !slices.Contains(known, key) {
			return fmt.Errorf("the tag %q is not known", key)
		}
		for after != "" && after[0] != '"' {
			if after[0] == '\\' {
				after = after[1:]
			}
			after = after[min(1, len(after)):]
		}
		rest = strings.TrimPrefix(after, `"`)
	}
	return nil
}

// nameOf is how a field is typed: FulfilWithin is fulfil-within.
func nameOf(f reflect.StructField) string {
	if name := f.Tag.Get("name"); name != "" {
		return name
	}
	var out strings.Builder
	letters := []rune(f.Name)
	for i, r := range letters {
		if i > 0 && unicode.IsUpper(r) && (!unicode.IsUpper(letters[i-1]) || i+1 < len(letters) && unicode.IsLower(letters[i+1])) {
			out.WriteByte('-')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}
