package ssi

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"tillgate/internal/payment"
)

// sampleResult is the sample of document 5.5.1, its printing faults removed.
const sampleResult = `{"method": "GetLastResult","error": false,"errorCode":"","errorDescription": "","params":{
"originalTrnName":"Purchase","transAmount": "24500","discount": "500","authCode": "123456","date": "08/11/2023","time": "11:34:14",
"invoiceNum": "999999","bankName": "Bank Acquirer","merchantId": "MERCHANT1","pan": "4725XXXXXXXX1627","responseCode": "0000",
"rrn": "9999999999999","transactionResult": "APPROVED-ONLINE","terminalId": "T0000001","posEntryMode": "CONTACTLESS","binName": "VISA",
"track2":"4402722218390184=26092011881002000001","cardHolderName": "MR CARDHOLDER","parEnabled":true,"parValue":"7","balance":"99958881159","errorDetails": ""}}`

func mustDecode(t testing.TB, s string) answer {
	t.Helper()
	a, err := decode([]byte(s))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestDecodeSample(t *testing.T) {
	a := mustDecode(t, sampleResult)
	r := a.Params.result
	want := result{
		Trn: "Purchase", Amount: "24500", Discount: "500", Auth: "123456", Date: "08/11/2023", Time: "11:34:14", Invoice: "999999", Bank: "Bank Acquirer",
		MID: "MERCHANT1", PAN: r.PAN, Response: "0000", RRN: "9999999999999", Result: "APPROVED-ONLINE", TID: "T0000001", Entry: "CONTACTLESS", Bin: "VISA",
	}
	if r != want || r.PAN.Last4() != "1627" || a.failed() || judge(a) != done {
		t.Errorf("got %+v, %v", r, judge(a))
	}
}

// TestCardDataDropped: nothing of track, holder and PAR is in what is decoded,
// nor in an outcome, and no full card number in any text.
func TestCardDataDropped(t *testing.T) {
	a := mustDecode(t, strings.NewReplacer(`"4725XXXXXXXX1627"`, `"4725111122221627"`, `"errorDescription": ""`, `"errorDescription": "card 4725 1111 2222 1627 refused"`,
		`"errorDetails": ""`, `"errorDetails": "track 4402722218390184=2609"`).Replace(sampleResult))
	term := &terminal{settings: defaults(), currency: "UAH"}
	all := fmt.Sprintf("%+v %+v %s", a, term.outcome(a, payment.Transaction{}, "answer"), a.why())
	for _, secret := range []string{"4402722218390184", "26092011881", "CARDHOLDER", "47251111", "1111 2222", "99958881159"} {
		if strings.Contains(all, secret) {
			t.Errorf("%q is still there: %s", secret, all)
		}
	}
	if !strings.Contains(all, "1627") || !strings.Contains(all, "card *** refused") {
		t.Errorf("what may be kept is gone: %s", all)
	}
}

func TestDecodeOdd(t *testing.T) {
	for name, text := range map[string]string{
		"keys in other cases":     `{"METHOD":"GetStatus","Error":false,"errorcode":"","STATUS":"s03"}`,
		"status in params":        `{"method":"GetStatus","error":false,"params":{"status":"S03"}}`,
		"no method, nor error":    `{"params":{"status":"S03"}}`,
		"error as text":           `{"method":"GetStatus","error":"false","status":"S03"}`,
		"unknown keys":            `{"method":"GetStatus","error":false,"status":"S03","a":{"b":[1,2,{}]},"params":{"c":null}}`,
		"params that are a list":  `{"method":"GetStatus","error":false,"status":"S03","params":[]}`,
		"params that are null":    `{"method":"GetStatus","error":false,"status":"S03","params":null}`,
		"blanks around":           " \r\n{\"method\" : \"GetStatus\" , \"error\" : false , \"status\" : \" S03 \"}\n",
		"a receipt that is a set": `{"method":"GetStatus","status":"S03","params":{"receipt":[{"hex":"89504e47"}]}}`,
	} {
		a, err := decode([]byte(text))
		if err != nil || a.status() != "S03" || a.failed() {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
	for name, text := range map[string]string{
		"no object": `[]`, "nothing": ``, "half": `{"method":"x"`, "nothing known": `{"a":1}`, "error that is no boolean": `{"method":"x","error":"4402722218390184"}`, "two": `{"method":"x"}{}`,
	} {
		if _, err := decode([]byte(text)); !errors.Is(err, errAnswer) || strings.Contains(err.Error(), "44027") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if a := mustDecode(t, `{"errorCode":"E06"}`); !a.failed() {
		t.Error("an error code alone is no error")
	}
	if a := mustDecode(t, `{"method":"x","params":{"merchantId":"EXIM CASH      ","totalSaleCount":2,"rrn":"a\r\nb"}}`); a.Params.MID != "EXIM CASH" || a.Params.SaleCount != "2" || a.Params.RRN != "a  b" {
		t.Errorf("got %+v", a.Params)
	}
}

func TestWithoutPAN(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "RRN 12345678901": "RRN 12345678901", "4725111122221627": "***", "x4725 1111-2222 1627 y": "x*** y", "12 34": "12 34", "1- 2": "1- 2", "ціна 5": "ціна 5",
		"4725111122221627=2609": "***=2609",
	} {
		if got := withoutPAN(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

// TestCutTextHasNoPAN wherever it is cut.
func TestCutTextHasNoPAN(t *testing.T) {
	for n := range maxText {
		in := `"` + strings.Repeat("x", n) + ` 4111111111111111"`
		var why prose
		var p paper
		if err := errors.Join(json.Unmarshal([]byte(in), &why), json.Unmarshal([]byte(in), &p)); err != nil {
			t.Fatal(err)
		}
		if len(why) > maxText || strings.Contains(string(why), "4111") || len(p.lines) != 1 || strings.Contains(p.lines[0], "4111") {
			t.Errorf("behind %d characters: got %q, %q", n, why, p.lines)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(sampleResult))
	f.Add([]byte(`{"method":"x","error":true,"params":{"transactions":[{"pan":4725111122221627}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decode(b)
		if err != nil {
			if !errors.Is(err, errAnswer) {
				t.Fatalf("%v", err)
			}
			return
		}
		for _, s := range []text{a.Method, a.Code, a.Status, a.Params.RRN, a.Params.Invoice} {
			if len(s) > maxText || strings.ContainsAny(string(s), "\r\n\x00\x1b") {
				t.Fatalf("a value that was not cleaned: %q", s)
			}
		}
		if len(a.Params.PAN.Last4()) > 4 {
			t.Fatal("too much of a card number")
		}
		judge(a)
	})
}
