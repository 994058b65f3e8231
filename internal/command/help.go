package command

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

const gap = "    " // between the two columns

// Help writes what there is to say of a call's command, or of the program, in
// lines of at most width characters where words allow it.
func (p *Program) Help(w io.Writer, c *Call, width int) error {
	h := &page{width: max(width, 40)}
	n := c.node
	h.line("Usage: " + n.usage())
	if n.help != "" {
		h.line("")
		h.text(n.help)
	}
	if more, ok := n.target.Addr().Interface().(interface{ Help() string }); ok {
		h.line("")
		h.text(more.Help())
	}
	if len(n.args) > 0 {
		h.line("")
		h.line("Arguments:")
		var rows [][2]string
		for _, v := range n.args {
			rows = append(rows, [2]string{v.summary(), v.help})
		}
		h.columns(rows)
	}
	h.flags(n)
	h.commands(n)
	if n.parent == nil {
		h.line("")
		h.line(fmt.Sprintf("Run \"%s <command> --help\" for more information on a command.", n.name))
	}
	_, err := io.WriteString(w, h.out.String())
	return err
}

// usage is the first line: what has to be typed, and that there is more.
func (n *node) usage() string {
	parts := []string{n.path()}
	for _, v := range n.flags {
		if v.required {
			parts = append(parts, v.assigned())
		}
	}
	for _, v := range n.args {
		parts = append(parts, v.summary())
	}
	if n.children != nil {
		parts = append(parts, "<command>")
	}
	return strings.Join(append(parts, "[flags]"), " ")
}

func (v *value) summary() string {
	text := v.typed()
	if v.isList() {
		text += " ..."
	}
	if !v.required {
		text = "[" + text + "]"
	}
	return text
}

// shown stands for a value in the help.
func (v *value) shown() string {
	text := v.placeholder
	switch {
	case text != "":
	case v.initial != "" && v.target.Kind().String() == "string":
		text = `"` + v.initial + `"`
	case v.initial != "":
		text = v.initial
	default:
		text = strings.ToUpper(v.name)
	}
	if v.isList() && !v.whole && !strings.HasSuffix(text, ",...") {
		text += ",..."
	}
	return text
}

// assigned is a flag with what stands for its value.
func (v *value) assigned() string {
	if v.isBool() {
		return v.typed()
	}
	return v.typed() + "=" + v.shown()
}

// row is a flag in the help.
func (v *value) row(letters bool) [2]string {
	left := v.assigned()
	switch {
	case v.short != "":
		left = "-" + v.short + ", " + left
	case letters:
		left = gap + left
	}
	help := v.help
	if v.env != "" {
		help = strings.TrimSuffix(help, ".") + " ($" + v.env + ")."
	}
	return [2]string{left, help}
}

// flags writes those of the program, of the commands above and of n, a blank
// line between them, and below those with a heading of their own.
func (h *page) flags(n *node) {
	rows := [][2]string{{"-h, --help", "Show context-sensitive help."}}
	var headings []string
	under := map[string][][2]string{}
	letters := map[string]bool{"": true}
	for _, at := range n.line() {
		for _, v := range at.flags {
			letters[v.group] = letters[v.group] || v.short != ""
		}
	}
	for i, at := range n.line() {
		apart := i > 0
		for _, v := range at.flags {
			switch {
			case v.hidden:
			case v.group == "":
				if apart {
					rows, apart = append(rows, [2]string{}), false
				}
				rows = append(rows, v.row(true))
			default:
				if !slices.Contains(headings, v.group) {
					headings = append(headings, v.group)
				}
				under[v.group] = append(under[v.group], v.row(letters[v.group]))
			}
		}
	}
	h.line("")
	h.line("Flags:")
	h.columns(rows)
	for _, heading := range headings {
		h.line("")
		h.line(heading)
		h.columns(under[heading])
	}
}

// commands writes what can be run below n, under the headings of the table.
func (h *page) commands(n *node) {
	var headings []string
	under := map[string][][2]string{}
	var walk func(at *node, prefix, group string)
	walk = func(at *node, prefix, group string) {
		for _, c := range at.children {
			group := group
			if c.group != "" {
				group = c.group
			}
			switch path := prefix + c.name; {
			case c.hidden:
			case c.children != nil:
				walk(c, path+" ", group)
			default:
				if !slices.Contains(headings, group) {
					headings = append(headings, group)
				}
				under[group] = append(under[group], [2]string{path, c.help})
			}
		}
	}
	prefix, group := "", "Commands:"
	for _, at := range n.line()[1:] {
		prefix += at.name + " "
		if at.group != "" {
			group = at.group
		}
	}
	walk(n, prefix, group)
	for _, heading := range headings {
		h.line("")
		h.line(heading)
		h.columns(under[heading])
	}
}

// page is the help in the making.
type page struct {
	out   strings.Builder
	width int
}

func (h *page) line(text string) { h.out.WriteString(strings.TrimRight(text, " ") + "\n") }

// text writes paragraphs; lines that are indented stay as they are.
func (h *page) text(text string) {
	var paragraph []string
	flush := func() {
		if paragraph == nil {
			return
		}
		for _, line := range wrap(strings.Join(paragraph, " "), h.width) {
			h.line(line)
		}
		paragraph = nil
	}
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, gap) {
			flush()
			h.line(line)
			continue
		}
		paragraph = append(paragraph, line)
	}
	flush()
}

// columns writes rows of a name and a text. A name that is too long has a line
// of its own.
func (h *page) columns(rows [][2]string) {
	const indent = "  "
	longest := max(30, h.width*3/8)
	left := 0
	for _, row := range rows {
		if n := utf8.RuneCountInString(row[0]); n < longest {
			left = max(left, n)
		}
	}
	for _, row := range rows {
		lines := wrap(row[1], h.width-len(indent)-left-len(gap))
		if n := utf8.RuneCountInString(row[0]); n <= left {
			h.line(indent + row[0] + strings.Repeat(" ", left-n) + gap + lines[0])
			lines = lines[1:]
		} else {
			h.line(indent + row[0])
		}
		for _, line := range lines {
			h.line(indent + strings.Repeat(" ", left) + gap + line)
		}
	}
}

// wrap cuts a text at blanks into lines of at most width, one at least. A longer
// word has a line of its own.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case utf8.RuneCountInString(*last)+1+utf8.RuneCountInString(word) <= width:
			*last += " " + word
		default:
			lines = append(lines, word)
		}
	}
	return lines
}
