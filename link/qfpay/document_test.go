package qfpay

import (
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tillgate/link/linktest"
)

// documented are the fields of chapter 5 of the document, as it lists them.
var documented = strings.Fields(`respcd resmsg reserr mchntnm sysdtm userid busicd txamt txcurrcd chnlsn paydtm udid syssn clisn out_trade_no cardscheme
	txdtm orig_syssn originTxamt server_time cancel opuid prepay_amt tradetp origssn customer_source opuser nickname allow_refund_amt desc
	origbusicd cardno cardtype batchno refno respmsg resperr`)

// TestDocument holds the page about this protocol and the code to each other.
func TestDocument(t *testing.T) {
	page := linktest.ReadPage(t, "qfpay")
	t.Run("fields", func(t *testing.T) {
		left := setOf(slices.Concat(documented, kept, dropped))
		for _, row := range page.Rows(t, "key | our word |") {
			if !left[row[0]] {
				t.Errorf("%s has two rows, or is no field", row[0])
			}
			delete(left, row[0])
			checkField(t, row[0], row[2])
		}
		for key := range left {
			t.Errorf("%s has no row", key)
		}
	})
	t.Run("codes", func(t *testing.T) {
		seen := map[string]bool{}
		for _, row := range page.Rows(t, "respcd | of the transaction |") {
			a := answer{respcd: row[0]}
			if row[1] != "none" {
				a.records = []record{{text: map[string]string{"respcd": row[1]}}}
			}
			if got := judge(a).decision.String(); got != row[2] {
				t.Errorf("%v: got %s", row, got)
			}
			seen[row[0]], seen[row[1]] = true, true
		}
		for _, c := range slices.Concat(slices.Collect(maps.Keys(answers)), slices.Collect(maps.Keys(hosts))) {
			if !seen[c] {
				t.Errorf("%s has no row", c)
			}
		}
		for _, row := range page.Rows(t, "packet type |") {
			var kind byte
			if _, err := fmt.Sscanf(row[0], "0x%x", &kind); err != nil || packetErrors[kind].decision.String() != row[2] {
				t.Errorf("%v: %v, %v", row, packetErrors[kind], err)
			}
		}
	})
	t.Run("functions", func(t *testing.T) {
		for _, row := range page.Rows(t, "function | operation |") {
			if got := path(row[0]); got != row[2] {
				t.Errorf("%s: got %s, the page says %s", row[0], got, row[2])
			}
		}
	})
	t.Run("members", func(t *testing.T) {
		have := setOf(nil)
		for _, row := range page.Rows(t, "member | in |") {
			have[row[0]] = true
		}
		s := defaults()
		s.Camera, s.ScanType, s.WaitCardTimeout, s.PaymentTimeout, s.MoveToBack, s.AllowModify = "front", "SCAN_PAY", 1e9, 1e9, true, true
		for _, p := range slices.Concat(s.trade("A", hkd(1)), s.refund("1", hkd(1)), s.query("orderId", "1"), printReceipt("1")) {
			if !have[p.key] {
				t.Errorf("%s has no row", p.key)
			}
		}
	})
	t.Run("settings", func(t *testing.T) {
		page.Settings(t, "setting | default |", reflect.TypeFor[Settings]())
		page.Settings(t, "setting of a sender |", reflect.TypeFor[NotifySettings]())
	})
	t.Run("behaviours", func(t *testing.T) {
		linktest.Behaviours(t, page, "behaviour | what", grammar())
		linktest.Behaviours(t, page, "behaviour of the cloud |", tales())
		for _, head := range []string{"behaviour | what", "behaviour of the cloud |"} {
			checkPlayed(t, page.Rows(t, head), page.Source)
		}
	})
	t.Run("the tests exist", func(t *testing.T) {
		page.Tests(t, "function | operation |", "member | in |", "key | our word |", "limit | document |", "question | what", "behaviour | what", "field of a notification |", "behaviour of the cloud |")
	})
}

// checkPlayed holds the row of each behaviour to the test that it names, which must
// play it.
func checkPlayed(t *testing.T, rows [][]string, source string) {
	t.Helper()
	for _, row := range rows {
		name, _, _ := strings.Cut(strings.NewReplacer("[", "", "]", "").Replace(row[0]), ":")
		if !regexp.MustCompile(`["+]` + name + `["+:]`).MatchString(bodyOf(source, row[2])) {
			t.Errorf("%s is not in the test %s", name, row[2])
		}
	}
}

// bodyOf is the text of one test, with the subject of the conformance suite if
// it is that.
func bodyOf(source, name string) string {
	_, body, _ := strings.Cut(source, "func "+name+"(")
	body, rest, _ := strings.Cut(body, "\n}\n")
	if line, _, _ := strings.Cut(body+"\n"+rest, "\n"); strings.Contains(line, "subject(t)") {
		return bodyOf(source, "subject")
	}
	return body
}

// checkField decodes a transaction that has nothing but one field, and looks for
// its value in what was decoded.
func checkField(t *testing.T, key, fate string) {
	t.Helper()
	const value = "word5184"
	text := value
	if key == "cardno" {
		text = "520000******5184"
	}
	a, err := decode(fmt.Appendf(nil, `{"respcd":"6000","data":{"%s":"%s"}}`, key, text))
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return
	}
	all := fmt.Sprintf("%+v", a)
	got := "dropped"
	switch {
	case strings.Contains(all, text):
		got = "kept"
	case strings.Contains(all, "5184"):
		got = "masked"
	}
	if got != fate {
		t.Errorf("%s is %s, the page says %s", key, got, fate)
	}
}
