package bpos

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
	"tillgate/link/tmaster"
)

func TestSale(t *testing.T) {
	inWorld(t, []string{"slow:3s"}, func(s *Settings) { s.ExtraPrint, s.ExtraXML = "Замовлення {order} {amount}", "<id>{id}</id>" }, func(t *testing.T, w *world) {
		tx := w.sale(12345)
		tx.Merchant = "7"
		var stages []payment.Stage
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Progress: func(s payment.Stage, _ payment.VendorCode) { stages = append(stages, s) }})
		if err != nil || o.Result != payment.Approved || o.Amount != tx.Amount || o.Source != payment.SourceAnswer || o.Signature {
			t.Fatalf("got %+v, %v", o, err)
		}
		if want := []payment.Stage{payment.StageWaitingCard, payment.StageWaitingCard, payment.StagePIN, payment.StageHost}; !slices.Equal(stages, want) {
			t.Errorf("stages: got %v, want %v", stages, want)
		}
		r := o.Reference
		if r.Receipt != "1" || len(r.RRN) != 12 || len(r.Auth) != 6 || len(r.TID) != 8 || r.MID == "" || r.Batch != "1" || r.Serial == "" || len(r.Time) != 12 {
			t.Errorf("reference: %+v", r)
		}
		if o.Card.PAN.Last4() != "9838" || o.Card.Entry != payment.EntryChip || o.Card.AID == "" || o.Card.Scheme == "" {
			t.Errorf("card: %+v", o.Card)
		}
		if len(o.Receipt) != 0 {
			t.Errorf("a receipt before the confirmation: %q", o.Receipt)
		}
		if !w.sim.term.Unconfirmed() {
			t.Error("the terminal waits for no confirmation")
		}
		if err := w.term.Confirm(t.Context(), tx, o); err != nil || w.sim.term.Unconfirmed() {
			t.Errorf("confirm: %v", err)
		}
		o = w.term.Complete(t.Context(), tx, o)
		text := strings.Join(o.Receipt, "\n")
		if !strings.Contains(text, "Замовлення order-B 123.45") || !strings.Contains(text, "<id>B</id>") || !strings.HasPrefix(text, "ОПЛАТА") {
			t.Errorf("receipt: %s", text)
		}
		if s := w.sim.term.Slips(); len(s) != 1 || s[0].Merchant != 7 {
			t.Errorf("slips: %+v", s)
		}
	})
}

// The other operations, each with its confirmation where it has one.
func TestOperations(t *testing.T) {
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		_, sold := w.mustSell(5000)
		do := func(tx payment.Transaction) payment.Outcome {
			t.Helper()
			if err := check(w.set, tx.Request); err != nil {
				t.Errorf("%s: %v", tx.Operation, err)
			}
			o, err := sellAndConfirm(t, w.term, &tx)
			if err != nil || o.Result != payment.Approved || w.sim.term.Unconfirmed() {
				t.Errorf("%s: got %+v, %v", tx.Operation, o, err)
			}
			return o
		}
		for _, op := range []payment.Operation{payment.CashAdvance, payment.Deposit} {
			if o := do(w.of(op, 700, payment.Reference{})); o.Amount != uah(700) || o.Reference.Receipt == "" {
				t.Errorf("%s: got %+v", op, o)
			}
		}
		service := w.of(payment.ServicePayment, 900, payment.Reference{})
		service.Service = "0046//1/5"
		if o := do(service); o.Amount != uah(900) || !strings.HasPrefix(o.Vendor.Text, "AGR ") {
			t.Errorf("service: got %+v", o)
		}
		if o := do(w.of(payment.Refund, 1000, sold.Reference)); o.Amount != uah(1000) {
			t.Errorf("refund: got %+v", o)
		}
		if o := do(w.of(payment.Balance, 0, payment.Reference{})); o.Amount != uah(1234567) {
			t.Errorf("balance: got %+v", o)
		}
		if o := do(w.of(payment.CardAcquisition, 0, payment.Reference{})); o.Text != "40817810" || !o.Amount.IsZero() {
			t.Errorf("identify: got %+v", o)
		}
		_, other := w.mustSell(300)
		if o := do(w.of(payment.Reversal, 300, other.Reference)); o.Amount != uah(300) {
			t.Errorf("reversal: got %+v", o)
		}
		if o := do(w.of(payment.Reconciliation, 0, payment.Reference{})); len(o.Receipt) == 0 || o.Reference.Batch != "1" {
			t.Errorf("reconciliation: got %+v", o)
		}
		// What is no reservation cannot be completed.
		_, again := w.mustSell(400)
		tx := w.begin(w.of(payment.Completion, 400, again.Reference))
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err != nil || o.Result != payment.Declined || o.Response != "12" || len(o.Receipt) == 0 {
			t.Errorf("completion: got %+v, %v", o, err)
		}
	})
}

// TestCompletion: a reservation that the staff made on the terminal itself, since
// the library has no method for one, is taken in part, once, and never for more.
func TestCompletion(t *testing.T) {
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		var held tmaster.Answer
		if err := w.sim.term.Begin(tmaster.Command{Operation: tmaster.Preauthorization, Amount: 900}, func(a tmaster.Answer) { held = a }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if _, err := w.sim.term.Confirm(); err != nil || !held.Good() {
			t.Fatalf("reservation: %+v, %v", held, err)
		}
		of := payment.Reference{RRN: held.Slip.RRN, Receipt: strconv.Itoa(held.Slip.Invoice), Batch: "1"}
		for _, c := range []struct {
			minor int64
			want  payment.Result
		}{{901, ""}, {700, payment.Approved}, {100, payment.Declined}} {
			tx := w.of(payment.Completion, c.minor, of)
			o, err := sellAndConfirm(t, w.term, &tx)
			if c.want == "" {
				if !errors.Is(err, link.ErrNotReversible) {
					t.Errorf("completion of %d: got %+v, %v", c.minor, o, err)
				}
				continue
			}
			if err != nil || o.Result != c.want {
				t.Errorf("completion of %d: got %+v, %v", c.minor, o, err)
			}
		}
		if l := w.sim.Ledger(); len(l) != 1 || l[0].Amount != uah(700) || !l[0].Charged {
			t.Errorf("the bank's ledger is %+v", l)
		}
	})
}

// A scenario of the terminal instead of IdentifyCard, and an application of its own.
func TestScenario(t *testing.T) {
	inWorld(t, []string{"approve"}, func(s *Settings) {
		s.Scenario, s.ScenarioData, s.Application = 17, "<order>{order}</order>", "TE7E/12555"
	}, func(t *testing.T, w *world) {
		tx := w.of(payment.CardAcquisition, 0, payment.Reference{})
		o, err := sellAndConfirm(t, w.term, &tx)
		if err != nil || o.Text != `<scenario id="17"><order>order-B</order></scenario>` {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

func TestReports(t *testing.T) {
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		_, o := w.mustSell(1000)
		w.mustSell(2000)
		all, err := w.term.Totals(t.Context())
		if err != nil || len(all) != 3 || all[0] != (link.Total{Operation: payment.Purchase, Count: 2, Amount: uah(3000)}) || all[1].Count != 0 {
			t.Errorf("totals: got %+v, %v", all, err)
		}
		print := func(kind payment.PrintKind, doc string) ([]string, error) {
			return w.term.Print(t.Context(), link.Printout{Kind: kind, Of: o.Reference, Document: doc})
		}
		for kind, want := range map[payment.PrintKind]string{payment.PrintReceipt: "ОПЛАТА", payment.PrintTotals: "Х БАЛАНС", payment.PrintJournal: "000001"} {
			if text, err := print(kind, ""); err != nil || !strings.Contains(strings.Join(text, "\n"), want) {
				t.Errorf("%s: got %q, %v", kind, text, err)
			}
		}
		if text, err := print(payment.PrintReconciliation, ""); err == nil {
			t.Errorf("a copy of no reconciliation: %q", text)
		}
		closing := w.begin(w.of(payment.Reconciliation, 0, payment.Reference{}))
		w.term.Execute(t.Context(), closing, link.Dialogue{})
		if text, err := print(payment.PrintReconciliation, ""); err != nil || !strings.Contains(strings.Join(text, "\n"), "Z БАЛАНС") {
			t.Errorf("reconciliation: got %q, %v", text, err)
		}
		file := filepath.Join(t.TempDir(), "slip.txt")
		if err := os.WriteFile(file, []byte("\xd7\xe5\xea"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := print(payment.PrintDocument, file); err != nil {
			t.Errorf("a file: %v", err)
		}
		if _, err := print(payment.PrintDocument, "/nothing/here.bmp"); err == nil {
			t.Error("a file that is not there is printed")
		}
		if _, err := print(payment.PrintDocument, "some text"); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("a text, with the bridge elsewhere: got %v", err)
		}
		w.term.local = true
		if _, err := print(payment.PrintDocument, "Дякуємо"); err != nil {
			t.Errorf("a text: %v", err)
		}
		if _, err := w.term.Print(t.Context(), link.Printout{Kind: payment.PrintReceipt}); err == nil {
			t.Error("the receipt of nothing is printed")
		}
		if _, err := print("nothing", ""); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("nothing: got %v", err)
		}
	})
}

func TestDiagnosis(t *testing.T) {
	inWorld(t, []string{"ended:1003", "approve"}, nil, func(t *testing.T, w *world) {
		d, err := w.term.Diagnose(t.Context())
		if d.Inventory.Software != "TE7E118" {
			t.Errorf("software: got %q", d.Inventory.Software)
		}
		if err != nil || d.Identity == "" || d.Blocked != "" || d.Facts["bridge"] != "simulator" || d.Facts["library"] != "simulated" || !strings.HasPrefix(d.Facts["info"], "TE7E118 ") {
			t.Errorf("got %+v, %v", d, err)
		}
		if d, err := w.term.DiagnoseHost(t.Context()); err != nil || !strings.Contains(d.Facts["host"], "1003") {
			t.Errorf("host: got %+v, %v", d, err)
		}
		tx := w.sale(100)
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err != nil || o.Result != payment.Failed || !strings.Contains(o.Text, "reconcile") {
			t.Errorf("a full journal: got %+v, %v", o, err)
		}
		if d, err := w.term.Diagnose(t.Context()); err != nil || d.Blocked != payment.ReasonReconcile {
			t.Errorf("after it: got %+v, %v", d, err)
		}
		if d, err := w.term.DiagnoseHost(t.Context()); err != nil || d.Facts["host"] != "reached" {
			t.Errorf("host: got %+v, %v", d, err)
		}
		w.mustSell(100)
		closing := w.begin(w.of(payment.Reconciliation, 0, payment.Reference{}))
		w.term.Execute(t.Context(), closing, link.Dialogue{})
		if d, _ := w.term.Diagnose(t.Context()); d.Blocked != "" {
			t.Errorf("after a reconciliation: got %+v", d)
		}
		held := w.sale(200)
		if o, err := w.term.Execute(t.Context(), held, link.Dialogue{}); err != nil || o.Result != payment.Approved {
			t.Fatalf("got %+v, %v", o, err)
		}
		if d, err := w.term.Diagnose(t.Context()); err != nil || d.Identity == "" || !w.sim.term.Unconfirmed() {
			t.Errorf("while a payment waits for its goods: got %+v, %v", d, err)
		}
		if _, err := w.term.Totals(t.Context()); err == nil {
			t.Error("totals while a payment waits for its goods")
		}
	})
}

// An unattended terminal shows our lines while it is idle, and gives its display
// back for a payment.
func TestUnattended(t *testing.T) {
	inWorld(t, []string{"approve+readers-failed", "approve+close-batch", "slow:5s"}, func(s *Settings) {
		s.Unattended, s.Lines, s.Screen = true, []string{"Вітаємо", "Оберіть товар"}, 4
	}, func(t *testing.T, w *world) {
		shown := func() string {
			w.sim.unit.Lock()
			defer w.sim.unit.Unlock()
			return fmt.Sprint(w.sim.ctrl.on, w.sim.ctrl.shown, w.sim.ctrl.screen)
		}
		const idle = "true [Вітаємо Оберіть товар] 4"
		if got := shown(); got != idle {
			t.Errorf("after opening: %s", got)
		}
		for _, want := range []payment.Reason{payment.ReasonBlocked, payment.ReasonReconcile} {
			w.mustSell(100)
			if got := shown(); got != idle {
				t.Errorf("after a sale: %s", got)
			}
			if d, err := w.term.Diagnose(t.Context()); err != nil || d.Blocked != want || d.Facts["term_status"] == "" {
				t.Errorf("got %+v, %v, want %s", d, err, want)
			}
		}
		tx := w.sale(100)
		var during string
		w.term.Execute(t.Context(), tx, link.Dialogue{Progress: func(s payment.Stage, _ payment.VendorCode) { during = shown() }})
		if !strings.HasPrefix(during, "false") {
			t.Errorf("while a customer pays: %s", during)
		}
	})
}

// Statuses are exchanged in control mode only, so the display is taken for that,
// and given back where nothing of ours is shown. A terminal that does not do it
// sells all the same.
func TestExchangeStatuses(t *testing.T) {
	inWorld(t, []string{"approve+readers-failed"}, func(s *Settings) { s.Unattended = true }, func(t *testing.T, w *world) {
		if d, err := w.term.Diagnose(t.Context()); err != nil || d.Blocked != payment.ReasonBlocked {
			t.Errorf("got %+v, %v", d, err)
		}
		if w.sim.ctrl.on || w.term.control {
			t.Error("the display is not given back")
		}
	})
	for _, method := range []string{"SetControlMode", "ExchangeStatuses"} {
		for what, refuse := range map[string]func() (int, error){
			"absent": func() (int, error) { return 0, bridge.ErrAbsent }, "not of the unattended kind": func() (int, error) { return 0, nil },
		} {
			inWorld(t, nil, func(s *Settings) { s.Unattended = true }, func(t *testing.T, w *world) {
				var asked string
				w.wrap = func(l bridge.Library) bridge.Library {
					return altered{Library: l, call: func(name string, _ []any) (int, bool, error) {
						if asked = name; name != method {
							return 0, false, nil
						}
						code, err := refuse()
						return code, true, err
					}, get: func(name string, v any) any {
						if n, ok := map[string]int64{"LastResult": resultError, "LastErrorCode": faultTerminal, "ResponseCode": codeGeneral}[name]; ok && asked == method {
							return n
						}
						return v
					}}
				}
				w.open()
				d, err := w.term.Diagnose(t.Context())
				if err != nil || d.Blocked != "" || !strings.HasPrefix(d.Facts["term_status"], "not told: ") || d.Facts["info"] == "" {
					t.Errorf("%s %s: got %+v, %v", method, what, d, err)
				}
				w.mustSell(100)
			})
		}
	}
}

// CorrectTransaction at status 11 offers the discount that the profile has for the
// card; both sides agree on the amount before the card is charged.
func TestDiscount(t *testing.T) {
	for name, want := range map[string]int64{"CLUB": 9505, "OTHER": 10005} {
		inWorld(t, []string{"slow:3s+discount:" + name}, func(s *Settings) { s.Discounts = map[string]int{"CLUB": 5} }, func(t *testing.T, w *world) {
			tx := w.sale(10005)
			o, err := sellAndConfirm(t, w.term, &tx)
			if err != nil || o.Amount != uah(want) || payment.Compare(tx.Amount, o.Discount, o.Amount) != payment.AmountAgreed {
				t.Errorf("%s: got %+v, %v, want %d", name, o, err, want)
			}
			if again, err := w.term.Lookup(t.Context(), tx, time.Hour); err != nil || again.Amount != o.Amount || again.Result != payment.Approved {
				t.Errorf("%s: lookup: got %+v, %v", name, again, err)
			}
		})
	}
	// A discount that nobody agreed on: the amount is not known.
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, get: func(name string, v any) any {
				if name == "AddAmount" {
					return int64(5)
				}
				return v
			}}
		}
		w.open()
		tx := w.sale(100)
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err != nil || payment.Compare(tx.Amount, o.Discount, o.Amount) != payment.AmountDoubtful {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

// Cancel is a wish; what the terminal says decides.
func TestCancel(t *testing.T) {
	inWorld(t, []string{"slow:30s"}, nil, func(t *testing.T, w *world) {
		stop := make(chan struct{})
		tx := w.sale(100)
		time.AfterFunc(5*time.Second, func() { close(stop) })
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop})
		if err != nil || o.Result != payment.Cancelled || o.Vendor.Code != "1001" || len(w.sim.Ledger()) != 0 {
			t.Errorf("got %+v, %v", o, err)
		}
	})
	inWorld(t, []string{"slow:30s"}, nil, func(t *testing.T, w *world) { // a library that loses the wish is asked again, a while
		cancels, checks := 0, 0
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				switch method {
				case "Cancel":
					cancels++
					return 0, true, nil
				case "CheckTerminal":
					checks++
				}
				return 0, false, nil
			}}
		}
		w.set.CheckAfter = 4 * time.Second
		w.open()
		stop := make(chan struct{})
		close(stop)
		tx := w.sale(100)
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop}); err != nil || o.Result != payment.Approved || cancels != maxCancels || checks < 3 {
			t.Errorf("got %+v, %v after %d cancels and %d checks", o, err, cancels, checks)
		}
	})
}

// Cancel is for LastResult 2 only: an approval that came before the wish stands.
func TestCancelTooLate(t *testing.T) {
	inWorld(t, []string{"slow:3s"}, nil, func(t *testing.T, w *world) {
		stop, cancels, looked := make(chan struct{}), 0, make(chan struct{})
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				if method == "Cancel" {
					cancels++
				}
				return 0, false, nil
			}, get: func(name string, v any) any {
				if name == "LastResult" && v == int64(resultWorking) {
					select {
					case looked <- struct{}{}:
					default:
					}
				}
				return v
			}}
		}
		w.set.Poll = 5 * time.Second // the terminal is done long before it is looked at again
		w.open()
		tx := w.sale(100)
		go func() {
			<-looked
			time.Sleep(4 * time.Second)
			close(stop)
		}()
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop})
		if err != nil || o.Result != payment.Approved || cancels != 0 {
			t.Errorf("got %+v, %v after %d cancels", o, err, cancels)
		}
	})
}

// After a decline the terminal may ask whether to continue: the next sale waits
// for a key, and a person is told.
func TestQuestion(t *testing.T) {
	inWorld(t, []string{"decline:51+continue", "slow:3s"}, nil, func(t *testing.T, w *world) {
		first := w.sale(100)
		if o, err := w.term.Execute(t.Context(), first, link.Dialogue{}); err != nil || o.Result != payment.Declined || o.Response != "51" {
			t.Fatalf("got %+v, %v", o, err)
		}
		stop := make(chan struct{})
		time.AfterFunc(10*time.Second, func() { close(stop) })
		tx := w.sale(200)
		o, err := w.term.Execute(t.Context(), tx, link.Dialogue{Abort: stop})
		if err != nil || o.Result != payment.Cancelled || !strings.Contains(o.Text, "green") {
			t.Errorf("got %+v, %v", o, err)
		}
		if d, err := w.term.Diagnose(t.Context()); err != nil || d.Facts["advice"] != question {
			t.Errorf("got %+v, %v", d, err)
		}
		w.mustSell(300)
		if d, _ := w.term.Diagnose(t.Context()); d.Facts["advice"] != "" {
			t.Error("the hint stays for ever")
		}
	})
	inWorld(t, []string{"decline:51+continue", "approve"}, nil, func(t *testing.T, w *world) {
		first := w.sale(100)
		if _, err := w.term.Execute(t.Context(), first, link.Dialogue{}); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(3*time.Second, func() { w.sim.term.Press(true) })
		w.mustSell(200)
		if d, _ := w.term.Diagnose(t.Context()); d.Facts["advice"] == "" {
			t.Error("the sale waited for a key, and nobody is told")
		}
	})
}

// A library that is older, or in another state than the guide says.
func TestOddLibraries(t *testing.T) {
	missing := func(names ...string) func(bridge.Library) bridge.Library {
		return func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				if slices.Contains(names, method) {
					return 0, true, bridge.ErrAbsent
				}
				return 0, false, nil
			}}
		}
	}
	inWorld(t, []string{"approve"}, nil, func(t *testing.T, w *world) {
		w.wrap = missing("useLogging", "SetErrorLang", "CommClose", "CheckTerminal", "Ping")
		w.open()
		w.mustSell(100)
	})
	for name, c := range map[string]struct {
		wrap func(bridge.Library) bridge.Library
		want string
	}{
		"no POSGetInfo": {missing("POSGetInfo"), "absent"},
		"LastResult 7": {func(l bridge.Library) bridge.Library {
			return altered{Library: l, get: func(name string, v any) any {
				if name == "LastResult" {
					return int64(7)
				}
				return v
			}}
		}, "state"},
		"an open port": {func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				return returnFailedToOpen, strings.HasPrefix(method, "CommOpen"), nil
			}}
		}, "cannot open"},
		"4in1 on the terminal": {func(l bridge.Library) bridge.Library {
			return altered{Library: l, get: func(name string, v any) any {
				return map[bool]any{true: map[string]int64{"LastResult": 1, "LastErrorCode": 3}[name], false: v}[name == "LastResult" || name == "LastErrorCode"]
			}}
		}, "4in1"},
	} {
		synctest.Test(t, func(t *testing.T) {
			sim, err := NewSimulator(link.SimulatorConfig{})
			if err != nil {
				t.Fatal(err)
			}
			defer sim.Close()
			w := &world{t: t, sim: sim, set: defaults(), wrap: c.wrap}
			_, err = Open(t.Context(), link.Config{Name: name, Dial: w.dial, Settings: w.set})
			if err == nil || link.Sent(err) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, want %s, and nothing sent", name, err, c.want)
			}
		})
	}
}

// TestBridgeSays: what a bridge says goes to the log without card numbers,
// wherever the line is cut.
func TestBridgeSays(t *testing.T) {
	var said, log strings.Builder
	for n := range maxSaid {
		said.WriteString(strings.Repeat("x", 360+n) + " 4111111111111111\n")
	}
	listen(strings.NewReader(said.String()), slog.New(slog.NewTextHandler(&log, nil)))
	if got := strings.Count(log.String(), "the bridge says"); got != maxSaid || strings.Contains(log.String(), "4111") {
		t.Errorf("%d lines: %s", got, log.String())
	}
}
