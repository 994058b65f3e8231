package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Problem is one thing that is wrong with a configuration. It never quotes
// what a secret file holds.
type Problem struct {
	File string `json:"file"`
	Line int    `json:"line,omitempty"` // 0: the file as a whole
	Path string `json:"path,omitempty"` // "terminals[0].max_amount"
	Text string `json:"text"`           // what is wrong and what would be right
}

// String is the problem as compilers write theirs: file:line: path: text.
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
	}
	if p.Path != "" {
		s += ": " + p.Path
	}
	return s + ": " + p.Text
}

// Problems is everything that is wrong, in the order of the lines.
type Problems []Problem

func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// maxProblems is how many are collected: a binary file given by mistake shall
// not fill a screen for ever.
const maxProblems = 100

// book collects problems and remembers the line of every key that was seen.
type book struct {
	file     string
	problems Problems
	lines    map[string]int
}

// add notes a problem with the key at path. A key that is missing is reported
// at the line of what should contain it.
func (b *book) add(path, format string, a ...any) {
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, Problem{b.file, b.line(path), path, fmt.Sprintf(format, a...)})
	}
}

func (b *book) addAt(line int, path, format string, a ...any) {
	if len(b.problems) < maxProblems {
		b.problems = append(b.problems, Problem{b.file, line, path, fmt.Sprintf(format, a...)})
	}
}

func (b *book) line(path string) int {
	for path != "" {
		if n, ok := b.lines[path]; ok {
			return n
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// has says whether something was already wrong at path or below, so that one
// mistake is not reported twice.
func (b *book) has(path string) bool {
	return slices.ContainsFunc(b.problems, func(p Problem) bool {
		return p.Path == path || strings.HasPrefix(p.Path, path+".") || strings.HasPrefix(p.Path, path+"[")
	})
}

func (b *book) err() error {
	if len(b.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(b.problems, func(x, y Problem) int { return place(x) - place(y) })
	return b.problems
}

// place is where a problem stands in the list: what is missing comes last.
func place(p Problem) int {
	if p.Line == 0 {
		return math.MaxInt32
	}
	return p.Line
}

// suggest finds the word that was probably meant, as a sentence that begins
// with a semicolon, or "".
func suggest(word string, among []string) string {
	if len(word) > 64 {
		return ""
	}
	best, least := "", max(2, utf8.RuneCountInString(word)/3)+1
	for _, w := range among {
		if w == word {
			return ""
		}
		d := distance(strings.ToLower(word), strings.ToLower(w))
		if len(word) >= 3 && (strings.HasPrefix(w, word) || strings.HasPrefix(word, w)) {
			d = 1
		}
		if d < least {
			best, least = w, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance is the number of letters to insert, delete, replace or swap with
// their neighbour (optimal string alignment).
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	rows := make([][]int, len(x)+1)
	for i := range rows {
		rows[i] = make([]int, len(y)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(x); i++ {
		for j := 1; j <= len(y); j++ {
			cost := 1
			if x[i-1] == y[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && x[i-1] == y[j-2] && x[i-2] == y[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(x)][len(y)]
}

// quote shows a text from the file, shortened, on one line.
func quote(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "…"
	}
	return strconv.Quote(s)
}
