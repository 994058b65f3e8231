package payment

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestParseMoney(t *testing.T) {
	for _, tt := range []struct {
		text, currency string
		minor          int64
		bad            bool
	}{
		{"123456", "VND", 123456, false},
		{"10.5", "HKD", 1050, false},
		{"10.50", "HKD", 1050, false},
		{"0.01", "UAH", 1, false},
		{"1.234", "KWD", 1234, false},
		{"10.5", "VND", 0, true}, // no decimals
		{"10.", "HKD", 0, true},
		{".5", "HKD", 0, true},
		{"10.505", "HKD", 0, true},
		{"-1", "VND", 0, true},
		{"1e3", "VND", 0, true},
		{"1,000", "VND", 0, true},
		{"", "VND", 0, true},
		{"9999999999999999999", "VND", 0, true},
		{"1", "XYZ", 0, true},
	} {
		m, err := ParseMoney(tt.text, tt.currency)
		if (err != nil) != tt.bad || (!tt.bad && m.Minor != tt.minor) {
			t.Errorf("ParseMoney(%q, %s) = %v, %v", tt.text, tt.currency, m, err)
		}
		if err != nil && !errors.Is(err, ErrAmount) {
			t.Errorf("ParseMoney(%q, %s): %v is no ErrAmount", tt.text, tt.currency, err)
		}
	}
}

func TestMoneyPrintsWhatItParses(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := Money{rapid.Int64Range(0, MaxMinor).Draw(t, "minor"), rapid.SampledFrom([]string{"VND", "HKD", "UAH", "KWD", "CLF"}).Draw(t, "currency")}
		got, err := ParseMoney(m.Decimal(), m.Currency)
		if err != nil || got != m {
			t.Fatalf("%+v prints as %s and reads as %+v, %v", m, m.Decimal(), got, err)
		}
		b, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var back Money
		if err := json.Unmarshal(b, &back); err != nil || back != m {
			t.Fatalf("%s reads as %+v, %v", b, back, err)
		}
	})
}

func TestMoneyString(t *testing.T) {
	for want, m := range map[string]Money{
		"":                          {},
		"0 VND":                     {0, "VND"},
		"0.05 HKD":                  {5, "HKD"},
		"-10.50 HKD":                {-1050, "HKD"},
		"-92233720368547758.08 EUR": {math.MinInt64, "EUR"},
	} {
		if got := m.String(); got != want {
			t.Errorf("%#v prints as %q, want %q", m, got, want)
		}
	}
}

func TestMoneyRefusesJSON(t *testing.T) {
	for _, s := range []string{
		`{"minor":10.5,"currency":"VND"}`, `{"minor":"1","currency":"VND"}`, `{"minor":1,"currency":"XXX"}`, `{"minor":1,"currency":"vnd"}`,
		`{"minor":1,"currency":"VND","exponent":2}`, `{"minor":1,"currency":"VND","cents":1}`, `{"minor":99999999999999999999,"currency":"VND"}`, `12`, `{"minor":1}`,
	} {
		var m Money
		if err := json.Unmarshal([]byte(s), &m); !errors.Is(err, ErrAmount) {
			t.Errorf("%s is taken for %+v, %v", s, m, err)
		}
	}
}

func TestCurrencyByNumber(t *testing.T) {
	for number, want := range map[string]string{"704": "VND", "840": "USD", "980": "UAH", "344": "HKD", "008": "ALL"} {
		if got, ok := CurrencyByNumber(number); !ok || got != want {
			t.Errorf("currency %s is %s, want %s", number, got, want)
		}
		if got, ok := CurrencyNumber(want); !ok || got != number {
			t.Errorf("currency %s has the number %s, want %s", want, got, number)
		}
	}
	for _, number := range []string{"", "000", "999", "abc", "0704"} {
		if got, ok := CurrencyByNumber(number); ok {
			t.Errorf("currency %q is %s, want none", number, got)
		}
	}
}

func TestCurrencyWithoutNumber(t *testing.T) {
	if got, ok := CurrencyNumber("XXX"); ok {
		t.Errorf("currency XXX has the number %s", got)
	}
}

func TestCurrencyNumbersAreUnique(t *testing.T) {
	seen := map[int]string{}
	for code, c := range currencies {
		if other, dup := seen[c.numeric]; dup {
			t.Errorf("%s and %s have number %d", code, other, c.numeric)
		}
		seen[c.numeric] = code
		if len(code) != 3 || c.exponent < 0 || c.exponent > 4 {
			t.Errorf("%s: %+v", code, c)
		}
	}
}

func TestCompare(t *testing.T) {
	vnd := func(n int64) Money { return Money{n, "VND"} }
	for _, tt := range []struct {
		name                        string
		asked, discounted, answered Money
		want                        Agreement
	}{
		{"as asked", vnd(100), Money{}, vnd(100), AmountAgreed},
		{"as discounted", vnd(100), vnd(90), vnd(90), AmountAgreed},
		{"in full although discounted", vnd(100), vnd(90), vnd(100), AmountAgreed},
		{"less", vnd(100), Money{}, vnd(99), AmountPartial},
		{"less than discounted", vnd(100), vnd(90), vnd(89), AmountPartial},
		{"more", vnd(100), Money{}, vnd(101), AmountDoubtful},
		{"a hundredfold", vnd(100), Money{}, vnd(10000), AmountDoubtful},
		{"another currency", vnd(100), Money{}, Money{100, "USD"}, AmountDoubtful},
		{"unreadable", vnd(100), Money{}, Money{}, AmountDoubtful},
		{"negative", vnd(100), Money{}, vnd(-100), AmountDoubtful},
	} {
		if got := Compare(tt.asked, tt.discounted, tt.answered); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
