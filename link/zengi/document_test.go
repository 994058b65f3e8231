package zengi

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link/linktest"
)

// documented are the fields of the document's table; those that only its sample
// has are added by the test.
var documented = strings.Fields(`aid amount appName approveCode batchNo billId cardHolder cardNumber cardScheme currency deviceId expDate extraData id invoiceNo
	isoResponseCode merchantAddress merchantId merchantName merchantTransId mid paymentType refId reqId status swipeType tc tid traceNo transDateTime
	transactionType settlementList settlementList.reqID settlementList.refNo`)

// TestDocument holds the page about this protocol and the code to each other.
func TestDocument(t *testing.T) {
	page := linktest.ReadPage(t, "zengi")
	t.Run("every field has a row", func(t *testing.T) {
		have := map[string]bool{}
		for _, row := range page.Rows(t, "field |") {
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
		for _, row := range page.Rows(t, "field |") {
			checkField(t, row[0], row[2])
		}
	})
	t.Run("transaction types", func(t *testing.T) {
		for _, row := range page.Rows(t, "transactionType |") {
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
		for _, row := range page.Rows(t, "isoResponseCode | status |") {
			code, status := strings.TrimPrefix(row[0], "none"), strings.TrimPrefix(row[1], "none")
			if got, _, _ := defaults().judge(code, status); string(got) != row[2] {
				t.Errorf("%q %q: %s, the page says %s", code, status, got, row[2])
			}
		}
	})
	t.Run("entry modes", func(t *testing.T) {
		left := maps.Clone(entryModes)
		for _, row := range page.Rows(t, "swipeType |") {
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
		for _, row := range page.Rows(t, "AID |") {
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
		page.Settings(t, "setting | default |", reflect.TypeFor[Settings]())
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
			if f.Tag.Get("jsonschema_description") == "" {
				t.Errorf("%s has no description", f.Name)
			}
		}
	})
	t.Run("behaviours", func(t *testing.T) {
		linktest.Behaviours(t, page, "behaviour | what", grammar())
	})
	t.Run("the tests exist", func(t *testing.T) {
		page.Tests(t, "step |", "field |", "limit | document |", "question | what")
	})
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
