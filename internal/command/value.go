package command

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// set takes one text of the command line, the environment or the table.
func (v *value) set(text string) error {
	if v.enum != nil && !slices.Contains(v.enum, text) {
		return fmt.Errorf(`%s must be one of "%s" but got %q`, v.typed(), strings.Join(v.enum, `","`), text)
	}
	var err error
	switch to := v.target.Addr().Interface().(type) {
	case *string:
		*to = text
	case *bool:
		*to, err = strconv.ParseBool(text)
	case *int:
		*to, err = strconv.Atoi(text)
	case *uint64:
		*to, err = strconv.ParseUint(text, 10, 64)
	case *time.Duration:
		*to, err = time.ParseDuration(text)
	case *[]string:
		if !v.given {
			*to = nil // the values of the table
		}
		if v.whole {
			*to = append(*to, text)
		} else {
			*to = append(*to, cut(text)...)
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %q is not %s", v.typed(), text, v.kind())
	}
	v.given = true
	return nil
}

// kind says what has to be written.
func (v *value) kind() string {
	switch v.target.Interface().(type) {
	case bool:
		return "true or false"
	case int:
		return "a whole number"
	case uint64:
		return "a whole number, nought or more"
	case time.Duration:
		return "a length of time: write it with a unit, like 300ms, 90s or 5m"
	}
	return "a text"
}

// cut parts a list at its commas; \, is a comma in a value, \\ a backslash.
func cut(text string) []string {
	out := []string{""}
	last := &out[0]
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 < len(text) && (text[i+1] == ',' || text[i+1] == '\\'):
			i++
			*last += text[i : i+1]
		case c == ',':
			out = append(out, "")
			last = &out[len(out)-1]
		default:
			*last += text[i : i+1]
		}
	}
	return out
}

// typed is how a person writes the name of a value.
func (v *value) typed() string {
	if v.argument {
		return "<" + v.name + ">"
	}
	return "--" + v.name
}
