package simulate

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type behaviour struct {
	outcome, arg string
	slow, after  time.Duration
	asks         int
	extra        int64
	echo         bool
}

func grammar() Grammar[behaviour] {
	digits := func(arg string) error {
		if len(arg) != 2 {
			return errors.New("a code has two digits")
		}
		return nil
	}
	return Grammar[behaviour]{
		Begin: func(outcome string) behaviour { return behaviour{outcome: outcome} },
		Outcomes: map[string]Word[behaviour]{
			"approve": nil,
			"decline": Checked("51", digits, func(b *behaviour, arg string) { b.arg = arg }),
			"result":  Text("FAILED", func(b *behaviour, arg string) { b.arg = arg }),
			"wrong":   Whole(1, func(b *behaviour, n int64) { b.extra = n }),
			"late":    Late(func(b *behaviour, asks int, after time.Duration) { b.asks, b.after = asks, after }),
		},
		Features: map[string]Word[behaviour]{
			"slow": Duration(3*time.Second, func(b *behaviour, d time.Duration) { b.slow = d }),
			"echo": Flag(func(b *behaviour) { b.echo = true }),
		},
	}
}

func TestScript(t *testing.T) {
	for text, want := range map[string]behaviour{
		"approve":                {outcome: "approve"},
		"echo":                   {outcome: "approve", echo: true},
		"decline":                {outcome: "decline", arg: "51"},
		"decline:05":             {outcome: "decline", arg: "05"},
		"result:a:b":             {outcome: "result", arg: "a:b"},
		"slow+decline:05+echo":   {outcome: "decline", arg: "05", slow: 3 * time.Second, echo: true},
		"slow:1500ms":            {outcome: "approve", slow: 1500 * time.Millisecond},
		"wrong":                  {outcome: "wrong", extra: 1},
		"wrong:-7":               {outcome: "wrong", extra: -7},
		"late":                   {outcome: "late", asks: 1},
		"late:3":                 {outcome: "late", asks: 3},
		"late:90s":               {outcome: "late", after: 90 * time.Second},
		"echo+late:90s+slow:20s": {outcome: "late", after: 90 * time.Second, slow: 20 * time.Second, echo: true},
	} {
		s, err := grammar().Parse([]string{text})
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if got := s.Next(); got != want {
			t.Errorf("%s: got %+v, want %+v", text, got, want)
		}
	}
}

func TestScriptRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"aprove":          `script 2: behaviour "aprove": no such behaviour: "aprove"; outcomes are approve, decline, late, result, wrong; to be added with + are echo, slow`,
		"":                "no such behaviour",
		"approve+":        "no such behaviour",
		"approve+decline": "approve and decline: an entry has one outcome",
		"approve+approve": "an entry has one outcome",
		"approve:1":       "approve: it takes no argument",
		"echo:1":          "echo: it takes no argument",
		"echo+echo":       "echo stands there twice",
		"decline:5":       "decline: a code has two digits",
		"slow:20":         `slow: "20" is no time`,
		"slow:-1s":        "is no time",
		"wrong:x":         `"x" is no whole number`,
		"late:0":          `"0" is neither a number of questions nor a time`,
		"late:x":          `late: "x" is neither`,
	} {
		if _, err := grammar().Parse([]string{"approve", text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

// The entries come in order, and the last one stays.
func TestScriptOrder(t *testing.T) {
	s, err := grammar().Parse([]string{"decline", "approve", "late"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 5 {
		got = append(got, s.Peek().outcome, s.Next().outcome)
	}
	if want := "decline decline approve approve late late late late late late"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	s, err = grammar().Parse(nil)
	if err != nil || s.Next().outcome != "approve" {
		t.Errorf("an empty script: %v, %v", s, err)
	}
}

func TestNumber(t *testing.T) {
	if n := Number("", 100); n != 0 {
		t.Errorf("no name has number %d", n)
	}
	if Number("left", 1_000_000) == Number("right", 1_000_000) {
		t.Error("two names have one number")
	}
	for _, below := range []int{1, 10, 90_000_000} {
		if n := Number("left", below); n < 0 || n >= below {
			t.Errorf("number %d is not below %d", n, below)
		}
	}
}
