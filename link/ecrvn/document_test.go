package ecrvn

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"tillgate/link/linktest"
)

// documented are the keys that the document lists or describes. Those that only
// its samples have are added by the test.
var documented = strings.Fields(`answer.requestId answer.clientId answer.command answer.status answer.transInfo
	transInfo.transType transInfo.cardNo transInfo.amount transInfo.time transInfo.expireDate transInfo.refNo transInfo.approvalCode
	transInfo.returnCode transInfo.tid transInfo.mid transInfo.currencyCode transInfo.batchNo transInfo.receiptNo transInfo.cardType
	transInfo.cardholder transInfo.cardInput transInfo.posSerial transInfo.transName transInfo.transStatus`)

// TestDocument holds the page about this protocol and the code to each other.
func TestDocument(t *testing.T) {
	page := linktest.ReadPage(t, "ecrvn")
	t.Run("every key has a row", func(t *testing.T) {
		have := map[string]bool{}
		for _, row := range page.Rows(t, "key | in |") {
			name := row[1] + "." + row[0]
			if have[name] {
				t.Errorf("%s has two rows", name)
			}
			have[name] = true
		}
		for _, key := range append(documented, sampleKeys(t)...) {
			if !have[key] {
				t.Errorf("%s has no row", key)
			}
		}
	})
	t.Run("the decoder does what the row says", func(t *testing.T) {
		for _, row := range page.Rows(t, "key | in |") {
			checkKey(t, row[0], row[1], row[3])
		}
	})
	t.Run("codes", func(t *testing.T) {
		for _, row := range page.Rows(t, "status | returnCode |") {
			for i := range row[:3] {
				row[i] = strings.TrimPrefix(row[i], "none")
			}
			for command, want := range map[string]string{cmdSale: row[3], cmdVoid: row[3], cmdSettle: row[4]} {
				a := answer{command: command, status: row[0], info: info{returnCode: row[1], transStatus: row[2]}}
				if got := judge(a).String(); got != want {
					t.Errorf("%s: %q: got %s, want %s", command, row[:3], got, want)
				}
			}
		}
	})
	t.Run("settings", func(t *testing.T) {
		page.Settings(t, "setting | default |", reflect.TypeFor[Settings]())
	})
	t.Run("behaviours", func(t *testing.T) {
		linktest.Behaviours(t, page, "behaviour | what", grammar())
	})
	t.Run("the tests exist", func(t *testing.T) {
		page.Tests(t, "key | in |", "limit | document |", "question | what", "operation | command |")
	})
}

// sampleKeys are the keys of the captured answers.
func sampleKeys(t *testing.T) (keys []string) {
	for i, text := range samples(t) {
		var a map[string]any
		text = strings.NewReplacer("\n", "", "\r", "").Replace(text)
		if err := json.Unmarshal([]byte(text), &a); err != nil {
			t.Fatalf("sample %d: %v", i+1, err)
		}
		for key, v := range a {
			keys = append(keys, "answer."+key)
			inner, _ := v.(map[string]any)
			for key := range inner {
				keys = append(keys, "transInfo."+key)
			}
		}
	}
	return keys
}

// checkKey decodes an answer that has nothing but one key, and looks for its
// value in everything that was decoded.
func checkKey(t *testing.T, key, in, fate string) {
	t.Helper()
	const value = "4720111122225184"
	text := fmt.Sprintf(`{"status":"x","%s":"%s"}`, key, value)
	if key == "status" {
		text = fmt.Sprintf(`{"status":"%s"}`, value)
	}
	if key == "transInfo" {
		text = fmt.Sprintf(`{"status":"x","transInfo":{"tid":"%s"}}`, value)
	}
	if in == "transInfo" {
		text = fmt.Sprintf(`{"status":"x","transInfo":{"%s":"%s"}}`, key, value)
	}
	a, err := decode([]byte(text))
	if err != nil {
		t.Errorf("%s.%s: %v", in, key, err)
		return
	}
	all := fmt.Sprintf("%+v", a)
	got := "dropped"
	switch {
	case strings.Contains(all, value):
		got = "kept"
	case strings.Contains(all, value[12:]) && !strings.Contains(all, value[11:]):
		got = "masked"
	case strings.Contains(all, value[10:]):
		got = "shown in part"
	}
	if got != fate {
		t.Errorf("%s.%s is %s, the page says %s", in, key, got, fate)
	}
}
