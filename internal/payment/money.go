package payment

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Money is an amount in minor units of an ISO 4217 currency: 123456 VND is
// {123456, "VND"} (exponent 0), 10.50 HKD is {1050, "HKD"} (exponent 2). It is
// never a float. The zero value is "no amount".
//
// In JSON it is {"minor":1050,"currency":"HKD","exponent":2}; the exponent is
// written for readers without the table, and checked if it is given.
type Money struct {
	Minor    int64
	Currency string
}

type currency struct {
	numeric  int
	exponent int
}

// ErrAmount is wrapped by every error about an amount that cannot be read.
var ErrAmount = errors.New("not an amount")

// Exponent tells how many decimal places the currency has, and whether ISO
// 4217 knows it.
func Exponent(code string) (int, bool) {
	c, ok := currencies[code]
	return c.exponent, ok
}

// CurrencyByNumber finds the alphabetic code of an ISO 4217 numeric code such
// as "704" (ISO 8583 DE 49).
func CurrencyByNumber(number string) (string, bool) {
	n, err := strconv.Atoi(number)
	if err != nil || len(number) > 3 {
		return "", false
	}
	for code, c := range currencies {
		if c.numeric == n {
			return code, true
		}
	}
	return "", false
}

// CurrencyNumber finds the ISO 4217 numeric code of an alphabetic one, three
// digits such as "980" or "008" (ISO 8583 DE 49).
func CurrencyNumber(code string) (string, bool) {
	c, ok := currencies[code]
	return fmt.Sprintf("%03d", c.numeric), ok
}

// maxDigits fit into an int64, whatever they are.
const maxDigits = 18

// ParseMoney reads a decimal text such as "10.5" or "123456" in the major unit
// of the currency. A sign, an exponent, a thousands mark, and more decimals
// than the currency has, are refused.
func ParseMoney(text, code string) (Money, error) {
	exp, ok := Exponent(code)
	if !ok {
		return Money{}, fmt.Errorf("%w: currency %q is not in ISO 4217", ErrAmount, code)
	}
	whole, frac, dot := strings.Cut(text, ".")
	if len(frac) > exp || (dot && frac == "") {
		return Money{}, fmt.Errorf("%w: %s has %d decimals", ErrAmount, code, exp)
	}
	if len(whole)+exp > maxDigits {
		return Money{}, fmt.Errorf("%w: it has more than %d digits", ErrAmount, maxDigits)
	}
	minor, err := ParseMinor(whole + frac + strings.Repeat("0", exp-len(frac)))
	if err != nil || whole == "" {
		return Money{}, fmt.Errorf("%w: want digits, like %s", ErrAmount, Money{123456, code}.Decimal())
	}
	return Money{minor, code}, nil
}

// ParseMinor reads an unsigned integer of at most 18 digits, and nothing else.
func ParseMinor(digits string) (int64, error) {
	if digits == "" || len(digits) > maxDigits {
		return 0, fmt.Errorf("%w: want 1 to %d digits, got %d characters", ErrAmount, maxDigits, len(digits))
	}
	for _, c := range []byte(digits) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%w: want digits only", ErrAmount)
		}
	}
	return strconv.ParseInt(digits, 10, 64)
}

// Decimal is the amount in the major unit, without the currency: "10.50".
func (m Money) Decimal() string {
	exp, _ := Exponent(m.Currency)
	sign, n := "", strconv.FormatUint(m.magnitude(), 10)
	if m.Minor < 0 {
		sign = "-"
	}
	if exp == 0 {
		return sign + n
	}
	if len(n) <= exp {
		n = strings.Repeat("0", exp+1-len(n)) + n
	}
	return sign + n[:len(n)-exp] + "." + n[len(n)-exp:]
}

func (m Money) magnitude() uint64 {
	if m.Minor == math.MinInt64 {
		return 1 << 63
	}
	return uint64(max(m.Minor, -m.Minor))
}

// String is the amount for a person: "10.50 HKD".
func (m Money) String() string {
	if m.IsZero() {
		return ""
	}
	return m.Decimal() + " " + m.Currency
}

// IsZero says whether there is no amount at all. An amount of nought in some
// currency is not zero in this sense.
func (m Money) IsZero() bool { return m == Money{} }

type moneyJSON struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
	Exponent *int   `json:"exponent,omitempty"`
}

func (m Money) MarshalJSON() ([]byte, error) {
	j := moneyJSON{Minor: m.Minor, Currency: m.Currency}
	if exp, ok := Exponent(m.Currency); ok {
		j.Exponent = &exp
	}
	return json.Marshal(j)
}

// UnmarshalJSON refuses fractions, unknown members, unknown currencies and an
// exponent that contradicts ISO 4217.
func (m *Money) UnmarshalJSON(b []byte) error {
	var j moneyJSON
	if err := decodeStrict(b, &j); err != nil {
		return fmt.Errorf(`%w: want {"minor":123456,"currency":"VND"}: %v`, ErrAmount, err)
	}
	if j.Currency == "" && j.Minor == 0 {
		*m = Money{}
		return nil
	}
	exp, ok := Exponent(j.Currency)
	if !ok {
		return fmt.Errorf("%w: currency %q is not in ISO 4217", ErrAmount, Excerpt(j.Currency))
	}
	if j.Exponent != nil && *j.Exponent != exp {
		return fmt.Errorf("%w: %s has exponent %d, not %d", ErrAmount, j.Currency, exp, *j.Exponent)
	}
	*m = Money{j.Minor, j.Currency}
	return nil
}
