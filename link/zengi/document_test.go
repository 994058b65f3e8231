package zengi

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
)

// documented are the fields of the document's table; those that only its sample
// has are added by the test.
var documented = strings.Fields(`aid amount appName approveCode batchNo billId cardHolder cardNumber cardScheme currency deviceId expDate extraData id invoiceNo
	isoResponseCode merchantAddress merchantId merchantName merchantTransId mid paymentType refId reqId status swipeType tc tid traceNo transDateTime
	transactionType settlementList settlementList.reqID settlementList.refNo`)

func page(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "protocols", "zengi.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// table reads the rows of the page's table whose header begins with head.
func table(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	_, text, ok := strings.Cut(page(t), "\n| "+head)
	if !ok {
		t.Fatalf("no table %q", head)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, line := range strings.Split(strings.TrimSpace(text), "\n")[2:] {
		var row []string
		for _, cell := range strings.Split(strings.Trim(line, "| "), "|") {
			row = append(row, strings.Trim(strings.TrimSpace(cell), "`"))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("table %q is empty", head)
	}
	return rows
}

// TestDocument holds the page about this protocol and the code to each other.
func TestDocument(t *testing.T) {
	t.Run("every field has a row", func(t *testing.T) {
		have := map[string]bool{}
		for _, row := range table(t, "field |") {
			if have[plainName(row[0])] {
				t.Errorf("%s has two rows", row[0])
			}
			have[plainName(row[0])] = true
			if plain, _, inner := strings.Cut(plainName(row[0]), "."); !inner && meanings[plain] == "" {
				t.Errorf("%s is not explained by wire decode", row[0])
			}
		}
		var m map[string]any
		if err := json.Unmarshal(sample(t), &m); err != nil {
			t.Fatal(err)
		}
		for _, name := range append(documented, slices.Collect(maps.Keys(m))...) {
			if !have[plainName(name)] {
				t.Errorf("%s has no row", name)
			}
		}
	})
	t.Run("the decoder does what the row says", func(t *testing.T) {
		for _, row := range table(t, "field |") {
			checkField(t, row[0], row[2])
		}
	})
	t.Run("transaction types", func(t *testing.T) {
		for _, row := range table(t, "transactionType |") {
			n, err := read(t, with(t, map[string]any{"transaction_type": row[0]}))
			got := string(n.Operation)
			if err != nil {
				got = "none"
			}
			if got != row[1] {
				t.Errorf("%s: %s, the page says %s", row[0], got, row[1])
			}
		}
	})
	t.Run("results", func(t *testing.T) {
		for _, row := range table(t, "isoResponseCode | status |") {
			code, status := strings.TrimPrefix(row[0], "none"), strings.TrimPrefix(row[1], "none")
			if got, _, _ := defaults().judge(code, status); string(got) != row[2] {
				t.Errorf("%q %q: %s, the page says %s", code, status, got, row[2])
			}
		}
	})
	t.Run("entry modes", func(t *testing.T) {
		left := maps.Clone(entryModes)
		for _, row := range table(t, "swipeType |") {
			if string(entryModes[row[0]]) != row[1] {
				t.Errorf("%s: %s, the page says %s", row[0], entryModes[row[0]], row[1])
			}
			delete(left, row[0])
		}
		if len(left) > 0 {
			t.Errorf("without a row: %v", left)
		}
	})
	t.Run("AIDs", func(t *testing.T) {
		left := len(aids)
		seen := map[string]bool{}
		for _, row := range table(t, "AID |") {
			if got := schemeOf("", row[0], ""); got != row[1] {
				t.Errorf("%s: %s, the page says %s", row[0], got, row[1])
			}
			if !seen[row[1]] {
				seen[row[1]] = true
				left--
			}
		}
		if left != 0 {
			t.Errorf("%d providers have no row", left)
		}
	})
	t.Run("settings", func(t *testing.T) {
		var rows, fields []string
		for _, row := range table(t, "setting | default |") {
			rows = append(rows, row[0])
		}
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
			fields = append(fields, f.Tag.Get("yaml"))
			if f.Tag.Get("jsonschema_description") == "" {
				t.Errorf("%s has no description", f.Name)
			}
		}
		if !slices.Equal(rows, fields) {
			t.Errorf("the page has %v, the profile %v", rows, fields)
		}
	})
	t.Run("behaviours", func(t *testing.T) {
		left := maps.Clone(grammar().Outcomes)
		maps.Copy(left, grammar().Features)
		for _, row := range table(t, "behaviour | what") {
			name, _, _ := strings.Cut(strings.NewReplacer("[", "", "]", "").Replace(row[0]), ":")
			if _, err := grammar().Parse([]string{name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			delete(left, name)
		}
		for name := range left {
			t.Errorf("%s has no row", name)
		}
	})
	t.Run("the tests exist", testsExist)
}

// testsExist looks for every test the page names, here or in the package in
// brackets behind it.
func testsExist(t *testing.T) {
	for _, m := range regexp.MustCompile(`\b(Test[A-Z]\w+)(?:/\w+)?(?: \((\S+)\))?`).FindAllStringSubmatch(page(t), -1) {
		files, err := filepath.Glob(filepath.Join("..", "..", m[2], "*_test.go"))
		if m[2] == "" {
			files, err = filepath.Glob("*_test.go")
		}
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			found = found || strings.Contains(string(b), "func "+m[1]+"(")
		}
		if !found {
			t.Errorf("%s (%s) does not exist", m[1], m[2])
		}
	}
	for _, head := range []string{"step |", "field |", "limit | document |", "question | what"} {
		for _, row := range table(t, head) {
			if !strings.HasPrefix(row[len(row)-1], "Test") {
				t.Errorf("%s: no test is named", row[0])
			}
		}
	}
}

// checkField decodes a notification with a mark in one field, and looks for it
// in everything that came out.
func checkField(t *testing.T, field, fate string) {
	t.Helper()
	const mark = "4720111122225184"
	change := map[string]any{field: mark}
	outer, inner, nested := strings.Cut(field, ".")
	switch {
	case nested:
		change = map[string]any{outer: []any{map[string]string{inner: mark}}}
	case field == "transactionType", field == "settlementList", field == "amount", field == "currency":
		return // values of their own; the test that is named shows what they become
	case field == "isoResponseCode", field == "status":
		change = map[string]any{field: mark}
	case field == "extraData":
		change = map[string]any{field: `{"a":"` + mark + `"}`}
	}
	n, err := read(t, with(t, change))
	if err != nil {
		t.Errorf("%s: %v", field, err)
		return
	}
	n.Key = "" // made of others
	all := fmt.Sprintf("%+v", n)
	got := "dropped"
	switch {
	case nested && slices.ContainsFunc(n.Settled, func(s payment.Settled) bool { return s.Name == mark || s.RRN == mark }):
		got = "read"
	case strings.Contains(all, mark):
		got = "kept"
	case strings.Contains(all, mark[12:]) && !strings.Contains(all, mark[11:]):
		got = "masked"
	case field == "cardScheme", field == "swipeType":
		got = "read" // by a table: an unknown value is nothing
	}
	if field == "parent_id" || field == "id" {
		if n.Transaction == mark {
			got = "kept"
		}
	}
	if field == "merchantId" && got == "kept" {
		if n, _ := read(t, with(t, map[string]any{"mid": "M", field: mark})); n.Outcome.Reference.MID != "M" {
			t.Errorf("mid does not come before merchantId: %s", n.Outcome.Reference.MID)
		}
	}
	if got != fate {
		t.Errorf("%s is %s, the page says %s", field, got, fate)
	}
}
