package command

import (
	"fmt"
	"strings"
)

// choices names the first few commands of n.
func choices(n *node) string {
	const most = 5
	var out []string
	for _, name := range names(n) {
		if len(out) == most {
			out = append(out, "...")
			break
		}
		out = append(out, fmt.Sprintf("%q", name))
	}
	return strings.Join(out, ", ")
}

// names are the commands of n that are in its help.
func names(n *node) []string {
	var out []string
	for _, c := range n.children {
		if !c.hidden {
			out = append(out, c.name)
		}
	}
	return out
}

// nearest is the name that was probably meant: the beginning of one, or one of
// which two letters at most, and hardly more than half of it, are wrong. Empty is none.
func nearest(typed string, names []string) string {
	best, least := "", 3
	for _, name := range names {
		d := distance(typed, name)
		if len(typed) > 2 && strings.HasPrefix(name, typed) {
			d = 1
		}
		if d < least && d*2 <= len(name)+1 {
			best, least = name, d
		}
	}
	return best
}

// distance counts the letters to change, add or leave out (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
