package privat

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"tillgate/internal/payment"
)

// TestEncode holds our requests to the document's, byte by byte where it prints
// bytes and member by member where it prints JSON.
func TestEncode(t *testing.T) {
	if got, want := handshake(), frameOf(t, "handshake_request"); !bytes.Equal(got, want) {
		t.Errorf("handshake: got %q, want %q", got, want)
	}
	uah := func(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "UAH"} }
	m := defaults().merchant(payment.Request{})
	for name, r := range map[string]request{
		"purchase_request":          m.purchase(uah(60)),
		"refund_request":            m.refund(uah(30), "014721258513"),
		"withdrawal_request":        void("131220"),
		"withdrawal_partly_request": voidPartly(uah(30), "131220"),
		"completion_request":        completion(uah(50000), uah(50000), "999999", "9999999999999"),
		"interrupt":                 service(msgInterrupt),
	} {
		var got, want map[string]any
		frame := r.frame()
		if frame[len(frame)-1] != 0 || bytes.IndexByte(frame, 0) != len(frame)-1 {
			t.Errorf("%s: %q does not end with its only 00", name, frame)
		}
		if err := errors.Join(json.Unmarshal(frame[:len(frame)-1], &got), json.Unmarshal(messages(t)[name], &want)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
		if back, err := parseRequest(frame[:len(frame)-1]); err != nil || !reflect.DeepEqual(back, r) {
			t.Errorf("%s: read back as %+v, %v", name, back, err)
		}
	}
	if got := string((request{"A", []param{{"k", "<&>ї\x00\""}}}).frame()); got != "{\"method\":\"A\",\"step\":0,\"params\":{\"k\":\"<&>ї\\u0000\\\"\"}}\x00" {
		t.Errorf("escapes: got %q", got)
	}
}

func TestDecodeSamples(t *testing.T) {
	term := &terminal{settings: defaults(), currency: "UAH", identity: "id"}
	all := messages(t)
	read := func(name string) answer {
		a, err := decode(all[name])
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return a
	}
	a := read("purchase_ok")
	o := term.outcome(a, judge(a), payment.SourceAnswer)
	want := payment.Outcome{
		Result: payment.Approved, Amount: payment.Money{Minor: 60, Currency: "UAH"},
		Reference: payment.Reference{RRN: "9999999999999", Auth: "999999", TID: "TSTSALE2", MID: "TSTTTTTT", Receipt: "999999", Serial: "id", Time: "02.10.2019 09:11:07"},
		Response:  "00", Vendor: payment.VendorCode{Code: "0000"}, Card: payment.Card{PAN: payment.MaskPAN("9838"), Scheme: "VISA", Entry: payment.EntryMagstripe},
		Source: payment.SourceAnswer, Text: "approved", Receipt: []string{"text-of-receipt"},
	}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("purchase:\ngot  %+v\nwant %+v", o, want)
	}
	for name, want := range map[string]struct {
		verdict verdict
		code    string
		text    string
	}{
		"purchase_ok":                   {done, "0000", ""},
		"purchase_partial_approval":     {done, "0010", ""},
		"purchase_cancelled_short_typo": {ended, "1001", "Transaction canceled by user"},
		"purchase_declined_05":          {notDone, "0005", "ВІДХИЛЕНО!  ЗВЕРНІТЬСЯ ДО БАНКУ-ЕМІТЕНТА КАРТКИ"},
	} {
		if a := read(name); judge(a) != want.verdict || a.code != want.code || a.text != want.text {
			t.Errorf("%s: got %s, %q, %q", name, judge(a), a.code, a.text)
		}
	}
	for name, want := range map[string]string{"interrupt_ack": msgInterrupted, "not_implemented": msgNotImplemented, "device_busy": msgBusy} {
		if a := read(name); a.method != methodService || a.msgType != want {
			t.Errorf("%s: got %q %q, want %q", name, a.method, a.msgType, want)
		}
	}
	if a := read("terminal_info"); identityOf(a.version) != "TESTKKM000CT22927302" || softwareOf(a.version) != "TE7E132" {
		t.Errorf("identity: got %q, software %q", identityOf(a.version), softwareOf(a.version))
	}
	if got := softwareOf("TESTKKM000CT22927302"); got != "" {
		t.Errorf("a text without a version has software %q", got)
	}
	if a := read("last_stat_pin"); stages[a.stage] != payment.StagePIN {
		t.Errorf("status 6: got %q", stages[a.stage])
	}
	if a := read("verify_empty"); !saysEmpty(a.text) || term.closed(payment.Transaction{}, a).Result != payment.Approved {
		t.Errorf("an empty batch: got %+v", a)
	}
	for _, name := range []string{"handshake_response", "com9_trace_response", "identify_response"} {
		b := frameOf(t, name)
		if a, err := decode(b[:len(b)-1]); err != nil || a.failed || a.method == "" {
			t.Errorf("%s: got %+v, %v", name, a, err)
		}
	}
}

// TestDecodeOdd has what is not in the document, and what must not be read.
func TestDecodeOdd(t *testing.T) {
	for _, c := range []struct {
		name, in string
		ok       bool
	}{
		{"step last", `{"error":false,"method":" ServicePbP ","step":0}`, true},
		{"no params", `{"method":"A","error":false}`, true},
		{"params null", `{"method":"A","params":null,"error":false}`, true},
		{"values that are no strings", `{"method":"A","params":{"responseCode":5,"adv":{"er":1},"x":[1,{}],"amount":null},"error":"true"}`, true},
		{"raw line break", "{\"method\":\"A\",\"params\":{\"receipt\":\"a\nb\"},\"error\":false}", true},
		{"broken UTF-8", "{\"method\":\"A\",\"params\":{\"receipt\":\"\xff\"},\"error\":false}", true},
		{"merchant twice, as in 5.16.2", `{"method":"A","params":{"merchant":"1","merchant":"T"},"error":false}`, true},
		{"our own request", `{"method":"Purchase","step":0,"params":{"amount":"0.60"}}`, false},
		{"code twice", `{"method":"A","params":{"responseCode":"0000","responseCode":"0005"},"error":false}`, false},
		{"amount twice", `{"method":"A","params":{"amount":"1","amount":"2"},"error":false}`, false},
		{"error twice", `{"method":"A","error":true,"error":false}`, false},
		{"params no object", `{"method":"A","params":"x","error":false}`, false},
		{"something behind it", `{"method":"A","error":false}{`, false},
		{"no object", `[]`, false}, {"cut off", `{"method":"A","error":fal`, false}, {"nothing", ``, false}, {"deep", strings.Repeat(`{"a":`, 20000), false},
	} {
		if a, err := decode([]byte(c.in)); (err == nil) != c.ok || !c.ok && !errors.Is(err, errMessage) {
			t.Errorf("%s: got %+v, %v", c.name, a, err)
		}
	}
	b := frameOf(t, "handshake_response_broken_JSON")
	if a, err := decode(b[:len(b)-1]); err == nil {
		t.Errorf("the document's broken answer: got %+v", a)
	}
	a, err := decode([]byte(`{"method":"A","params":{"responseCode":5,"rrn":"` + strings.Repeat("ї", 40) + `"},"error":"true"}`))
	if err != nil || a.code != "0005" || !a.failed || a.rrn != strings.Repeat("ї", 32) {
		t.Errorf("got %+v, %v", a, err)
	}
}

// TestFrames cuts frames out of a stream, one byte at a time and all at once.
func TestFrames(t *testing.T) {
	long := strings.Repeat("x", maxFrame+1)
	in := "\x00{a}\x00\x00 \x00" + long + "\x00{b}\x00" + long[:maxFrame-1] + "\x00{c"
	for name, r := range map[string]io.Reader{"all at once": strings.NewReader(in), "byte by byte": iotest.OneByteReader(strings.NewReader(in))} {
		f := newFrames(r)
		var got []string
		for {
			b, err := f.next()
			if errors.Is(err, errTooLong) {
				got = append(got, "too long")
				continue
			}
			if err != nil {
				if !errors.Is(err, io.EOF) || len(f.buf)-f.at != 2 {
					t.Errorf("%s: ended with %v and %d bytes", name, err, len(f.buf)-f.at)
				}
				break
			}
			got = append(got, fmt.Sprint(len(b)))
		}
		if want := "3 too long 3 131071"; strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", name, got, want)
		}
	}
	if _, err := newFrames(iotest.ErrReader(io.ErrNoProgress)).next(); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("got %v", err)
	}
}

// TestHalfAMessage: what follows half a message is read.
func TestHalfAMessage(t *testing.T) {
	whole := messages(t)["purchase_ok"]
	for _, half := range [][]byte{whole[:len(whole)/2], []byte("{{{\"\xff"), []byte(`{"method":"X"}`)} {
		if a, err := decodeLast(append(bytes.Clone(half), whole...)); err != nil || a.rrn != "9999999999999" {
			t.Errorf("behind %d bytes: got %+v, %v", len(half), a, err)
		}
	}
	inside := `{"method":"A","params":{"receipt":"{\"method\":\"Purchase\",\"error\":false}"},"error":fals}`
	if a, err := decodeLast([]byte(inside)); err == nil {
		t.Errorf("a text was read as a message: %+v", a)
	}
}

// TestCardDataDropped has card data in all the places where it can stand, and
// looks for it in everything that leaves the decoder.
func TestCardDataDropped(t *testing.T) {
	const in = `{"method":"Purchase","step":0,"params":{"amount":"1.00","responseCode":"0000","pan":"4731111122229838","cardExpiryDate":"4912","cardHolderName":"MANH/DAO",` +
		`"track1":"B4731111122229838^MANH/DAO^4912","track2":"4731111122229838=4912","track3":"4731111122229838","hash":"4731111122229838","pinblock":"4C07BDD306150F2A",` +
		`"pinblockNew":"4C07BDD306150F2A","PhoneNumber":"380441234567","OTPpassword":"87654321","hstFld63Sf89":"MANH/DAO","rrn":"014721391803","txnType":"1",` +
		`"receipt":"VISA 4731 1111 2222 9838\n4731-1111-2222-9838 4731111122229838\nRRN 014721391803"},"error":false,"errorDescription":""}`
	a, err := decode([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{settings: defaults(), currency: "UAH"}
	o := term.outcome(a, judge(a), payment.SourceAnswer)
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var explained strings.Builder
	if err := Explain(&explained, []byte(in)); err != nil {
		t.Errorf("explain: %v", err)
	}
	for where, s := range map[string]string{"outcome": string(text), "explain": explained.String()} {
		for _, secret := range []string{"473111", "4731 11", "4731-11", "1111", "2222", "4912", "MANH", "4C07", "38044", "87654321"} {
			if strings.Contains(s, secret) {
				t.Errorf("%s shows %s: %s", where, secret, s)
			}
		}
		for _, kept := range []string{"9838", "014721391803"} {
			if !strings.Contains(s, kept) {
				t.Errorf("%s lacks %s: %s", where, kept, s)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, m := range messages(f) {
		f.Add(m)
	}
	for _, name := range []string{"handshake_request", "handshake_response", "handshake_response_broken_JSON", "identify_response"} {
		f.Add(frameOf(f, name))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		Explain(io.Discard, in)
		frames := newFrames(bytes.NewReader(in))
		for {
			b, err := frames.next()
			if err != nil {
				return
			}
			if bytes.IndexByte(b, 0) >= 0 || len(b) > maxFrame {
				t.Fatalf("a frame of %d bytes, with a 00 in it or too long", len(b))
			}
			if r, err := parseRequest(b); err == nil {
				again, err := parseRequest(bytes.TrimSuffix(r.frame(), []byte{0}))
				if err != nil || !reflect.DeepEqual(again, r) {
					t.Fatalf("%+v was written and read as %+v, %v", r, again, err)
				}
			}
			a, err := decode(b)
			if err != nil {
				continue
			}
			clean := bytes.Map(func(c rune) rune { return max(c, ' ') }, b)
			if !json.Valid(clean) {
				t.Fatalf("%q was read, and is no JSON", b)
			}
			term := &terminal{settings: defaults(), currency: "UAH"}
			if o := term.outcome(a, judge(a), payment.SourceAnswer); o.Result == payment.Approved && (a.failed || a.code != codeApproved && a.code != codePartial) {
				t.Fatalf("%q is approved", b)
			}
		}
	})
}

// TestVectors: every vector is read, as what it is: our own request, an answer, or
// a note for people. One that is added without a place here fails.
func TestVectors(t *testing.T) {
	term := &terminal{settings: defaults(), currency: "UAH"}
	of := func(ok func(a answer) bool) func([]byte) bool {
		return func(b []byte) bool {
			a, err := decode(b)
			return err == nil && ok(a)
		}
	}
	verdictOf := func(v verdict, code string) func([]byte) bool {
		return of(func(a answer) bool { return judge(a) == v && a.code == code })
	}
	says := func(msg string) func([]byte) bool {
		return of(func(a answer) bool { return a.method == methodService && a.msgType == msg && !a.failed })
	}
	asks := func(method string) func([]byte) bool {
		return func(b []byte) bool {
			r, err := parseRequest(b)
			_, answered := decode(b)
			return err == nil && answered != nil && r.method == method
		}
	}
	check := map[string]func([]byte) bool{
		"purchase_request": asks(methodPurchase), "refund_request": asks(methodRefund), "withdrawal_request": asks(methodVoid),
		"withdrawal_partly_request": asks(methodPartly), "completion_request": asks(methodCompletion), "interrupt": asks(methodService),
		"purchase_ok": verdictOf(done, "0000"), "purchase_declined_05": verdictOf(notDone, "0005"), "purchase_cancelled_short_typo": verdictOf(ended, "1001"),
		"purchase_partial_approval": of(func(a answer) bool { return judge(a) == done && term.money(a.amount) == uah(150000) }),
		"terminal_info":             of(func(a answer) bool { return identityOf(a.version) == "TESTKKM000CT22927302" }),
		"verify_empty": of(func(a answer) bool {
			return term.closed(payment.Transaction{}, a).Text == "there was nothing in the batch"
		}),
		"device_busy": says(msgBusy), "interrupt_ack": says(msgInterrupted), "not_implemented": says(msgNotImplemented),
		"last_stat_pin":    of(func(a answer) bool { return a.msgType == msgStatus && stages[a.stage] == payment.StagePIN }),
		"last_result_done": of(func(a answer) bool { return a.msgType == msgLastResult && a.lastResult == "0" }),
		"discount_name": of(func(a answer) bool {
			return a.msgType == msgDiscount && a.group == "someDiscountGroup" && a.card.String() == payment.MaskPAN("9876").String() && entryModes[payment.Clip(a.entry, 2)] == payment.EntryContactless
		}),
		"handshake_request":              asks(methodPing),
		"handshake_response":             of(func(a answer) bool { return a.method == methodPing && a.code == "0000" && !a.failed }),
		"com9_trace_response":            of(func(a answer) bool { return a.method == methodPing && a.code == "0000" && !a.failed }),
		"identify_response":              of(func(a answer) bool { return a.vendor == "PAX" && a.model == "s800" && a.result == "true" }),
		"handshake_response_broken_JSON": func(b []byte) bool { _, err := decode(b); return errors.Is(err, errMessage) },
	}
	notes := []string{"origin", "note", "purchase_partial_note", "handshake_response_note"}
	used := 0
	for _, file := range []string{"messages.json", "frames.json"} {
		for name, raw := range load(t, file) {
			ok := check[name]
			switch {
			case slices.Contains(notes, name):
				continue
			case ok == nil:
				t.Errorf("%s: %s is not used", file, name)
				continue
			}
			b := []byte(raw)
			if file == "frames.json" {
				b = bytes.Trim(frameOf(t, name), "\x00")
			}
			if used++; !ok(b) {
				t.Errorf("%s: %s is read as something else", file, name)
			}
		}
	}
	if used != len(check) {
		t.Errorf("%d vectors were read, %d have a check", used, len(check))
	}
}

// TestErrorTextIsMasked wherever the text is cut.
func TestErrorTextIsMasked(t *testing.T) {
	for n := range 2*maxValue + 1 {
		a, err := decode([]byte(`{"method":"Purchase","step":0,"params":{},"error":true,"errorDescription":"` + strings.Repeat("x", n) + ` 4111111111111111"}`))
		if err != nil || len(a.text) > 2*maxValue || strings.Contains(a.text, "4111") || a.text == "" {
			t.Errorf("behind %d characters: got %q, %v", n, a.text, err)
		}
	}
}

// TestTextIsMaskedBeforeItIsCut: half a card number is not found.
func TestTextIsMaskedBeforeItIsCut(t *testing.T) {
	for n := range maxValue + 1 {
		a, err := decode([]byte(`{"method":"ServiceMessage","step":0,"params":{"msgType":"getMerchantList","1":"` + strings.Repeat("x", n) + ` 4111111111111111"},"error":false,"errorDescription":""}`))
		if err != nil || len(a.list["1"]) > maxValue || strings.Contains(a.list["1"], "4111") || a.list["1"] == "" {
			t.Errorf("behind %d characters: got %q, %v", n, a.list["1"], err)
		}
	}
	for _, n := range []int{96<<10 - 8, 120 << 10} {
		a, err := decode([]byte(`{"method":"Audit","step":0,"params":{"receipt":"` + strings.Repeat(`x\n`, n/2) + `4111111111111111"},"error":false,"errorDescription":""}`))
		if lines := strings.Join(textLines(a), "\n"); err != nil || strings.Contains(lines, "4111") || !strings.Contains(lines, "1111") {
			t.Errorf("behind %d bytes: %v", n, err)
		}
	}
}

// What is explained says what an answer means for the money.
func TestExplain(t *testing.T) {
	for params, want := range map[string]string{
		`"responseCode":"0000","amount":"1.00"`: "done\n", `"responseCode":"0010","amount":"1.00"`: "done, for a smaller amount than was asked", `"responseCode":"0051"`: "not done: insufficient funds",
		`"responseCode":"1001"`: "ended by the terminal: cancelled at the terminal; the last receipt decides", `"responseCode":"0008"`: "doubtful: ",
	} {
		failed := !strings.Contains(params, "amount")
		var b strings.Builder
		if err := Explain(&b, fmt.Appendf(nil, `{"method":"Purchase","params":{%s},"error":%t}`+"\x00", params, failed)); err != nil || !strings.Contains(b.String(), want) {
			t.Errorf("%s: got %s, %v", params, b.String(), err)
		}
	}
}
