package payment

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestPANNeverShowsMoreThanFourDigits(t *testing.T) {
	const number = "4111111111111234"
	for _, raw := range []string{number, "4111 1111 1111 1234", "4111-1111-1111-1234", "411111******1234", "4111 XXXX XXXX 1234"} {
		p := MaskPAN(raw)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "pan", p, "in", struct{ P PAN }{p})
		b, err := json.Marshal(map[string]any{"pan": p, "card": Card{PAN: p}})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range []string{p.String(), fmt.Sprintf("%v %+v %#v %s %q %x", p, p, p, p, p, p), fmt.Sprintf("%+v %#v", struct{ x PAN }{p}, struct{ x PAN }{p}), string(b), log.String()} {
			if strings.Contains(s, "4111") || strings.Contains(s, "34313131") {
				t.Errorf("%q shows as %s", raw, s)
			}
		}
		if p.Last4() != "1234" {
			t.Errorf("last four of %q: %q, want 1234", raw, p.Last4())
		}
	}
}

func TestPANReadsItself(t *testing.T) {
	var p PAN
	if err := json.Unmarshal([]byte(`"4111111111111234"`), &p); err != nil || p != MaskPAN("1234") {
		t.Errorf("read %v, %v", p, err)
	}
	for _, raw := range []string{"", "123", "XXXX", "1234X", "12 X34"} {
		if p := MaskPAN(raw); !p.IsZero() {
			t.Errorf("%q is taken for %v", raw, p)
		}
	}
}

func FuzzMaskPAN(f *testing.F) {
	for _, s := range []string{"9704 XXXX XXXX 6163", "4720XXXXXXXX5184", "457362******1234", "4111111111111111", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p := MaskPAN(s); len(p.last4) != 0 && len(p.last4) != 4 {
			t.Errorf("%q keeps %d digits", s, len(p.last4))
		}
	})
}
