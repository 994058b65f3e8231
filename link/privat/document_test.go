package privat

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tillgate/link/linktest"
	"tillgate/link/tmaster"
)

// documented are the parameters of answers that the document prints or
// describes; those of the samples are added by the test.
var documented = strings.Fields(`amount approvalCode captureReference cardExpiryDate cardHolderName date discount hstFld63Sf89 invoiceNumber issuerName
	merchant pan posConditionCode posEntryMode processingCode receipt responseCode rrn rrnExt terminalId time track1 signVerif txnType trnStatus adv adv2p
	bankAcquirer paymentSystem subMerchant code hash track2 track3 version balance amountOfParts agreementNum amountCash result resultCashback pinblock
	pinblockNew PhoneNumber OTPpassword msgType LastResult LastStatMsgCode LastStatMsgDescription vendor model discountName`)

// TestDocument holds the page about this protocol and the code to each other.
func TestDocument(t *testing.T) {
	page := linktest.ReadPage(t, "privat")
	t.Run("every member has a row", func(t *testing.T) {
		have := map[string]bool{}
		for _, row := range page.Rows(t, "key | in |") {
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
		for _, row := range page.Rows(t, "responseCode | error |") {
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
	t.Run("stages", func(t *testing.T) {
		rows := page.Rows(t, "LastStatMsgCode | meaning |")
		if len(rows) != 19 {
			t.Errorf("%d codes have a row, want 0 to 18", len(rows))
		}
		for i, row := range rows {
			if row[0] != strconv.Itoa(i) || string(stages[row[0]]) != row[2] {
				t.Errorf("%v: got %q", row, stages[row[0]])
			}
		}
	})
	t.Run("methods", func(t *testing.T) {
		var cells []string
		for _, row := range page.Rows(t, "operation | method |") {
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
		page.Settings(t, "setting | default |", reflect.TypeFor[Settings]())
	})
	t.Run("behaviours", func(t *testing.T) {
		linktest.Behaviours(t, page, "behaviour | what", tmaster.Grammar(simFeatures, false))
	})
	t.Run("the tests exist", func(t *testing.T) {
		page.Tests(t, "key | in |", "limit | document |", "question | what", "operation | method |")
	})
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
