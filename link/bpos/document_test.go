package bpos

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tillgate/link/bpos/bridge"
	"tillgate/link/linktest"
	"tillgate/link/tmaster"
)

// listed are the names of document 001's list, in lower case: the guide spells
// some otherwise, and COM does not care.
func listed(t *testing.T) (methods, properties map[string]string) {
	b, err := os.ReadFile("testdata/bpos1lib.txt")
	if err != nil {
		t.Fatal(err)
	}
	methods, properties = map[string]string{}, map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(function|property-get) (\w+)`).FindAllStringSubmatch(string(b), -1) {
		to := methods
		if m[1] == "property-get" {
			to = properties
		}
		to[strings.ToLower(m[2])] = m[2]
	}
	if len(methods) != 49 || len(properties) != 45 {
		t.Fatalf("the list has %d methods and %d properties", len(methods), len(properties))
	}
	return methods, properties
}

// TestDocument holds the page about this protocol, the code and the documents to
// each other.
func TestDocument(t *testing.T) {
	page := linktest.ReadPage(t, "bpos", "*_test.go", "bridge/*_test.go", "bridge/*/*_test.go")
	methods, properties := listed(t)
	com := strings.Fields("QueryInterface AddRef Release GetTypeInfoCount GetTypeInfo GetIDsOfNames Invoke")
	t.Run("methods", func(t *testing.T) {
		rows := map[string][]string{}
		for _, row := range page.Rows(t, "method | list |") {
			rows[row[0]] = row
			m, ok := bridge.FindMethod(row[0])
			old := methods[strings.ToLower(row[0])] != ""
			switch {
			case (row[1] == "001") != old:
				t.Errorf("%s: the page says that it is in the list of %s", row[0], row[1])
			case slices.Contains(com, row[0]):
			case !ok:
				t.Errorf("%s is no method", row[0])
			case (m.Refused != "") != strings.HasPrefix(row[4], "refused"):
				t.Errorf("%s: refused is %q, the page says %q", row[0], m.Refused, row[4])
			case m.Refused == "" && len(m.Args) != len(arguments(row[2])):
				t.Errorf("%s has %d arguments, the page says %s", row[0], len(m.Args), row[2])
			}
			for i, name := range arguments(row[2]) {
				if ok && m.Refused == "" && !slices.Contains(com, row[0]) && !strings.EqualFold(m.Args[i].Name, name) {
					t.Errorf("%s: argument %d is %s, the page says %s", row[0], i, m.Args[i].Name, name)
				}
			}
		}
		for _, m := range bridge.Methods() {
			if rows[m.Name] == nil {
				t.Errorf("%s has no row", m.Name)
			}
			delete(methods, strings.ToLower(m.Name))
		}
		for _, name := range com {
			if rows[name] == nil {
				t.Errorf("%s has no row", name)
			}
			delete(methods, strings.ToLower(name))
		}
		for _, name := range methods {
			t.Errorf("%s is in the list and not in the code", name)
		}
	})
	t.Run("properties", func(t *testing.T) {
		rows := map[string][]string{}
		for _, row := range page.Rows(t, "property | list |") {
			rows[row[0]] = row
			p, ok := bridge.FindProperty(row[0])
			switch {
			case !ok:
				t.Errorf("%s is no property", row[0])
			case (row[1] == "001") != (properties[strings.ToLower(row[0])] != ""):
				t.Errorf("%s: the page says that it is in the list of %s", row[0], row[1])
			case !strings.HasPrefix(row[2], p.Kind.String()):
				t.Errorf("%s is a %s, the page says %s", row[0], p.Kind, row[2])
			case strings.Contains(row[2], " bytes") && row[2] != p.Kind.String()+", "+strconv.Itoa(p.Max)+" bytes":
				t.Errorf("%s has %d bytes at most, the page says %s", row[0], p.Max, row[2])
			case (p.Refused != "") != strings.HasPrefix(row[3], "refused"):
				t.Errorf("%s: refused is %q, the page says %q", row[0], p.Refused, row[3])
			}
		}
		for _, p := range bridge.Properties() {
			if rows[p.Name] == nil {
				t.Errorf("%s has no row", p.Name)
			}
			delete(properties, strings.ToLower(p.Name))
		}
		for _, name := range properties {
			t.Errorf("%s is in the list and not in the code", name)
		}
	})
	t.Run("errors of the line", func(t *testing.T) {
		for _, row := range page.Rows(t, "error | meaning |") {
			c := bridge.Refusal{Fault: bridge.Fault(row[0])}
			if (row[2] == "no") != (c.Fault != bridge.FaultFailed) {
				t.Errorf("%s: %s", row[0], row[2])
			}
		}
	})
	t.Run("codes", func(t *testing.T) {
		left := maps.Clone(terminalCodes)
		for _, row := range page.Rows(t, "ResponseCode | meaning |") {
			code, err := strconv.ParseInt(row[0], 10, 64)
			if got := judge(code).String(); err != nil || got != row[2] {
				t.Errorf("%s: got %s, the page says %s", row[0], got, row[2])
			}
			delete(left, code)
		}
		for code := range left {
			t.Errorf("%d has no row", code)
		}
		known := maps.Clone(statuses)
		for _, row := range page.Rows(t, "LastStatMsgCode | guide |") {
			code, _ := strconv.ParseInt(row[0], 10, 64)
			if s, ok := known[code]; !ok || string(s.stage) != row[2] {
				t.Errorf("status %s: got %q, the page says %q", row[0], s.stage, row[2])
			}
			delete(known, code)
		}
		terms := maps.Clone(termStatuses)
		for _, row := range page.Rows(t, "TermStatus | guide |") {
			code, _ := strconv.ParseInt(row[0], 10, 64)
			if s, ok := terms[code]; !ok || string(s.blocked) != row[2] {
				t.Errorf("TermStatus %s: got %q, the page says %q", row[0], s.blocked, row[2])
			}
			delete(terms, code)
		}
		if len(known)+len(terms) > 0 {
			t.Errorf("without a row: %v %v", known, terms)
		}
	})
	t.Run("values", func(t *testing.T) { values(t, page) })
	t.Run("settings", func(t *testing.T) {
		page.Settings(t, "setting | default |", reflect.TypeFor[Settings]())
	})
	t.Run("behaviours", func(t *testing.T) {
		linktest.Behaviours(t, page, "behaviour | what", tmaster.Grammar(simFeatures, true))
	})
	t.Run("the tests exist", func(t *testing.T) {
		page.Tests(t, "method | list |", "property | list |", "question | what proves", "question | what is done")
	})
}

// values holds the tables of properties with a few values to what is made of each.
func values(t *testing.T, page *linktest.Page) {
	term := &terminal{settings: defaults(), currency: "UAH", kept: map[string]bool{}, seen: map[string]string{}}
	for head, c := range map[string]struct {
		all  int                // values that the code knows
		text func(int64) string // what the page has in its second column; nil: anything
		ours func(int64) string // and in its third
	}{
		"LastErrorCode | guide |": {len(faults), func(n int64) string { return faults[n] }, func(n int64) string {
			a := answer{result: resultError, fault: n}
			switch {
			case a.said():
				return "ResponseCode"
			case n == faultOpen || n == faultNotOpen:
				return "nothing was sent"
			}
			return "doubtful"
		}},
		"TxnType | guide |": {len(txnTypes), func(n int64) string { return txnTypes[n] }, func(n int64) string {
			var all []string
			for _, op := range operations {
				if op.MovesMoney() && term.sameType(n, op) {
					all = append(all, string(op))
				}
			}
			return strings.Join(all, ", ")
		}},
		"TrnStatus | guide |": {len(trnStatuses), func(n int64) string { return trnStatuses[n] }, func(n int64) string {
			o, err := term.settled(sale("A", 100), record{kind: typePurchase, status: n, amount: 100, rrn: "1"}, false)
			if err != nil {
				return err.Error()
			}
			return string(o.Result)
		}},
		"EntryMode | guide |": {len(entryModes) + 1, nil, func(n int64) string { return string(entryModes[n]) }},
		"returned | name |": {len(returns), func(n int64) string { return returns[n] }, func(n int64) string {
			switch {
			case n == 0:
				return "done, or begun"
			case unsent(int(n)):
				return "nothing was sent"
			}
			return "doubtful"
		}},
	} {
		rows := page.Rows(t, head)
		if len(rows) != c.all {
			t.Errorf("%s has %d rows, the code knows %d values", head, len(rows), c.all)
		}
		for _, row := range rows {
			n, err := strconv.ParseInt(row[0], 10, 64)
			if err != nil {
				t.Fatalf("%s: %s is no value", head, row[0])
			}
			if c.text != nil && c.text(n) != row[1] {
				t.Errorf("%s: %s is %q, the page says %q", head, row[0], c.text(n), row[1])
			}
			if got := c.ours(n); got != row[2] {
				t.Errorf("%s: %s is %q to us, the page says %q", head, row[0], got, row[2])
			}
		}
	}
}

// arguments are the names in a cell: "name, name (a limit)".
func arguments(cell string) (names []string) {
	cell, _, _ = strings.Cut(cell, " (")
	for name := range strings.SplitSeq(cell, ",") {
		if name = strings.TrimSpace(name); name != "" && name != "COM's own" {
			names = append(names, name)
		}
	}
	return names
}
