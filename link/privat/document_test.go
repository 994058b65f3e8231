package privat

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

	"tillgate/link/tmaster"
)

var page = filepath.Join("..", "..", "docs", "protocols", "privat.md")

// documented are the parameters of answers that the document prints or
// describes; those of the samples are added by the test.
var documented = strings.Fields(`amount approvalCode captureReference cardExpiryDate cardHolderName date discount hstFld63Sf89 invoiceNumber issuerName
	merchant pan posConditionCode posEntryMode processingCode receipt responseCode rrn rrnExt terminalId time track1 signVerif txnType trnStatus adv adv2p
	bankAcquirer paymentSystem subMerchant code hash track2 track3 version balance amountOfParts agreementNum amountCash result resultCashback pinblock
	pinblockNew PhoneNumber OTPpassword msgType LastResult LastStatMsgCode LastStatMsgDescription vendor model discountName`)

// table reads the rows of the table whose header begins with head.
func table(t *testing.T, head string) (rows [][]string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(string(b), "\n| "+head)
	if !ok {
		t.Fatalf("no table %q", head)
	}
	text, _, _ = strings.Cut(text, "\n\n")
	for _, line := range strings.Split(text, "\n")[2:] {
		var row []string
		for _, cell := range strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|"), "|") {
			row = append(row, strings.Trim(strings.TrimSpace(cell), "`"))
		}
		rows = append(rows, row)
	}
	return rows
}

// TestDocument holds the page about this protocol and the code to each other.
func TestDocument(t *testing.T) {
	t.Run("every member has a row", func(t *testing.T) {
		have := map[string]bool{}
		for _, row := range table(t, "key | in |") {
			if have[row[0]] {
				t.Errorf("%s has two rows", row[0])
			}
			have[row[0]] = true
			checkMember(t, row[0], row[1], row[3])
		}
		for _, key := range slices.Concat(documented, keptKeys, droppedKeys[:12], sampleKeys(t)) {
			if !have[key] && key != "panHash" {
				t.Errorf("%s has no row", key)
			}
		}
	})
	t.Run("codes", func(t *testing.T) {
		seen := map[string]bool{}
		for _, row := range table(t, "responseCode | error |") {
			code := strings.TrimPrefix(row[0], "none")
			seen[code] = true
			for _, method := range []string{methodPurchase, methodPreauth} {
				if got := judge(answer{method: method, code: code, failed: row[1] == "true"}).String(); got != row[2] {
					t.Errorf("%s %q: got %s, want %s", method, row[:2], got, row[2])
				}
			}
			if got := judge(answer{method: methodRefund, code: code, failed: row[1] == "true"}).String(); got != row[2] && code != codePartial || code == codePartial && got != "doubtful" {
				t.Errorf("a refund with %q: got %s", row[:2], got)
			}
		}
		for code := range terminalCodes {
			if !seen[code] {
				t.Errorf("%s has no row", code)
			}
		}
	})
	t.Run("methods", func(t *testing.T) {
		var cells []string
		for _, row := range table(t, "operation | method |") {
			cells = append(cells, row[1])
		}
		all := strings.Join(cells, " ")
		for _, m := range []string{
			methodPing, methodInfo, methodReceipt, methodPurchase, methodRefund, methodVoid, methodPartly, methodPreauth, methodCompletion, methodVerify,
			methodCashback, methodBalance, methodAudit, methodVerifyCopy, methodPrint, methodJournal, methodHost,
			msgIdentify, msgInterrupt, msgLastResult, msgStatus, msgStatusText, msgDiscount, msgCorrect, msgCorrected, msgMerchants, msgMasks,
		} {
			if !strings.Contains(all, m) {
				t.Errorf("%s has no row", m)
			}
		}
		for m := range services {
			if !strings.Contains(" "+strings.NewReplacer("`", " ", ",", " ").Replace(all)+" ", " "+m+" ") {
				t.Errorf("%s has no row", m)
			}
		}
	})
	t.Run("settings", func(t *testing.T) {
		var rows, fields []string
		for _, row := range table(t, "setting | default |") {
			rows = append(rows, row[0])
		}
		for _, f := range reflect.VisibleFields(reflect.TypeFor[Settings]()) {
			fields = append(fields, f.Tag.Get("yaml"))
		}
		if !slices.Equal(rows, fields) {
			t.Errorf("the page has %v, the profile %v", rows, fields)
		}
	})
	t.Run("behaviours", func(t *testing.T) {
		g := tmaster.Grammar(simFeatures, false)
		left := slices.Concat(slices.Collect(maps.Keys(g.Outcomes)), slices.Collect(maps.Keys(g.Features)))
		for _, row := range table(t, "behaviour | what") {
			name, _, _ := strings.Cut(row[0], "[")
			if !slices.Contains(left, name) {
				t.Errorf("%s is none, or has two rows", name)
			}
			left = slices.DeleteFunc(left, func(s string) bool { return s == name })
			if _, err := g.Parse([]string{name}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			takes := false
			for _, arg := range []string{"05", "1004", "1", "1s", "x"} {
				_, err := g.Parse([]string{name + ":" + arg})
				takes = takes || err == nil
			}
			if takes != strings.Contains(row[0], "[") {
				t.Errorf("%s: the page is wrong about its argument", name)
			}
		}
		for _, name := range left {
			t.Errorf("%s has no row", name)
		}
	})
	t.Run("the tests exist", checkTests)
}

func checkTests(t *testing.T) {
	var source strings.Builder
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range append(files, page) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		source.Write(b)
	}
	all := source.String()
	for _, name := range regexp.MustCompile(`\bTest[A-Z]\w+`).FindAllString(all[strings.LastIndex(all, "# privat: "):], -1) {
		if !strings.Contains(all, "func "+name+"(") {
			t.Errorf("%s does not exist", name)
		}
	}
	for _, head := range []string{"key | in |", "limit | document |", "question | what", "operation | method |"} {
		for _, row := range table(t, head) {
			if !strings.HasPrefix(row[len(row)-1], "Test") {
				t.Errorf("%s: no test is named", row[0])
			}
		}
	}
}

// sampleKeys are the parameters of the document's messages that are answers.
func sampleKeys(t *testing.T) (keys []string) {
	for name, text := range messages(t) {
		var a struct {
			Error  *bool
			Params map[string]any
		}
		if err := json.Unmarshal(text, &a); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if a.Error != nil {
			keys = slices.AppendSeq(keys, maps.Keys(a.Params))
		}
	}
	return keys
}

// checkMember decodes an answer that has nothing but one member, and looks for
// its value in everything that was decoded and what is made of it.
func checkMember(t *testing.T, key, in, fate string) {
	t.Helper()
	const value = "4731111122229838"
	text := fmt.Sprintf(`{"method":"x","error":false,"params":{"%s":"%s"}}`, key, value)
	switch {
	case key == "method":
		text = `{"method":"4731111122229838","error":false}`
	case key == "error":
		text = `{"method":"x","error":true}`
	case key == "step":
		text = `{"method":"x","error":false,"step":"4731111122229838"}`
	case in == "answer": // card numbers in a text are masked; this one has none
		text = fmt.Sprintf(`{"method":"x","error":false,"%s":"4731 text"}`, key)
	}
	a, err := decode([]byte(text))
	if err != nil {
		t.Errorf("%s: %v", key, err)
		return
	}
	lines := receiptLines(a)
	if key == "receipt" { // masked where it leaves the decoder's own package
		a.receipt = ""
	}
	all := fmt.Sprintf("%+v %v", a, lines)
	got := "dropped"
	switch {
	case key == "error" && a.failed, strings.Contains(all, value), strings.Contains(all, "4731 text"):
		got = "kept"
	case strings.Contains(all, "9838") && !strings.Contains(all, "29838"):
		got = "masked"
	}
	if got != fate {
		t.Errorf("%s is %s, the page says %s", key, got, fate)
	}
}
