package simulate

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link"
)

type state struct {
	Bank
	Receipt int `json:"receipt"`
}

func (s *state) Check() error {
	if s.Receipt < 0 {
		return errors.New("a receipt below zero")
	}
	return nil
}

func TestLedger(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger.json")
	s := state{Bank: Bank{Currency: "UAH"}, Receipt: 7}
	if err := Load(file, &s); err != nil || s.Receipt != 7 {
		t.Fatalf("without a file: %+v, %v", s, err)
	}
	s.Entries = append(s.Entries, link.Entry{Attempt: "A", Amount: payment.Money{Minor: 5, Currency: "UAH"}, Charged: true})
	for s.Receipt = 8; s.Receipt < 10; s.Receipt++ {
		if err := Save(file, &s); err != nil {
			t.Fatal(err)
		}
	}
	got := state{Bank: Bank{Currency: "UAH"}}
	if err := Load(file, &got); err != nil || got.Receipt != 9 || !reflect.DeepEqual(got.Ledger(), s.Entries) {
		t.Errorf("got %+v, %v, want %+v", got, err, s)
	}
	got.Ledger()[0].Attempt = "B"
	if got.Entries[0].Attempt != "A" {
		t.Error("the copy of a ledger is the ledger")
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".ledger-*")); len(left) > 0 {
		t.Errorf("saving leaves %v", left)
	}
	text, _ := os.ReadFile(file)
	if want := `{"currency":"UAH","entries":[{"attempt":"A",`; !strings.HasPrefix(string(text), want) {
		t.Errorf("the file is %s, want %s...", text, want)
	}
}

func TestLedgerRefusals(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ledger.json")
	for text, want := range map[string]string{
		`{"currency":"VND"}`:              "is kept in VND, not in UAH",
		`{}`:                              "",
		`{"currency":"UAH","colour":1}`:   "unknown field",
		`{"currency":"UAH","receipt":-1}`: "a receipt below zero",
		`{"currency":"UAH"`:               "unexpected EOF",
		``:                                "EOF",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := Load(file, &state{Bank: Bank{Currency: "UAH"}})
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file)) {
			t.Errorf("%s: got %v, want %q and the file's name", text, err, want)
		}
	}
	if err := Save(filepath.Join(file, "no-folder"), &state{}); err == nil {
		t.Error("saving below a file works")
	}
	if err := errors.Join(Save("", &state{}), Load("", &state{})); err != nil {
		t.Errorf("without a file: %v", err)
	}
}
