package cli

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
)

func TestReadTime(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.Local)
	for text, want := range map[string]time.Time{
		"":                     {},
		"24h":                  now.Add(-24 * time.Hour),
		"7d":                   now.AddDate(0, 0, -7),
		"2026-11-01":           time.Date(2026, 11, 1, 0, 0, 0, 0, time.Local),
		"2026-11-01T15:04":     time.Date(2026, 11, 1, 15, 4, 0, 0, time.Local),
		"2026-11-01 15:04:05":  time.Date(2026, 11, 1, 15, 4, 5, 0, time.Local),
		"2026-11-01T15:04:05Z": time.Date(2026, 11, 1, 15, 4, 5, 0, time.UTC),
	} {
		if got, err := readTime("--since", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"yesterday", "1.11.2026", "-1h", "2026-13-01"} {
		if got, err := readTime("--since", text, now); err == nil {
			t.Errorf("%q is taken for %v", text, got)
		}
	}
}

func TestUnhex(t *testing.T) {
	for text, want := range map[string]string{"0x02 03": "\x02\x03", "de:ad\nBE EF": "\xde\xad\xbe\xef", "": ""} {
		if got, err := unhex(text); err != nil || string(got) != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"123", "xy", "0x0x12"} {
		if got, err := unhex(text); err == nil {
			t.Errorf("%q is taken for %q", text, got)
		}
	}
}

func record() payment.Record {
	r := payment.Record{State: payment.StateFinal}
	r.ID, r.Operation, r.Terminal = "p1", payment.Purchase, "front"
	r.Amount = payment.Money{Minor: 1050, Currency: "HKD"}
	r.Outcome = payment.Outcome{Result: payment.Approved, Amount: r.Amount, Text: "approved"}
	return r
}

func TestSentence(t *testing.T) {
	declined := record()
	declined.Outcome = payment.Outcome{Result: payment.Declined, Response: "51", Vendor: payment.VendorCode{Code: "E5", Text: "no\x1b[2J money"}, Text: "declined by the bank"}
	doubtful := record()
	doubtful.State, doubtful.Outcome, doubtful.Operation, doubtful.Test = payment.StateInDoubt, payment.Outcome{}, payment.Refund, true
	closed := payment.Record{State: payment.StateFinal, Outcome: payment.Outcome{Result: payment.Approved, Reference: payment.Reference{Receipt: "000000"}}}
	closed.Operation = payment.Reconciliation
	for want, r := range map[string]payment.Record{
		"reconciliation approved (receipt 000000)": closed,
		"approved 10.50 HKD":                       record(),
		"declined 10.50 HKD (bank says 51, terminal says E5 no [2J money): declined by the bank": declined,
		"refund in-doubt 10.50 HKD (simulated)":                                                  doubtful,
	} {
		if got := sentence(r); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestColumns(t *testing.T) {
	var b bytes.Buffer
	columns(&b, [][]string{{"A", "BB", "C"}, {"Thẻ", "", "c"}, {"x", "yyy", ""}})
	if got, want := b.String(), "A    BB   C\nThẻ       c\nx    yyy\n"; got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestCSVHasNoFormulas(t *testing.T) {
	r := record()
	r.Order = `=HYPERLINK("http://x","y")`
	r.Outcome.Reference.Auth = "+1"
	r.Outcome.Card.PAN = payment.MaskPAN("4111111111111111")
	row := csvRow(r)
	if len(row) != len(headings) {
		t.Fatalf("a row has %d cells, the headings %d", len(row), len(headings))
	}
	for i, cell := range row {
		if cell != "" && strings.Contains("=+-@", cell[:1]) {
			t.Errorf("%s begins a formula: %s", headings[i], cell)
		}
	}
	if got := row[slices.Index(headings, "card")]; got != "1111" {
		t.Errorf("card is %q, want its last four digits", got)
	}
	if got := row[slices.Index(headings, "amount")]; got != "10.50" {
		t.Errorf("amount is %q, want 10.50", got)
	}
}

func TestEventText(t *testing.T) {
	at := payment.Moment{Time: time.Unix(0, 0), Clock: payment.ClockSynced}
	e := payment.NewEvent(payment.EventFinal, payment.About("p1"), at, false, record())
	if got, want := eventText(e), "payment.final  p1  approved 10.50 HKD"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e.Type, e.Data = payment.EventGap, json.RawMessage(`{"from":3,"to":9}`)
	if got, want := eventText(e), `gateway.gap  {"from":3,"to":9}`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	e.Data = json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)
	if got := eventText(e); len(got) > 300 {
		t.Errorf("a long event has %d characters on its line", len(got))
	}
}
