package qfpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"

	"tillgate/internal/payment"
)

type vectorFile struct {
	Key   string
	Cases []struct {
		Content map[string]any
		Odoo    string `json:"plain_odoo"`
		JSON    string `json:"plain_json"`
		B64Odoo string `json:"b64_aes256_asciikey_odoo"`
		B64Hex  string `json:"b64_aes128_hexkey_json"`
		B64JSON string `json:"b64_aes256_asciikey_json"`
	}
	Printed []vectorDigest `json:"verified_printed"`
	Derived []vectorDigest `json:"derived_doc_formula"`
}

type vectorDigest struct {
	Content           map[string]any
	Formatted, Digest string
}

func vectors(t testing.TB, name string) (v vectorFile) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func contentOf(m map[string]any) (c content) {
	for k, v := range m {
		if n, ok := v.(json.Number); ok {
			c.addNumber(k, n.String())
		} else {
			c.add(k, v.(string))
		}
	}
	return c
}

func testProfile(t testing.TB, edit func(*Settings)) *profile {
	t.Helper()
	s := defaults()
	if edit != nil {
		edit(s)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	p, err := newProfile(s, posKey{defaultKey})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDigest(t *testing.T) {
	v := vectors(t, "digests.json")
	k := posKey{v.Key}
	for _, d := range v.Printed {
		if got := digest([]byte(d.Formatted), k); got != d.Digest {
			t.Errorf("%s: got %s, want %s", d.Formatted, got, d.Digest)
		}
	}
	for _, d := range v.Derived {
		got := contentOf(d.Content).pairs()
		if string(got) != d.Formatted || digest(got, k) != d.Digest {
			t.Errorf("got %s %s, want %s %s", got, digest(got, k), d.Formatted, d.Digest)
		}
	}
}

func TestRender(t *testing.T) {
	odoo := testProfile(t, nil)
	js := testProfile(t, func(s *Settings) { s.Syntax = SyntaxJSON })
	hexKey := testProfile(t, func(s *Settings) { s.Syntax, s.Key = SyntaxJSON, KeyHex })
	for _, c := range vectors(t, "aes_derived.json").Cases {
		for _, tt := range []struct {
			name        string
			p           *profile
			want, plain string
		}{{"odoo", odoo, c.B64Odoo, c.Odoo}, {"json", js, c.B64JSON, c.JSON}, {"hex key", hexKey, c.B64Hex, c.JSON}} {
			got := tt.p.render(contentOf(c.Content))
			plain, err := tt.p.sealer.open(got)
			if err != nil {
				t.Fatal(err)
			}
			// The vectors keep the order of their members; ours are sorted.
			if !sameJSON(string(plain), tt.plain) {
				t.Errorf("%s: got %s, want %s", tt.name, plain, tt.plain)
			}
			if string(plain) == tt.plain && string(got) != tt.want {
				t.Errorf("%s: %s is sealed as %s, want %s", tt.name, plain, got, tt.want)
			}
			if opened, err := tt.p.sealer.open([]byte(tt.want)); err != nil || string(opened) != tt.plain {
				t.Errorf("%s: the vector opens as %q, %v", tt.name, opened, err)
			}
		}
	}
}

// sameJSON compares the inner Odoo syntax as text, JSON by value.
func sameJSON(a, b string) bool {
	var x, y any
	if json.Unmarshal([]byte(a), &x) != nil || json.Unmarshal([]byte(b), &y) != nil {
		return a == b
	}
	ja, _ := json.Marshal(x)
	jb, _ := json.Marshal(y)
	return bytes.Equal(ja, jb)
}

func TestEnvelopes(t *testing.T) {
	c := function(funcQuery)
	c.add("orderId", "12345678")
	const printed = "99CE8BF9C7304AC964522D10F51660B4"
	plain := testProfile(t, func(s *Settings) { s.Plain, s.Syntax = true, SyntaxJSON })
	if got, want := string(plain.render(c)), `{"content":"{\"func_type\":4001,\"orderId\":\"12345678\"}","digest":"`+printed+`"}`; got != want {
		t.Errorf("plain: got %s, want %s", got, want)
	}
	for _, over := range []string{DigestPlain, DigestSealed} {
		p := testProfile(t, func(s *Settings) { s.Envelope, s.DigestOver, s.Syntax = EnvelopeContent, over, SyntaxJSON })
		var e struct{ Content, Digest string }
		if err := json.Unmarshal(p.render(c), &e); err != nil {
			t.Fatal(err)
		}
		inner, err := p.sealer.open([]byte(e.Content))
		want := printed
		if over == DigestSealed {
			want = digest([]byte(e.Content), p.key)
		}
		if err != nil || string(inner) != `{"func_type":4001,"orderId":"12345678"}` || e.Digest != want {
			t.Errorf("content, digest over %s: got %s, %v, digest %s, want %s", over, inner, err, e.Digest, want)
		}
	}
}

// TestAmountText: the text in the digest is the text on the wire.
func TestAmountText(t *testing.T) {
	for _, tt := range []struct {
		minor    int64
		currency string
		want     string
	}{
		{1010, "HKD", "10.1"}, {1050, "HKD", "10.5"}, {10000, "HKD", "100"}, {1, "HKD", "0.01"}, {5, "HKD", "0.05"}, {123456, "HKD", "1234.56"},
		{payment.MaxMinor, "HKD", "9999999999.99"}, {100, "JPY", "100"}, {100000000, "HKD", "1000000"},
	} {
		m := payment.Money{Minor: tt.minor, Currency: tt.currency}
		if got := major(m); got != tt.want {
			t.Errorf("%s: got %s, want %s", m, got, tt.want)
		}
		c := defaults().trade("A1", m)
		if !bytes.Contains(c.pairs(), []byte("{amt="+tt.want+",")) || !bytes.Contains(c.json(), []byte(`{"amt":`+tt.want+`,`)) {
			t.Errorf("%s: digest has %s, wire %s", m, c.pairs(), c.json())
		}
	}
}

func TestDigestOrder(t *testing.T) {
	var c content
	for _, k := range []string{"moveToBack", "amt", "orderId", "Zone", "func_type", "camera_id"} {
		c.add(k, "")
	}
	if got, want := string(c.pairs()), "{Zone='',amt='',camera_id='',func_type='',moveToBack='',orderId=''}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTradeMembers(t *testing.T) {
	s := defaults()
	s.Camera, s.ScanType, s.WaitCardTimeout, s.PaymentTimeout, s.MoveToBack, s.AllowModify = "front", "SCAN_PAY", 90e9, 60e9, true, true
	m := payment.Money{Minor: 1010, Currency: "HKD"}
	want := "{amt=10.1,camera_id=1,channel='card_payment',func_type=1001,moveToBack=1,out_trade_no='A1',payment_timeout=60,scan_type='SCAN_PAY',wait_card_timeout=90}"
	if got := string(s.trade("A1", m).pairs()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	want = "{allow_modify_flag=1,func_type=1002,moveToBack=1,orderId='2025',refund_amount='10.10'}"
	if got := string(s.refund("2025", m).pairs()); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestSealedBytesThatAreNot(t *testing.T) {
	p := testProfile(t, nil)
	good := p.render(function(funcCancel))
	other, err := newSealer(posKey{"00112233445566778899aabbccddeeff"}, false)
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": nil, "another key": other.seal([]byte(`{"respcd":"6000"}`)), "truncated": good[:len(good)-5], "half a block": good[:len(good)-8],
		"no Base64": []byte("%%%%"), "bad padding": append([]byte("AAAA"), good[4:]...)[:64], "not JSON": p.sealer.seal([]byte("hello")),
		"no respcd": p.sealer.seal([]byte("{}")), "string without an end": []byte(`"abc`),
	} {
		if a, err := p.read(b); err == nil {
			t.Errorf("%s: got %+v, want an error", name, a)
		}
	}
}

func TestAnswerShapes(t *testing.T) {
	p := testProfile(t, nil)
	b, err := os.ReadFile("testdata/http_response_shapes.json")
	if err != nil {
		t.Fatal(err)
	}
	var v struct{ Samples []json.RawMessage }
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	want := []string{"done", "gave up", "not done"}
	for i, sample := range v.Samples {
		sealed := p.sealer.seal(sample)
		for _, form := range [][]byte{sample, sealed, quoted(string(sealed)), quoted(string(sample)), append([]byte(" \r\n"), sample...)} {
			a, err := p.read(form)
			if err != nil {
				t.Errorf("sample %d: %v", i, err)
				continue
			}
			if got := judge(a).decision.String(); got != want[i] {
				t.Errorf("sample %d: got %s, want %s", i, got, want[i])
			}
			if i == 0 && (a.records[0].get("syssn") != "20250826155400087645770447" || a.records[0].get("txamt") != "1000") {
				t.Errorf("sample 0: got %+v", a)
			}
		}
	}
}

// TestCutTextIsMasked wherever it is cut.
func TestCutTextIsMasked(t *testing.T) {
	for n := range maxText {
		text := strings.Repeat("x", n) + " 4720111122225184"
		a, err := decode([]byte(`{"respcd":"0000","respmsg":"` + text + `","data":{"unknown":"` + text + `"}}`))
		if err != nil || len(a.records) != 1 {
			t.Fatalf("got %+v, %v", a, err)
		}
		for _, got := range []string{a.message, a.records[0].get("unknown")} {
			if got == "" || len(got) > maxText || strings.Contains(got, "47201") {
				t.Errorf("behind %d characters: got %q", n, got)
			}
		}
	}
}

func TestDataForms(t *testing.T) {
	for name, tt := range map[string]struct {
		data string
		want int
	}{
		"object": {`{"respcd":"0000"}`, 1}, "string": {`"{\"respcd\":\"0000\"}"`, 1}, "list": {`[{"a":1},{"b":2}]`, 2}, "list in a string": {`"[{\"a\":1}]"`, 1},
		"empty": {`""`, 0}, "nothing": {`null`, 0}, "empty object": {`{}`, 0}, "empty list": {`[]`, 0}, "the document's own": {`"{\"aaaaaa\"}"`, 0}, "number": {`5`, 0},
	} {
		a, err := decode([]byte(`{"respcd":6000,"data":` + tt.data + `}`))
		if err != nil || len(a.records) != tt.want || a.respcd != "6000" {
			t.Errorf("%s: got %+v, %v, want %d records", name, a, err, tt.want)
		}
	}
}

// FuzzDecrypt: what opens is what was sealed, byte for byte, since neither the
// cipher nor the padding nor Base64 leaves a choice; and a single bit that is
// turned over never opens as the same text.
func FuzzDecrypt(f *testing.F) {
	s, err := newSealer(posKey{defaultKey}, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.seal([]byte(`{"respcd":"6000"}`)), 5)
	f.Add([]byte("AAAA\r\nAAAAAAAAAAAAAAAAAA=="), 0)
	f.Add([]byte("%%%%"), 1)
	f.Fuzz(func(t *testing.T, text []byte, bit int) {
		plain, err := s.open(text)
		if err != nil {
			if !errors.Is(err, errCipher) {
				t.Errorf("got %v", err)
			}
			plain = text // then it is something to seal
		} else if again := s.seal(plain); !bytes.Equal(again, bytes.Join(bytes.Fields(text), nil)) {
			t.Errorf("%q opens as %q, which is sealed as %q", text, plain, again)
		}
		sealed := s.seal(plain)
		if opened, err := s.open(sealed); err != nil || !bytes.Equal(opened, plain) {
			t.Fatalf("%q comes back as %q, %v", plain, opened, err)
		}
		i := int(uint(bit) % uint(8*len(sealed)))
		sealed[i/8] ^= 1 << (i % 8)
		if opened, err := s.open(sealed); err == nil && bytes.Equal(opened, plain) {
			t.Errorf("bit %d of %q changes nothing", i, sealed)
		}
	})
}
