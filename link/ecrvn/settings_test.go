package ecrvn

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

func TestSettings(t *testing.T) {
	if err := defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for field, change := range map[string]func(*Settings){
		"client_id": func(s *Settings) { s.ClientID = "a|b" }, "request_id_max": func(s *Settings) { s.RequestIDMax = 11 },
		"fields": func(s *Settings) { s.Fields = 3 }, "f2": func(s *Settings) { s.F2 = "card" }, "amount_factor": func(s *Settings) { s.AmountFactor = 0 },
		"keypad": func(s *Settings) { s.Keypad = "" }, "query_timeout": func(s *Settings) { s.QueryTimeout = 0 }, "idle_gap": func(s *Settings) { s.IdleGap = time.Hour },
		"web.method": func(s *Settings) { s.Web.Method = "PUT" }, "web.port": func(s *Settings) { s.Web.Port = 70000 }, "web.path": func(s *Settings) { s.Web.Path = "ecr" },
		"web.body": func(s *Settings) { s.Web.Body = "{}" }, "web.headers": func(s *Settings) { s.Web.Headers = map[string]string{"a": "b\r\nc"} },
		"web.certificate_sha256": func(s *Settings) { s.Web.CertificateSHA256 = "12" },
	} {
		s := defaults()
		change(s)
		err, ok := s.Validate().(payment.Invalid)
		if !ok || len(err) != 1 || err[0].Field != field {
			t.Errorf("%s: got %v", field, err)
		}
	}
}

// TestTechcombank has ids of 12 characters, no fields, and answers with two
// more zeros. The factor comes from the profile alone: without it the amount is
// a hundred times what was asked, and nobody divides it away.
func TestTechcombank(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "x100", "x100", "lost-answer+x100")
		r.settings.RequestIDMax, r.settings.Fields, r.settings.AmountFactor = 12, 0, 100
		r.settings.ClientID = strings.Repeat("c", 20)
		term := r.open()
		tx := r.purchase(term, "P1")
		o, err := term.Execute(t.Context(), tx, link.Dialogue{})
		if err != nil || o.Result != payment.Approved || o.Amount != tx.Amount {
			t.Errorf("with the factor: got %+v, %v", o, err)
		}
		if e := r.sim.Ledger()[0]; e.Attempt != tx.Attempt[:12] || e.Amount != tx.Amount || e.Order != "" {
			t.Errorf("ledger: %+v", e)
		}
		term.settings.AmountFactor = 1
		tx = r.purchase(term, "P2")
		o, err = term.Execute(t.Context(), tx, link.Dialogue{})
		if err != nil || o.Amount.Minor != 100*tx.Amount.Minor || payment.Compare(tx.Amount, payment.Money{}, o.Amount) != payment.AmountDoubtful {
			t.Errorf("without it: got %+v, %v", o, err)
		}
		term.settings.AmountFactor = 100
		tx = r.purchase(term, "P3")
		term.Execute(t.Context(), tx, link.Dialogue{})
		if o, err = term.Lookup(t.Context(), tx, time.Second); err != nil || o.Amount != tx.Amount {
			t.Errorf("lookup: got %+v, %v", o, err)
		}
	})
}

func TestAmountOfAnswer(t *testing.T) {
	for _, c := range []struct {
		amount, currency string
		factor           int64
		want             payment.Money
	}{
		{"2000", "704", 1, payment.Money{Minor: 2000, Currency: "VND"}}, {"200000", "704", 100, payment.Money{Minor: 2000, Currency: "VND"}},
		{"1050", "840", 1, payment.Money{Minor: 1050, Currency: "USD"}}, {"200050", "704", 100, payment.Money{}}, {"", "704", 1, payment.Money{}},
		{"2,000", "704", 1, payment.Money{}}, {"2000.5", "704", 1, payment.Money{}}, {"-5", "704", 1, payment.Money{}}, {"2000", "", 1, payment.Money{}},
		{"2000", "000", 1, payment.Money{}}, {" 2000", "704", 1, payment.Money{}},
	} {
		s := defaults()
		s.AmountFactor = c.factor
		if got := s.money(info{amount: c.amount, currencyCode: c.currency}); got != c.want {
			t.Errorf("%q in %q by %d: got %v, want %v", c.amount, c.currency, c.factor, got, c.want)
		}
	}
}

// TestWrongAmount hands the terminal's amount on as it is.
func TestWrongAmount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, "wrong-amount:1000")
		term := r.open()
		tx := r.purchase(term, "P1")
		o, err := term.Execute(t.Context(), tx, link.Dialogue{})
		if err != nil || o.Amount.Minor != tx.Amount.Minor+1000 {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

// TestFields has F1 to F5 carry what the profile says.
func TestFields(t *testing.T) {
	s := defaults()
	s.F1, s.F2, s.F3, s.F5 = "id", "attempt", "", "order"
	tx := payment.Transaction{Request: payment.Request{ID: "i", Order: "o"}, Attempt: strings.Repeat("A", 20)}
	if got := strings.Join(s.fields(tx), "|"); got != "i|"+tx.Attempt+"|||o" {
		t.Errorf("got %s", got)
	}
	r := payment.Request{ID: payment.ID(strings.Repeat("i", 21)), Operation: payment.Purchase, Amount: payment.Money{Minor: 1, Currency: "VND"}}
	if err := check(s, r); payment.ReasonOf(err) != payment.ReasonInvalid {
		t.Errorf("an id of 21 characters: got %v", err)
	}
	s.Fields = 0
	if err := check(s, r); err != nil || s.fields(tx) != nil {
		t.Errorf("without fields: got %v, %v", s.fields(tx), err)
	}
}

// TestReversible reads the last transaction before a void.
func TestReversible(t *testing.T) {
	vnd := payment.Money{Minor: 123456, Currency: "VND"}
	original := payment.Reference{Receipt: "000061", Batch: "000021", RRN: "660802567803", Serial: "S", TID: "T"}
	last := info{transType: "1", receiptNo: "000061", batchNo: "000021", refNo: "660802567803", amount: "123456", currencyCode: "704", posSerial: "S", tid: "T"}
	for name, c := range map[string]struct {
		change func(*info, *payment.Transaction)
		want   error
	}{
		"the original is the last one": {func(*info, *payment.Transaction) {}, nil},
		"a later sale of the batch":    {func(f *info, _ *payment.Transaction) { f.receiptNo, f.refNo, f.amount = "000062", "1", "5" }, nil},
		"a void of an earlier one":     {func(f *info, _ *payment.Transaction) { f.receiptNo, f.transType = "000060", "2" }, nil},
		"voided already":               {func(f *info, _ *payment.Transaction) { f.transType = "2" }, link.ErrNotReversible},
		"numbers began again":          {func(f *info, _ *payment.Transaction) { f.receiptNo = "000001" }, link.ErrNotReversible},
		"another batch":                {func(f *info, _ *payment.Transaction) { f.batchNo = "000022" }, link.ErrNotReversible},
		"another RRN":                  {func(f *info, _ *payment.Transaction) { f.refNo = "1" }, link.ErrNotReversible},
		"another amount":               {func(f *info, _ *payment.Transaction) { f.amount = "123457" }, link.ErrNotReversible},
		"a part of it":                 {func(_ *info, tx *payment.Transaction) { tx.Amount.Minor-- }, link.ErrNotReversible},
		"another terminal":             {func(f *info, _ *payment.Transaction) { f.posSerial = "X" }, link.ErrSwapped},
		"nothing there":                {func(f *info, _ *payment.Transaction) { *f = info{} }, link.ErrNotReversible},
		"no receipt number":            {func(_ *info, tx *payment.Transaction) { tx.Original.Receipt = "" }, link.ErrNotReversible},
	} {
		f, tx := last, payment.Transaction{Request: payment.Request{Operation: payment.Reversal, Original: original, Amount: vnd}}
		c.change(&f, &tx)
		term := &terminal{settings: defaults()}
		if err := term.reversible(f, tx); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// TestVoidEcho: a void that another receipt or amount is answered for is not
// known to be ours.
func TestVoidEcho(t *testing.T) {
	term := &terminal{settings: defaults()}
	tx := payment.Transaction{Request: payment.Request{Operation: payment.Reversal, Original: payment.Reference{Receipt: "61"}, Amount: payment.Money{Minor: 123456, Currency: "VND"}}}
	a, err := decode([]byte(samples(t)[4]))
	if err != nil {
		t.Fatal(err)
	}
	if err := term.accept(a, tx); err != nil {
		t.Errorf("the document's void: %v", err)
	}
	for name, change := range map[string]func(*answer){
		"receipt": func(a *answer) { a.info.receiptNo = "000062" }, "amount": func(a *answer) { a.info.amount = "123457" },
		"command": func(a *answer) { a.command = "sale" }, "no receipt": func(a *answer) { a.info.receiptNo = "" },
	} {
		b := a
		change(&b)
		if err := term.accept(b, tx); err == nil {
			t.Errorf("another %s: no error", name)
		}
	}
}

// TestLedgerFile cuts the power after each sale: the ledger and the terminal's
// memory are as they were.
func TestLedgerFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "ledger")
		var want []link.Entry
		for i := range 5 {
			sim, err := NewSimulator(link.SimulatorConfig{Ledger: file, Script: []string{"lost-answer"}})
			if err != nil {
				t.Fatal(err)
			}
			if got := sim.Ledger(); len(got) != len(want) || len(got) > 0 && got[i-1] != want[i-1] {
				t.Fatalf("start %d: got %+v, want %+v", i, got, want)
			}
			r := &rig{t, sim, defaults()}
			term := r.open()
			tx := r.purchase(term, string(rune('A'+i)))
			term.Execute(t.Context(), tx, link.Dialogue{})
			want = sim.Ledger()
			term.Close()
			sim.Close()

			sim, err = NewSimulator(link.SimulatorConfig{Ledger: file})
			if err != nil {
				t.Fatal(err)
			}
			r = &rig{t, sim, defaults()}
			term = r.open()
			if o, err := term.Lookup(t.Context(), tx, time.Second); err != nil || o.Result != payment.Approved {
				t.Errorf("start %d: lookup got %+v, %v", i, o, err)
			}
			term.Close()
			sim.Close()
		}
	})
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte(`{"currency":"USD"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []link.SimulatorConfig{{Ledger: bad}, {Currency: "EUR"}, {Script: []string{"nonsense"}}, {Script: []string{"approve+decline"}}, {Script: []string{"mute:1"}}, {Script: []string{"slow:x"}}} {
		if _, err := NewSimulator(c); err == nil {
			t.Errorf("%+v: no error", c)
		}
	}
}

// BenchmarkPayment is a baseline and a sale against the simulator, in memory.
func BenchmarkPayment(b *testing.B) {
	sim, err := NewSimulator(link.SimulatorConfig{})
	if err != nil {
		b.Fatal(err)
	}
	defer sim.Close()
	r := &rig{sim: sim, settings: defaults()}
	term, err := Open(b.Context(), r.config())
	if err != nil {
		b.Fatal(err)
	}
	defer term.Close()
	tx := payment.Transaction{Request: payment.Request{Operation: payment.Purchase, Amount: payment.Money{Minor: 1, Currency: "VND"}}, Attempt: strings.Repeat("A", 20)}
	for b.Loop() {
		if _, err := term.(*terminal).Baseline(b.Context(), tx); err != nil {
			b.Fatal(err)
		}
		if o, err := term.Execute(b.Context(), tx, link.Dialogue{}); err != nil || o.Result != payment.Approved {
			b.Fatal(o, err)
		}
	}
}
