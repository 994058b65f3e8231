package ecrvn

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"tillgate/internal/payment"
	"tillgate/link/frame"
)

// capture reads a hex dump of testdata.
func capture(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// samples are the eight answers of the document, as printed.
func samples(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile("testdata/seed_responses_verbatim.json")
	if err != nil {
		t.Fatal(err)
	}
	var all []struct {
		N    int
		Text string
	}
	if err := json.Unmarshal(b, &all); err != nil || len(all) != 8 {
		t.Fatalf("got %d samples, %v, want 8", len(all), err)
	}
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = s.Text
	}
	return out
}

func TestEncode(t *testing.T) {
	if got, want := sale("Request:001", "UserName:Manh123", 2000, []string{"1", "2", "3", "4", "5"}).text(), capture(t, "seed_req.hex"); got != string(want) {
		t.Errorf("got %q, want the captured %q", got, want)
	}
	for _, c := range []struct{ got, want string }{ // as the document prints them
		{void("123", "456", defaults().receiptNo("000061")).text(), "/ecr?rqt=123|456&cmd=void|61"},
		{settle("123", "456", true).text(), "/ecr?rqt=123|456&cmd=settle|YES"},
		{settle("123", "456", false).text(), "/ecr?rqt=123|456&cmd=settle|NO"},
		{lastTrans("Request:333", "Manh222").text(), "/ecr?rqt=Request:333|Manh222&cmd=last_trans"},
		{sale("A", "B", 1, []string{"", "", "42", "", "X"}).text(), "/ecr?rqt=A|B&cmd=sale|1|||42||X"},
		{sale("A", "B", 1, nil).text(), "/ecr?rqt=A|B&cmd=sale|1"}, // BIDV
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
	r, err := parseRequest("/ecr?rq=Request:001|UserName:Manh123&cmd=sale|123456|1|2|3|4|5")
	if err != nil || fmt.Sprint(r) != fmt.Sprint(sale("Request:001", "UserName:Manh123", 123456, []string{"1", "2", "3", "4", "5"})) {
		t.Errorf("rq=: got %+v, %v", r, err)
	}
}

// TestDecodeSamples reads all eight answers of the document, in one stream with
// the echo and the noise of a line, byte by byte and whole.
func TestDecodeSamples(t *testing.T) {
	want := []answer{
		{"Request:001", "UserName:Manh123", "sale", "DONE", info{
			transType: "1", card: payment.MaskPAN("6163"), amount: "123456", stan: "000010", time: "20150614155543", refNo: "020037020001",
			approvalCode: "111112", returnCode: "00", tid: "31002095", mid: "000000100091555", currencyCode: "704", batchNo: "3", receiptNo: "6",
			cardType: "DEBIT CARD", cardInput: "S", posSerial: "71455815", transName: "THANH TOÁN", transStatus: "APPROVE"}, true},
		{"Request:001", "UserName:Manh123", "sale", "DONE", info{
			transType: "1", card: payment.MaskPAN("6163"), amount: "690000", stan: "000011", time: "20150614160012", refNo: "020037020001",
			approvalCode: "111112", returnCode: "55", tid: "31002095", mid: "000000100091555", currencyCode: "704", batchNo: "3", receiptNo: "7",
			cardType: "DEBIT CARD", cardInput: "S", posSerial: "71455815", transName: "THANH TOÁN", transStatus: "DECLINE"}, true},
		{"Request:001", "Manh123", "last_trans", "DONE", info{
			transType: "1", card: payment.MaskPAN("4103"), amount: "123000", stan: "000003", time: "20141017105010", refNo: "506435549325",
			approvalCode: "904780", returnCode: "00", tid: "31001659", mid: "000000100238068", currencyCode: "704", batchNo: "1", receiptNo: "3",
			cardType: "VISA", cardInput: "C", emvAppName: "Visa Platinum", emvAID: "A0000000031010", emvTC: "3F2BF161EBF40DA5",
			posSerial: "10079CT70096224", transName: "SALE", transStatus: "APPROVE"}, true},
		{"Request:001", "UserName:Manh123", "sale", "DONE", sale2018("STB VISAPAYWAVE", "THANHTOÃ N", "Request:001", "UserName:Manh123"), true},
		{"123", "456", "void", "DONE", info{
			transType: "2", amount: "123456", stan: "000083", time: "20180227182508", refNo: "311901704784", approvalCode: "321732", returnCode: "00",
			tid: "00000122", mid: "000000080210002", currencyCode: "704", batchNo: "000021", receiptNo: "000061", cardType: "VISA", cardInput: "C",
			emvAppName: "STB VISA PAYWAVE", emvAID: "A0000000031010", emvTC: "7FB1F94DAFB3898D", posSerial: "171407333221017301513850",
			transName: "Há»|Y THANH TOÃ N", transStatus: "APPROVE", requestID: "123", clientID: "456"}, true},
		{"123", "456", "settle", "DONE", info{
			transType: "3", stan: "000000", batchNo: "000000", receiptNo: "000000", transStatus: "APPROVE", requestID: "123", clientID: "456"}, true},
		{"Request:333", "Manh222", "last_trans", "DONE", sale2018("STB VISA PAYWAVE", "THANH TOÃ N", "Request:001", "UserName:Manh123"), true},
		{"Request:001", "UserName:Manh123", "sale", "DONE", info{
			transType: "1", card: payment.MaskPAN("5184"), amount: "2000", stan: "000345", time: "20180305152236", refNo: "054171266105",
			approvalCode: "107896", returnCode: "00", tid: "00000122", mid: "000000080210002", currencyCode: "704", batchNo: "000018", receiptNo: "000111",
			cardType: "VISA", cardInput: "C", emvAppName: "STB VISA PAYWAVE", emvAID: "A0000000031010", emvTC: "9C76E2E2E8AF76EB",
			posSerial: "171407333221017301513847", transName: "THANH TOÃ N", transStatus: "APPROVE", requestID: "Request:001", clientID: "UserName:Manh123"}, true},
	}
	var wire strings.Builder
	for _, s := range samples(t) {
		wire.WriteString("/ecr?rq=Request:001|UserName:Manh123&cmd=sale|123456|1|2|3|4|5\r\n" + s + "\x00\xff\r\n")
	}
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(wire.String()), "bytes": iotest.OneByteReader(strings.NewReader(wire.String()))} {
		objects := frame.NewObjects(r, maxAnswer)
		for i := range want {
			b, err := objects.Next()
			if err != nil {
				t.Fatalf("%s: sample %d: %v", name, i+1, err)
			}
			got, err := decode(b)
			if err != nil || got != want[i] {
				t.Errorf("%s: sample %d:\ngot  %+v, %v\nwant %+v", name, i+1, got, err, want[i])
			}
		}
	}
}

// sale2018 is the transaction of samples 4 and 7.
func sale2018(app, name, id, client string) info {
	return info{
		transType: "1", card: payment.MaskPAN("5184"), amount: "123456", stan: "000082", time: "20180227182508", refNo: "660802567803",
		approvalCode: "711190", returnCode: "00", tid: "00000122", mid: "000000080210002", currencyCode: "704", batchNo: "000021", receiptNo: "000061",
		cardType: "VISA", cardInput: "C", emvAppName: app, emvAID: "A0000000031010", emvTC: "7FB1F94DAFB3898D", posSerial: "171407333221017301513850",
		transName: name, transStatus: "APPROVE", requestID: id, clientID: client,
	}
}

// TestDecodeDumps reads the hex dump of a real exchange, as printed (two bytes
// are missing inside strings, which harms nobody) and repaired.
func TestDecodeDumps(t *testing.T) {
	for name, size := range map[string]int{"seed_rsp_asprinted.hex": 695, "seed_rsp_repaired.hex": 697} {
		b := capture(t, name)
		if len(b) != size {
			t.Errorf("%s: got %d bytes, want %d", name, len(b), size)
		}
		objects := frame.NewObjects(bytes.NewReader(b), maxAnswer)
		o, err := objects.Next()
		if err != nil || len(o) != size {
			t.Fatalf("%s: got %d bytes, %v, want all %d", name, len(o), err, size)
		}
		a, err := decode(o)
		if err != nil || a.requestID != "Request:001" || a.info.refNo != "054171266105" || a.info.transName != "THANH TOÁN" ||
			a.info.card.Last4() != "5184" || a.info.posSerial != "171407333221017301513847" || a.info.requestID != "Request:001" {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
		if got := defaults().outcome(a, payment.SourceAnswer); got.Result != payment.Approved || got.Amount != (payment.Money{Minor: 2000, Currency: "VND"}) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// TestDecodeOdd is what other firmware, or a bad line, may send.
func TestDecodeOdd(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"unknown keys", `{"status":"DONE","qrTransInfo":{"a":[1,{"b":null}]},"x":true,"transInfo":{"amount":5,"y":{}}}`, true},
		{"numbers for strings", `{"requestId":7,"status":"DONE","transInfo":{"amount":2000,"returnCode":"00"}}`, true},
		{"transInfo is a text", `{"status":"DONE","transInfo":""}`, true},
		{"null", `{"status":"DONE","command":null,"transInfo":null}`, true},
		{"a key twice", `{"requestId":"A","status":"DONE","requestId":"B"}`, false},
		{"a key twice inside", `{"status":"DONE","transInfo":{"amount":"1","amount":"2"}}`, false},
		{"nothing of ours", `{"a":"b"}`, false},
		{"no JSON", `{"status":DONE}`, false},
		{"a broken escape", `{"status":"\u12"}`, false},
		{"a broken escape in what is not kept", `{"status":"DONE","transInfo":{"cardHolder":"A\X\"","expireDate":"\u1"}}`, true},
		{"a broken escape in a key", `{"status":"DONE","\X":1}`, false},
		{"something behind it", `{"status":"DONE"}x`, false},
		{"too deep", `{"a":` + strings.Repeat("[", 10) + strings.Repeat("]", 10) + `,"status":"DONE"}`, false},
		{"too deep in an unknown key", `{"status":"DONE","a":` + strings.Repeat(`{"a":`, 10) + "1" + strings.Repeat("}", 10) + "}", false},
		{"an end without a value", `{"status":}`, false},
		{"a comma too many", `{"status":"DONE",}`, false},
	} {
		if a, err := decode([]byte(c.in)); (err == nil) != c.ok || !c.ok && !errors.Is(err, errAnswer) {
			t.Errorf("%s: got %+v, %v", c.name, a, err)
		}
	}
	a, err := decode([]byte("{\"status\":\"\\u0044O\\nNE\",\"command\":\"a\\tb\\u0007\x01c\",\"requestId\":\"" + strings.Repeat("é", 60) + "\xff\"}"))
	if err != nil || a.status != "DONE" || a.command != "a b  c" || a.requestID != strings.Repeat("é", 32) {
		t.Errorf("escapes and long values: got %+v, %v", a, err)
	}
}

// TestCardDataDropped has card data in all the places where these terminals
// put it, and looks for it in everything that leaves the decoder.
func TestCardDataDropped(t *testing.T) {
	const in = `{"requestId":"A","status":"DONE","command":"sale","track2":"4720111122225184=4912","transInfo":{"transType":"1","cardNo":"4720111122225184",` +
		`"expireDate":"12/49","cardHolder":"MANH/DAO XUAN","cardholder":"MANH/DAO XUAN","amount":"1","returnCode":"00","transStatus":"APPROVE","currencyCode":"704"}}`
	a, err := decode([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	o := defaults().outcome(a, payment.SourceAnswer)
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var explained strings.Builder
	if err := Explain(&explained, []byte(in)); err != nil {
		t.Errorf("explain: %v", err)
	}
	for where, s := range map[string]string{
		"answer": fmt.Sprintf("%+v %#v", a, a), "outcome": string(text), "receipt": strings.Join(o.Receipt, "\n"), "explain": explained.String(),
	} {
		for _, secret := range []string{"472011", "22225184", "12/49", "4912", "MANH", "XUAN"} {
			if strings.Contains(s, secret) {
				t.Errorf("%s shows %s: %s", where, secret, s)
			}
		}
		if !strings.Contains(s, "5184") {
			t.Errorf("%s lacks the last four digits: %s", where, s)
		}
	}
}

// escape is a backslash in a string with what belongs to it.
var escape = regexp.MustCompile(`(?s)\\(?:u[0-9a-fA-F]{4}|.)`)

// plainIfBroken makes an escape that JSON does not know two dots.
func plainIfBroken(e []byte) []byte {
	if json.Valid([]byte(`"` + string(e) + `"`)) {
		return e
	}
	return []byte("..")
}

func FuzzDecode(f *testing.F) {
	for _, s := range samples(f) {
		f.Add([]byte(s))
	}
	f.Add(capture(f, "seed_rsp_asprinted.hex"))
	f.Add(capture(f, "seed_rsp_repaired.hex"))
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := decode(in)
		if err != nil {
			if a != (answer{}) {
				t.Fatalf("an error and an answer: %+v, %v", a, err)
			}
			return
		}
		// The slow reference: what is left without the line breaks, and without
		// broken escapes in what is not kept, is JSON with the same members.
		clean := []byte{}
		for _, c := range escape.ReplaceAllFunc(in, plainIfBroken) {
			if c != '\r' && c != '\n' {
				clean = append(clean, max(c, ' '))
			}
		}
		var all map[string]any
		if err := json.Unmarshal(clean, &all); err != nil {
			t.Fatalf("%q was read, and is no JSON: %v", in, err)
		}
		if s, ok := all["status"].(string); ok && !bytes.ContainsRune(in, '\\') && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) && payment.Clip(s, maxKept) != a.status {
			t.Fatalf("status of %q: got %q, want %q", in, a.status, payment.Clip(s, maxKept))
		}
		defaults().outcome(a, payment.SourceAnswer)
		Explain(io.Discard, in)
	})
}

func FuzzExplain(f *testing.F) {
	f.Add(capture(f, "seed_req.hex"))
	f.Add([]byte("/ecr?rq=A|B&cmd=sale|1|2" + samples(f)[3]))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out strings.Builder
		Explain(&out, in)
		if strings.ContainsFunc(out.String(), func(c rune) bool { return c < ' ' && c != '\n' }) {
			t.Fatalf("control characters in %q", out.String())
		}
	})
}
