package command

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// value is one of pflag's, with what the table adds to it.
type value struct {
	pflag.Value
	initial     string // in the help
	placeholder string
	enum        []string
}

// newValue gives the target its value where none is typed: that of the
// environment, or of the table.
func newValue(f reflect.StructField, target reflect.Value) (value, error) {
	tag := f.Tag.Get
	v := value{initial: tag("default"), placeholder: tag("placeholder")}
	if v.placeholder == "" && target.Kind() != reflect.Bool {
		v.placeholder = strings.ToUpper(nameOf(f))
	}
	if tag("enum") != "" {
		v.enum = strings.Split(tag("enum"), ",")
	}
	typed := func() (pflag.Value, error) {
		// pflag has no other way to make one of its values.
		set := pflag.NewFlagSet("", pflag.ContinueOnError)
		switch to := target.Addr().Interface().(type) {
		case *string:
			set.StringVar(to, "v", "", "")
		case *bool:
			set.BoolVar(to, "v", false, "")
		case *int:
			set.IntVar(to, "v", 0, "")
		case *uint64:
			set.Uint64Var(to, "v", 0, "")
		case *time.Duration:
			set.DurationVar(to, "v", 0, "")
		case *[]string:
			if tag("sep") == "none" {
				set.StringArrayVar(to, "v", nil, "")
			} else {
				set.StringSliceVar(to, "v", nil, "")
			}
		default:
			return nil, fmt.Errorf("no value can be a %s", target.Type())
		}
		return set.Lookup("v").Value, nil
	}
	var err error
	if v.Value, err = typed(); err != nil {
		return v, err
	}
	text, from := v.initial, "default"
	if env := tag("env"); env != "" && os.Getenv(env) != "" {
		text, from = os.Getenv(env), "$"+env
	}
	if text == "" {
		return v, nil
	}
	if err := v.Set(text); err != nil {
		return v, fmt.Errorf("%s: %w", from, err)
	}
	if v.list() { // what is typed takes the place of these
		given := slices.Clone(*target.Addr().Interface().(*[]string))
		if v.Value, err = typed(); err == nil {
			target.Set(reflect.ValueOf(given))
		}
	}
	return v, err
}

// Set takes one text of the command line, the environment or the table.
func (v value) Set(text string) error {
	if v.enum != nil && !slices.Contains(v.enum, text) {
		return fmt.Errorf("it must be one of %s", strings.Join(v.enum, ", "))
	}
	err := v.Value.Set(text)
	if err != nil && v.Value.Type() == "duration" {
		err = errors.New("a length of time has a unit, like 300ms, 90s or 5m")
	}
	return err
}

// Type stands for the value in the help. That of a bool tells pflag that it needs
// none.
func (v value) Type() string {
	if v.placeholder != "" {
		return v.placeholder
	}
	return v.Value.Type()
}

func (v value) list() bool {
	_, ok := v.Value.(pflag.SliceValue)
	return ok
}

// replace makes the list what was typed, each as it stands.
func (v value) replace(typed []string) error {
	if len(typed) == 0 {
		return nil
	}
	return v.Value.(pflag.SliceValue).Replace(typed)
}
