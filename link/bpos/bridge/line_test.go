package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/quick"
)

func fault(err error) Fault {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r.Fault
	}
	return ""
}

func TestRequests(t *testing.T) {
	for _, c := range []struct {
		line string
		want Fault // "" is a good one
	}{
		{`{"id":1,"hello":1}`, ""},
		{`{"id":1,"hello":7}`, ""}, // the version is the host's to judge
		{`{"id":2,"call":"Purchase","args":[12345,0,1]}`, ""},
		{`{"id":2,"call":"Confirm"}`, ""},
		{`{"id":2,"call":"SetControlMode","args":[true]}`, ""},
		{`{"id":2,"call":"useLogging","args":[0,""]}`, ""},
		{`{"id":3,"get":["LastResult","Receipt"]}`, ""},
		{`{"id":2,"call":"SetLine","args":[1,2,"Вставте картку",0]}`, ""},

		{``, FaultMalformed}, {`null`, FaultMalformed}, {`[]`, FaultMalformed}, {`{"id":1}`, FaultMalformed}, {`{"id":0,"hello":1}`, FaultMalformed},
		{`{"id":-1,"hello":1}`, FaultMalformed}, {`{"id":1,"hello":1}{}`, FaultMalformed}, {`{"id":1,"hello":1,"more":2}`, FaultMalformed},
		{`{"id":1,"hello":1,"call":"Ping"}`, FaultMalformed}, {`{"id":1,"hello":1,"args":[1]}`, FaultMalformed}, {"{\"id\":1,\"call\":\"\xff\"}", FaultMalformed},
		{`{"id":1.5,"hello":1}`, FaultMalformed}, {`{"id":1,"get":[` + strings.Repeat(`"RRN",`, 64) + `"RRN"]}`, FaultMalformed},
		{`{"id":2,"call":"Sell"}`, FaultUnknown}, {`{"id":2,"call":"purchase","args":[1,0,1]}`, FaultUnknown}, {`{"id":3,"get":["Track4"]}`, FaultUnknown},
		{`{"id":2,"call":"Purchase","args":[1,0]}`, FaultArgument}, {`{"id":2,"call":"Purchase","args":[1,0,1,1]}`, FaultArgument},
		{`{"id":2,"call":"Purchase","args":["1",0,1]}`, FaultArgument}, {`{"id":2,"call":"Purchase","args":[1.5,0,1]}`, FaultArgument},
		{`{"id":2,"call":"Purchase","args":[-1,0,1]}`, FaultArgument}, {`{"id":2,"call":"Purchase","args":[2147483648,0,1]}`, FaultArgument},
		{`{"id":2,"call":"Purchase","args":[1,0,256]}`, FaultArgument}, {`{"id":2,"call":"Purchase","args":[1e3,0,1]}`, FaultArgument},
		{`{"id":2,"call":"Purchase","args":[null,0,1]}`, FaultArgument}, {`{"id":2,"call":"SetControlMode","args":[1]}`, FaultArgument},
		{`{"id":2,"call":"SelectApp","args":["0123456789ABCDEF",1]}`, FaultArgument}, {`{"id":2,"call":"SelectApp","args":["a\u0000b",1]}`, FaultArgument},
		{`{"id":2,"call":"SetLine","args":[1,2,"漢字",0]}`, FaultArgument}, {`{"id":2,"call":"Refund","args":[1,0,1,7]}`, FaultArgument},
		{`{"id":2,"call":"ReadCard"}`, FaultRefused}, {`{"id":2,"call":"ReadBankCard"}`, FaultRefused}, {`{"id":2,"call":"EnterControlMode"}`, FaultRefused},
		{`{"id":2,"call":"useLogging","args":[2,"C:\\log.txt"]}`, FaultRefused},
		{`{"id":3,"get":["Track3"]}`, FaultRefused}, {`{"id":3,"get":["RRN","CardHolder"]}`, FaultRefused}, {`{"id":3,"get":["ExpDate"]}`, FaultRefused},
	} {
		r, err := ParseRequest([]byte(c.line))
		if (err == nil) != (c.want == "") || fault(err) != c.want {
			t.Errorf("%.80s: got %+v, %v, want %q", c.line, r, err, c.want)
		}
		if err != nil && strings.Contains(c.line, "C:") && strings.Contains(err.Error(), "C:") {
			t.Errorf("%s: the error repeats a value: %v", c.line, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	for _, c := range []struct {
		line string
		good bool
	}{
		{`{"id":1,"hello":1,"kind":"linux","library":"1.4.19"}`, true},
		{`{"id":2,"code":0}`, true}, {`{"id":2,"code":-1}`, true},
		{`{"id":3,"values":{"LastResult":2,"RRN":null,"Receipt":"ОПЛАТА"}}`, true},
		{`{"id":3,"values":{"DataFile":"AQID"}}`, true},
		{`{"id":0,"error":"malformed"}`, true}, {`{"id":5,"error":"busy","text":"later"}`, true},
		{`{"id":2}`, false}, {`{"id":0,"code":0}`, false}, {`{"id":-2,"error":"busy"}`, false}, {`{"id":2,"code":0,"error":"busy"}`, false},
		{`{"id":2,"code":0}x`, false}, {`{"id":2,"code":"0"}`, false}, {`{"id":3,"values":{"LastResult":256}}`, false},
		{`{"id":3,"values":{"LastResult":"2"}}`, false}, {`{"id":3,"values":{"Track3":"x"}}`, false}, {`{"id":3,"values":{"Nothing":1}}`, false},
		{`{"id":3,"values":{"Amount":-1}}`, false}, {`{"id":3,"values":{"DataFile":"*"}}`, false},
		{`{"id":3,"values":{"LastErrorDescription":"` + strings.Repeat("x", 101) + `"}}`, false}, {`hello`, false}, {``, false},
	} {
		if a, err := ParseAnswer([]byte(c.line)); (err == nil) != c.good {
			t.Errorf("%.80s: got %+v, %v", c.line, a, err)
		}
	}
}

// What is written is read back, and a line that is too long is not written.
func TestLines(t *testing.T) {
	code := 3
	for _, a := range []Answer{
		{ID: 1, Hello: 1, Kind: "linux", Library: "<&>"}, {ID: 2, Code: &code}, {ID: 4, Error: FaultBusy, Text: "x"}, {ID: 3, Values: map[string]any{"RRN": "1", "Amount": int64(5)}},
	} {
		b, err := a.Line()
		if err != nil || !bytes.HasSuffix(b, []byte("\n")) || bytes.Count(b, []byte("\n")) != 1 {
			t.Fatalf("%+v: %q, %v", a, b, err)
		}
		back, err := ParseAnswer(b)
		if want, _ := json.Marshal(a); err != nil {
			t.Errorf("%s: %v", want, err)
		} else if got, _ := json.Marshal(back); !bytes.Equal(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if _, err := (Request{ID: 1, Call: "SetLine", Args: []any{strings.Repeat("x", MaxRequest)}}).Line(); err == nil {
		t.Error("a request without end is written")
	}
	if _, err := (Answer{ID: 1, Text: strings.Repeat("x", MaxAnswer)}).Line(); err == nil {
		t.Error("an answer without end is written")
	}
}

// The largest values of the guide fit into a line.
func TestLargest(t *testing.T) {
	for name, v := range map[string]any{"Receipt": strings.Repeat("\u0001", maxReceipt), "DataFile": make([]byte, maxDataFile)} {
		p, _ := FindProperty(name)
		b, err := Answer{ID: 1 << 40, Values: map[string]any{name: p.give(v)}}.Line()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		a, err := ParseAnswer(b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if s, ok := v.(string); ok && a.Values[name] != s {
			t.Errorf("%s: it does not come back", name)
		}
	}
}

func TestCP1251(t *testing.T) {
	if err := quick.Check(func(b []byte) bool {
		b = bytes.ReplaceAll(b, []byte{0x98}, nil)
		back, err := Encode1251(Decode1251(b))
		return err == nil && bytes.Equal(back, b)
	}, nil); err != nil {
		t.Error(err)
	}
	for text, want := range map[string]string{"ОПЛАТА": "\xce\xcf\xcb\xc0\xd2\xc0", "Їжак №1 ґ": "\xaf\xe6\xe0\xea \xb91 \xb4"} {
		if b, err := Encode1251(text); err != nil || string(b) != want || Decode1251(b) != text {
			t.Errorf("%s: got %x, %v", text, b, err)
		}
	}
	if got := Decode1251([]byte{0x98}); got != "\ufffd" {
		t.Errorf("98 is %q", got)
	}
	for _, s := range []string{"漢", "\ufffd", "a\u0301"} {
		if b, err := Encode1251(s); err == nil {
			t.Errorf("%q is %x", s, b)
		}
	}
	for s, want := range map[string]string{"\u00ce\u00cf": "ОП", "Оплата": "Оплата", "plain": "plain"} {
		if got := Widened(s); got != want {
			t.Errorf("%q: got %q, want %q", s, got, want)
		}
	}
}

// The catalog is what both ends and the page go by.
func TestCatalog(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range Methods() {
		if seen[m.Name] {
			t.Errorf("%s is there twice", m.Name)
		}
		seen[m.Name] = true
		for _, a := range m.Args {
			if a.Name == "" || (a.Kind == Text) != (a.Max > 0) || a.Kind == Data {
				t.Errorf("%s: argument %+v", m.Name, a)
			}
		}
	}
	for _, p := range Properties() {
		if seen[p.Name] {
			t.Errorf("%s is there twice", p.Name)
		}
		seen[p.Name] = true
		if (p.Kind == Text || p.Kind == Data) != (p.Max > 0) && p.Refused == "" {
			t.Errorf("%s has no bound", p.Name)
		}
	}
}

func FuzzRequest(f *testing.F) {
	for _, s := range []string{`{"id":1,"hello":1}`, `{"id":2,"call":"Purchase","args":[12345,0,1]}`, `{"id":3,"get":["LastResult"]}`, `{"id":2,"call":"SetLine","args":[1,2,"Слово",0]}`, `{`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseRequest(b)
		if err != nil {
			if fault(err) == "" {
				t.Errorf("an error that is no refusal: %v", err)
			}
			return
		}
		line, err := r.Line()
		if err != nil {
			return // it was read from something longer
		}
		again, err := ParseRequest(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if back, _ := again.Line(); !bytes.Equal(back, line) {
			t.Errorf("got %s, want %s", back, line)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"id":1,"hello":1,"kind":"linux"}`, `{"id":2,"code":0}`, `{"id":3,"values":{"LastResult":2,"RRN":"1"}}`, `{"id":4,"error":"busy","text":"x"}`, `{"id":3,"values":{"DataFile":"AQID"}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := ParseAnswer(b)
		if err != nil {
			return
		}
		for name, v := range a.Values {
			p, ok := FindProperty(name)
			if !ok || p.Refused != "" {
				t.Fatalf("a value that may not be given: %s", name)
			}
			switch v := v.(type) {
			case int64:
				if v < 0 || v > MaxNumber || p.Kind == Byte && v > 255 {
					t.Errorf("%s: %d", name, v)
				}
			case string:
				if len([]rune(v)) > p.Max {
					t.Errorf("%s: %d characters", name, len(v))
				}
			}
		}
	})
}

func TestCleanMasksBeforeItCuts(t *testing.T) {
	for _, n := range []int{0, 780, 790, 799} {
		if s := clean(strings.Repeat("x", n) + "\n4111111111111111"); len(s) > 800 || strings.Contains(s, "4111") || strings.Contains(s, "\n") {
			t.Errorf("behind %d characters: %q", n, s)
		}
	}
}
