package ssi

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link/linktest"
)

// documentMethods are the methods of chapter 2 of the document, and the one of
// later firmware that is used.
var documentMethods = strings.Fields(`Purchase Void Refund CashBack Preauthorization SalePreauth VoidPreauth Cash Deposit Balance Echo PartialVoid
	ZReport XReport GetStatus Interrupt Restart GetLastResult GetLastReceipt PingDevice RestartPaymentApp GetLastReport GetMerchantList
	GetLastReportReceipt PrintXml PrintPdfUrl GetTerminalInfo GetResultByUid`)

// documentKeys are the keys of answers that chapters 4.3.1, 4.3.2 and 5.5 list
// and that concern a payment, a report or the terminal's identity.
var documentKeys = strings.Fields(`method error errorCode errorDescription details status errorParams errorDetails
	originalTrnName time date pan cardholderName transAmount balance discount merchantId terminalId invoiceNum authCode rrn responseCode
	transactionResult posEntryMode track2 bankName binName isBatchEmpty transactions totalSaleCount totalSaleAmount totalFinAuthCount
	totalFinAuthAmount totalRefundCount totalRefundAmount totalCashCount totalCashAmount totalPaymentCount totalPaymentAmount totalVoidCount
	totalVoidAmount batchNumber parEnabled parValue terminalSerialNumber pos_sn terminalModel model os_version
	endAmount cashAmount binDiscount merchantCount merchantList receipt securityDriver androidVersion sdkVersion currentApp paymentApps serviceApps
	thirdPartyApps externalRegisterApps rom boot_version devcfg_version napi_api_version pci_fw_version`)

// TestDocument holds the page about this protocol and the code to each other.
func TestDocument(t *testing.T) {
	page := linktest.ReadPage(t, "ssi")
	t.Run("every method has a row", func(t *testing.T) {
		var have []string
		for _, row := range page.Rows(t, "method | what for |") {
			have = append(have, row[0])
			if (row[3] == "none") != strings.HasPrefix(row[2], "not supported") {
				t.Errorf("%s: test %q for %q", row[0], row[3], row[2])
			}
		}
		slices.Sort(have)
		want := slices.Sorted(slices.Values(documentMethods))
		if !slices.Equal(have, want) {
			t.Errorf("the page has %v, the document %v", have, want)
		}
	})
	t.Run("every key has a row, and the decoder does what it says", func(t *testing.T) {
		have := map[string]bool{}
		for _, row := range page.Rows(t, "key | in |") {
			have[row[0]] = true
			checkKey(t, row[0], row[1], row[3])
		}
		for _, key := range documentKeys {
			if !have[key] {
				t.Errorf("%s has no row", key)
			}
		}
	})
	t.Run("results", func(t *testing.T) {
		left := maps.Clone(transactionResults)
		for _, row := range page.Rows(t, "transactionResult | without") {
			delete(left, row[0])
			for i, code := range []string{"", "0000", "51"} {
				var a answer
				a.Params.Result, a.Params.Response = text(row[0]), text(code)
				if got := judge(a).String(); got != row[i+1] {
					t.Errorf("%s with %q: got %s, the page says %s", row[0], code, got, row[i+1])
				}
			}
		}
		for name := range left {
			t.Errorf("%s has no row", name)
		}
	})
	t.Run("error codes", func(t *testing.T) {
		left := maps.Clone(errorCodes)
		for _, row := range page.Rows(t, "code | refused |") {
			delete(left, row[0])
			refused := "doubtful"
			if errorCodes[row[0]].refused {
				refused = "not done"
			}
			var a answer
			a.Error, a.Code, a.Params.Amount = flag{true, true}, text(row[0]), "1"
			if got := judge(a).String(); got != row[2] || refused != row[1] {
				t.Errorf("%s: got %s and %s, the page says %s and %s", row[0], refused, got, row[1], row[2])
			}
			for _, trace := range []func(){func() { a.Params.RRN = "1" }, func() { a.Params.RRN, a.Params.Auth = "", "1" }, func() { a.Params.Auth, a.Params.Response = "", "00" }} {
				if trace(); row[2] != "none" && judge(a) != doubtful {
					t.Errorf("%s with a trace of the bank: got %s", row[0], judge(a))
				}
			}
		}
		for name := range left {
			t.Errorf("%s has no row", name)
		}
	})
	t.Run("status", func(t *testing.T) {
		yes := map[bool]string{true: "yes", false: "no"}
		left := maps.Clone(stages)
		for _, row := range page.Rows(t, "status | stage |") {
			stage := string(stages[row[0]])
			if stage == "" {
				stage = "none"
			}
			if delete(left, row[0]); stage != row[1] || yes[over(row[0])] != row[2] || yes[interruptible(row[0])] != row[3] {
				t.Errorf("%v: got %s, %v, %v", row, stage, over(row[0]), interruptible(row[0]))
			}
		}
		for name := range left {
			t.Errorf("%s has no row", name)
		}
	})
	t.Run("settings", func(t *testing.T) {
		page.Settings(t, "setting | default |", reflect.TypeFor[Settings]())
	})
	t.Run("behaviours", func(t *testing.T) {
		linktest.Behaviours(t, page, "behaviour | what", grammar())
	})
	t.Run("the tests exist", func(t *testing.T) {
		page.Tests(t, "key | in |", "limit | document |", "question | what")
	})
}

// checkKey decodes an answer that has nothing but one key, and looks for its
// value in everything that was decoded.
func checkKey(t *testing.T, key, in, fate string) {
	t.Helper()
	const value = "4720111122225184"
	member := fmt.Sprintf(`"%s":"%s"`, key, value)
	switch key {
	case "error", "isBatchEmpty", "parEnabled":
		member = fmt.Sprintf(`"%s":true`, key)
	case "transactions":
		member = fmt.Sprintf(`"%s":[{"rrn":"%s"}]`, key, value)
	case "merchantList":
		member = fmt.Sprintf(`"%s":["%s"]`, key, value)
	case "currentApp", "securityDriver", "rom":
		member = fmt.Sprintf(`"%s":{"versionName":"%s"}`, key, value)
	case "paymentApps", "serviceApps", "thirdPartyApps":
		member = fmt.Sprintf(`"%s":[{"name":"%s"}]`, key, value)
	}
	message := fmt.Sprintf(`{"method":"x",%s}`, member)
	if in == "params" {
		message = fmt.Sprintf(`{"method":"x","params":{%s}}`, member)
	}
	a, err := decode([]byte(message))
	if err != nil {
		t.Errorf("%s.%s: %v", in, key, err)
		return
	}
	empty, err := decode([]byte(`{"method":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	all, got := fmt.Sprintf("%+v", a), "kept"
	switch {
	case reflect.DeepEqual(a, empty):
		got = "dropped"
	case strings.Contains(all, "***") && !strings.Contains(all, value[12:]):
		got = "without PAN"
	case strings.Contains(all, value[12:]) && !strings.Contains(all, value[11:]):
		got = "masked"
	}
	if got != fate {
		t.Errorf("%s.%s is %s, the page says %s", in, key, got, fate)
	}
}

// TestReconciled reads the reports that end a reconciliation.
func TestReconciled(t *testing.T) {
	for report, want := range map[string]payment.Result{
		`{"method":"GetLastReport","error":false,"params":{"batchNumber":"7"}}`:                      payment.Approved,
		`{"method":"GetLastReport","error":false,"params":{"isBatchEmpty":true}}`:                    payment.Approved,
		`{"method":"GetLastReport","error":true,"errorCode":"E21","params":{"responseCode":"95"}}`:   payment.Approved,
		`{"method":"GetLastReport","error":true,"errorCode":"E18","params":{"responseCode":""}}`:     payment.Failed,
		`{"method":"GetLastReport","error":true,"errorCode":"E10","params":{"totalSaleCount":"0"}}`:  "",
		`{"method":"GetLastReport","error":true,"errorCode":"E20","params":{}}`:                      "",
		`{"method":"GetLastReport","error":true,"errorCode":"","params":{}}`:                         "",
		`{"method":"GetLastReport","error":true,"errorCode":"E10","params":{"responseCode":"0095"}}`: payment.Approved,
		`{"method":"GetLastReport","error":true,"errorCode":"E14","params":{"responseCode":"00"}}`:   payment.Failed,
	} {
		o, err := reconciled(mustDecode(t, report), payment.SourceAnswer)
		if o.Result != want || (want == "") != (err != nil) {
			t.Errorf("%s: got %+v, %v", report, o, err)
		}
	}
}
