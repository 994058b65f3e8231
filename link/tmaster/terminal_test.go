package tmaster

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/link"
)

// rig is a terminal and the answers that it gave.
type rig struct {
	*Terminal
	t *testing.T
}

func newRig(t *testing.T, c Config, script ...string) *rig {
	t.Helper()
	c.Script = script
	term, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(term.Close)
	return &rig{term, t}
}

// do carries an operation out and waits for its answer.
func (r *rig) do(c Command) Answer {
	r.t.Helper()
	said := make(chan Answer, 1)
	if err := r.Begin(c, func(a Answer) { said <- a }); err != nil {
		r.t.Fatalf("%s: %v", c.Operation, err)
	}
	return <-said
}

// ledger compares the bank's ledger: amounts, with "-" if it has gone back.
func (r *rig) ledger(want ...string) {
	r.t.Helper()
	var got []string
	for _, e := range r.Ledger() {
		text := e.Amount.Decimal()
		if e.Reversed {
			text = "-" + text
		}
		got = append(got, text)
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("ledger: got %q, want %q", got, want)
	}
}

func buy(minor int64) Command { return Command{Operation: Purchase, Amount: minor} }

// story runs one in virtual time.
func story(t *testing.T, c Config, script []string, f func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newRig(t, c, script...)) })
}

func TestOutcomes(t *testing.T) {
	for _, c := range []struct {
		behaviour, ledger string
		code              int
		fault             Fault
	}{
		{"approve", "10.00", Approved, Sound}, {"decline:51", "", 51, Sound}, {"decline:05", "", 5, Sound}, {"cancel", "", Cancelled, Sound},
		{"ended:1000", "", General, Sound}, {"ended:1002", "", ChipDecline, Sound}, {"ended", "", NoHost, Sound}, {"ended:1005", "", NoPaper, Sound},
		{"ended:1006", "", NoKeys, Sound}, {"ended:1007", "", NoReader, Sound}, {"full", "", LogFull, Sound}, {"partial:400", "6.00", Partial, Sound},
		{"wrong-amount:1", "10.01", Approved, Sound}, {"signature", "10.00", Approved, Sound}, {"charged:1004", "10.00", Approved, Says},
		{"taken-back", "-10.00", NoHost, Sound}, {"taken-back:1002+pending", "10.00", ChipDecline, Sound}, {"lost-answer", "10.00", Approved, Silent},
		{"mute", "", Approved, Silent}, {"reboot", "10.00", Approved, HangUp}, {"reboot-before", "", Approved, HangUp}, {"half-answer", "10.00", Approved, Half},
		{"garbage", "10.00", Approved, Garbage}, {"hand-sale", "10.00", Approved, Silent}, {"hand-after", "10.00 10.00", Approved, Silent},
		{"batch-closed", "10.00", Approved, Silent}, {"swapped", "10.00 500.00", Approved, Silent},
	} {
		story(t, Config{}, []string{c.behaviour}, func(t *testing.T, r *rig) {
			a := r.do(buy(1000))
			if a.Code != c.code || a.Fault != c.fault {
				t.Errorf("%s: got code %d and fault %d, want %d and %d", c.behaviour, a.Code, a.Fault, c.code, c.fault)
			}
			r.ledger(strings.Fields(c.ledger)...)
			if s := r.Status(); s != (Status{}) {
				t.Errorf("%s: it is not idle afterwards: %+v", c.behaviour, s)
			}
		})
	}
}

// TestConfirm: an approval that nobody confirms goes back: in time, with the
// next operation, and when the power fails.
func TestConfirm(t *testing.T) {
	within := Config{ConfirmWithin: time.Minute}
	story(t, within, nil, func(t *testing.T, r *rig) {
		if _, err := r.Confirm(); !errors.Is(err, ErrNothing) {
			t.Errorf("with nothing to confirm: got %v", err)
		}
		r.do(buy(100))
		time.Sleep(59 * time.Second)
		if f, err := r.Confirm(); f != Sound || err != nil || r.Unconfirmed() {
			t.Errorf("in time: got %v, %v", f, err)
		}
		r.do(buy(200))
		time.Sleep(61 * time.Second)
		if _, err := r.Confirm(); !errors.Is(err, ErrNothing) {
			t.Errorf("too late: got %v", err)
		}
		if s, _, _ := r.Receipt(0); s.Status != StatusReversed {
			t.Errorf("its receipt: %+v", s)
		}
		r.do(buy(300))
		r.do(buy(400))
		r.Confirm()
		time.Sleep(time.Hour)
		r.ledger("1.00", "-2.00", "-3.00", "4.00")
	})
	for behaviour, want := range map[string]string{"confirm-lost": "-1.00", "confirm-mute": "1.00"} {
		story(t, within, []string{behaviour}, func(t *testing.T, r *rig) {
			r.do(buy(100))
			if f, err := r.Confirm(); f != Silent || err != nil {
				t.Errorf("%s: got %v, %v", behaviour, f, err)
			}
			time.Sleep(time.Hour)
			r.ledger(want)
		})
	}
	if _, err := New(Config{SimulatorConfig: link.SimulatorConfig{Script: []string{"confirm-lost"}}}); err == nil {
		t.Error("a terminal that needs no Confirm can lose one")
	}
}

// TestPowerCut: the ledger file outlives the terminal, which takes back what was
// not confirmed.
func TestPowerCut(t *testing.T) {
	c := Config{SimulatorConfig: link.SimulatorConfig{Ledger: filepath.Join(t.TempDir(), "ledger")}, ConfirmWithin: time.Minute}
	r := newRig(t, c)
	r.do(buy(100))
	r.Confirm()
	r.do(buy(200))
	r.Close()
	r = newRig(t, c, "full")
	r.ledger("1.00", "-2.00")
	if a := r.do(buy(300)); a.Code != LogFull {
		t.Errorf("got %d, want %d", a.Code, LogFull)
	}
	r.Close()
	r = newRig(t, c)
	if a := r.do(buy(300)); a.Code != LogFull || !r.Full() {
		t.Errorf("a full log is not full after a power cut: %d", a.Code)
	}
	if a := r.do(Command{Operation: Settlement}); a.Code != Approved || a.Totals != (Totals{DebitNum: 1, DebitAmt: 100, CancelledNum: 1, CancelledAmt: 200}) {
		t.Errorf("settlement: %+v", a)
	}
	if a := r.do(buy(300)); a.Code != Approved {
		t.Errorf("after it: %d", a.Code)
	}
	if r.do(buy(1)); r.Serial() == newRig(t, Config{SimulatorConfig: link.SimulatorConfig{Name: "other"}}).Serial() {
		t.Error("two names have one serial number")
	}
	if _, err := New(Config{SimulatorConfig: link.SimulatorConfig{Ledger: c.Ledger, Currency: "USD"}}); err == nil {
		t.Error("a ledger in UAH was taken for one in USD")
	}
}

// TestPending: what a terminal takes back while its bank cannot be told goes
// back when the batch is closed, and no sooner.
func TestPending(t *testing.T) {
	story(t, Config{ConfirmWithin: time.Minute}, []string{"taken-back:1004+pending", "approve+pending", "approve+pending+slow:30s", "approve"}, func(t *testing.T, r *rig) {
		r.do(buy(100))
		r.do(buy(200))
		time.Sleep(2 * time.Minute)
		said := make(chan Answer, 1)
		if err := r.Begin(buy(300), func(a Answer) { said <- a }); err != nil {
			t.Fatal(err)
		}
		time.Sleep(25 * time.Second) // the bank is being asked
		r.Cancel()
		if a := <-said; a.Code != Cancelled {
			t.Errorf("interrupted: got %d", a.Code)
		}
		r.ledger("1.00", "2.00", "3.00")
		for i, s := range r.Slips() {
			if s.Status != StatusCanceled {
				t.Errorf("receipt %d: status %d, want %d", i+1, s.Status, StatusCanceled)
			}
		}
		a := r.do(Command{Operation: Settlement})
		if a.Totals != (Totals{CancelledNum: 3, CancelledAmt: 600}) {
			t.Errorf("totals: %+v", a.Totals)
		}
		r.ledger("-1.00", "-2.00", "-3.00")
	})
}

// TestTotals: they are of what stands, whoever took the rest back.
func TestTotals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, Config{ConfirmWithin: 30 * time.Second}, "approve", "approve", "approve", "approve", "decline:51", "taken-back", "approve")
		sell := func(c Command) Slip {
			a := r.do(c)
			if a.Good() {
				r.Confirm()
			}
			return a.Slip
		}
		kept, whole, part := sell(buy(100)), sell(buy(200)), sell(buy(400))
		r.do(buy(800)) // nobody confirms it
		time.Sleep(time.Minute)
		sell(buy(1600))
		sell(buy(3200))
		sell(Command{Operation: Preauthorization, Amount: 6400})
		sell(Command{Operation: Void, Invoice: whole.Invoice})
		sell(Command{Operation: VoidPartly, Invoice: part.Invoice, Amount: 50})
		sell(Command{Operation: Refund, Amount: 30, RRN: kept.RRN})
		want := Totals{DebitNum: 2, DebitAmt: 100 + 350, CreditNum: 1, CreditAmt: 30, CancelledNum: 4, CancelledAmt: 200 + 50 + 800 + 3200}
		if got, _ := r.Totals(); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

// TestQuestion: after a decline the terminal asks whether to go on, and waits.
func TestQuestion(t *testing.T) {
	story(t, Config{}, []string{"decline+continue", "approve", "decline+continue", "approve", "decline+continue", "approve"}, func(t *testing.T, r *rig) {
		for i, key := range []string{"green", "red", "none"} {
			r.do(buy(100))
			began, said := time.Now(), make(chan Answer, 1)
			r.Begin(buy(200), func(a Answer) { said <- a })
			synctest.Wait()
			if s := r.Status(); s.Stage != StageCashier {
				t.Errorf("%s: stage %d, want %d", key, s.Stage, StageCashier)
			}
			if key != "none" && !r.Press(key == "green") {
				t.Errorf("%s: nobody waits for a key", key)
			}
			a := <-said
			if want := map[string]int{"green": Approved, "red": Cancelled, "none": Cancelled}[key]; a.Code != want {
				t.Errorf("%s: got %d, want %d", key, a.Code, want)
			}
			if took := time.Since(began); (took >= DefaultQuestion) != (key == "none") {
				t.Errorf("%s: it took %v", key, took)
			}
			if i == 2 && r.do(buy(300)).Code != Approved {
				t.Error("it asks for ever")
			}
		}
		r.ledger("2.00", "3.00")
	})
}

// TestDiscount: at status 11 the amount can be corrected, once.
func TestDiscount(t *testing.T) {
	story(t, Config{}, []string{"approve+discount:gold", "approve+discount"}, func(t *testing.T, r *rig) {
		said := make(chan Answer, 1)
		r.Begin(buy(1000), func(a Answer) { said <- a })
		synctest.Wait()
		if g, ok := r.Discount(); !ok || g != "gold" || r.Status().Stage != StageDiscount {
			t.Errorf("got group %q, %v, %+v", g, ok, r.Status())
		}
		for _, bad := range [][2]int64{{0, 0}, {1000, 1000}, {1000, -1}} {
			if err := r.Correct(bad[0], bad[1]); err == nil {
				t.Errorf("%v was taken", bad)
			}
		}
		if err := errors.Join(r.Correct(1000, 150), r.Correct(1000, 150)); !errors.Is(err, ErrNothing) {
			t.Errorf("the second correction: %v", err)
		}
		if a := <-said; a.Slip.Amount != 850 || a.Slip.Discount != 150 {
			t.Errorf("got %+v", a.Slip)
		}
		began := time.Now()
		if a := r.do(buy(1000)); a.Slip.Amount != 1000 || time.Since(began) != DefaultAdjust {
			t.Errorf("without one, after %v: %+v", time.Since(began), a.Slip)
		}
		if err := r.Correct(1000, 1); !errors.Is(err, ErrNothing) {
			t.Errorf("while idle: %v", err)
		}
	})
}

// TestBack: voids, refunds and completions stay within what the bank has.
func TestBack(t *testing.T) {
	story(t, Config{}, []string{"approve"}, func(t *testing.T, r *rig) {
		sale := r.do(buy(1000)).Slip
		part := Command{Operation: VoidPartly, Amount: 400, Invoice: sale.Invoice}
		if a := r.do(part); a.Code != Approved || a.Slip.Invoice == sale.Invoice || a.Slip.RRN != sale.RRN {
			t.Errorf("in part: %+v", a)
		}
		r.ledger("10.00")
		part.Amount = 601
		if a := r.do(part); a.Code != General {
			t.Errorf("more than is left: %d", a.Code)
		}
		part.Amount = 600
		if a := r.do(part); a.Code != Approved || a.Slip.Invoice != sale.Invoice {
			t.Errorf("the rest: %+v", a)
		}
		r.ledger("-10.00")
		for invoice, want := range map[int]int{sale.Invoice: Complete, 999: General} {
			if a := r.do(Command{Operation: Void, Invoice: invoice}); a.Code != want {
				t.Errorf("void of %d: got %d, want %d", invoice, a.Code, want)
			}
		}
		second := r.do(buy(500)).Slip
		r.do(Command{Operation: Settlement})
		for _, c := range []struct {
			minor int64
			code  int
		}{{501, 12}, {200, 0}, {301, 12}, {300, 0}, {1, 12}} {
			if a := r.do(Command{Operation: Refund, Amount: c.minor, RRN: second.RRN}); a.Code != c.code {
				t.Errorf("refund of %d: got %d, want %d", c.minor, a.Code, c.code)
			}
		}
		r.ledger("-10.00", "-5.00")
		held := r.do(Command{Operation: Preauthorization, Amount: 900}).Slip
		for _, c := range []struct {
			minor int64
			code  int
		}{{901, 12}, {700, 0}, {700, 12}} {
			if a := r.do(Command{Operation: Completion, Amount: c.minor, RRN: held.RRN}); a.Code != c.code {
				t.Errorf("completion of %d: got %d, want %d", c.minor, a.Code, c.code)
			}
		}
		parts := r.do(Command{Operation: Service, Amount: 600, Service: "046"}).Slip
		if a := r.do(Command{Operation: Refund, Amount: 600, Agreement: parts.Agreement}); a.Code != Approved {
			t.Errorf("refund by agreement: %d", a.Code)
		}
		r.ledger("-10.00", "-5.00", "7.00", "-6.00")
	})
}

func TestCashback(t *testing.T) {
	for behaviour, want := range map[string]string{"approve": "1500 500 0", "no-cash": "1000 0 10"} {
		story(t, Config{}, []string{behaviour}, func(t *testing.T, r *rig) {
			a := r.do(Command{Operation: Purchase, Amount: 1000, Cash: 500})
			if got := fmt.Sprint(a.Slip.Amount, a.Slip.Cash, a.Code); got != want {
				t.Errorf("%s: got %s, want %s", behaviour, got, want)
			}
		})
	}
}

// TestStages: card, PIN and bank in their order, a busy terminal, and a switch
// that turns it off.
func TestStages(t *testing.T) {
	story(t, Config{SimulatorConfig: link.SimulatorConfig{Pace: 10 * time.Second}}, []string{"approve", "busy", "late-approval:30s"}, func(t *testing.T, r *rig) {
		var got []int
		r.Begin(buy(100), nil)
		for range 3 {
			synctest.Wait()
			got = append(got, r.Status().Stage)
			time.Sleep(10 * time.Second)
		}
		synctest.Wait()
		if !slices.Equal(got, []int{StageCard, StagePIN, StageHost}) || r.Last().Code != Approved || r.Last().Slip.Invoice != 1 {
			t.Errorf("stages %v, answer %+v", got, r.Last())
		}
		if err := r.Begin(buy(100), nil); !errors.Is(err, ErrBusy) || r.Cancel() {
			t.Errorf("by script: got %v", err)
		}
		r.do(buy(200))
		if err := r.Begin(buy(300), nil); !errors.Is(err, ErrBusy) {
			t.Errorf("while an approval is still to come: got %v", err)
		}
		time.Sleep(31 * time.Second)
		r.ledger("1.00", "2.00")
		r.Close()
		if err := r.Begin(buy(300), nil); !errors.Is(err, ErrOff) {
			t.Errorf("when it is off: got %v", err)
		}
	})
}

// TestHostTest: with a choice of merchants nothing happens until somebody chooses.
func TestHostTest(t *testing.T) {
	story(t, Config{}, []string{"ended:1004", "approve"}, func(t *testing.T, r *rig) {
		for i, c := range []struct {
			choose bool
			then   func()
			want   int
		}{{false, nil, NoHost}, {true, func() { r.Press(true) }, NoHost}, {true, func() { r.Cancel() }, Cancelled}, {true, nil, Cancelled}} {
			said := make(chan int, 1)
			if err := r.TestHost(c.choose, func(code int) { said <- code }); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			if c.choose && !errors.Is(r.Begin(buy(1), nil), ErrBusy) {
				t.Errorf("%d: it is not busy", i)
			}
			if c.then != nil {
				c.then()
			}
			if got := <-said; got != c.want {
				t.Errorf("%d: got %d, want %d", i, got, c.want)
			}
		}
		r.do(buy(1))
		r.TestHost(false, func(code int) {
			if code != Approved {
				t.Errorf("got %d, want %d", code, Approved)
			}
		})
	})
}

func TestScript(t *testing.T) {
	for text, ok := range map[string]bool{
		"approve": true, "decline:05+slow:2s+pending": true, "typos+approve": true, "discount:x+cancel": true, "": false, "approve+decline": false, "cancel:1": false,
		"decline:5": false, "decline:10": false, "decline:xx": false, "ended:1009": false, "wrong-amount:x": false, "late-approval:x": false, "slow:x": false, "typos:1": false, "nonsense": false,
	} {
		if _, err := Grammar([]string{"typos"}, false).Parse([]string{text}); (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
	}
}
