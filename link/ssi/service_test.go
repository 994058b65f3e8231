package ssi

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// TestEcho reaches the bank, or does not, and leaves money alone.
func TestEcho(t *testing.T) {
	for script, want := range map[string]string{"approve": "reached", "result:NO_CONNECTION": "not reached", "decline:91": "not reached"} {
		simulated(t, "approve,"+script, nil, func(w *world) {
			w.sell(500)
			w.sim.pace = 2 * time.Second
			d, err := w.term.DiagnoseHost(context.Background())
			if err != nil || d.Facts["host"] != want || d.Identity == "" || len(w.sim.Ledger()) != 1 || w.sim.state.Last.Trn != mEcho {
				t.Errorf("%s: got %+v, %v", script, d, err)
			}
			if want != "reached" && d.Facts["host_answer"] == "" {
				t.Errorf("%s: why it is not reached is not told: %+v", script, d.Facts)
			}
		})
	}
	if slices.Contains(Driver().Preserving, payment.Print) || !slices.Contains(Driver().Preserving, payment.Diagnosis) {
		t.Errorf("preserving: %v", Driver().Preserving)
	}
	simulated(t, "refuse:E06", nil, func(w *world) {
		if _, err := w.term.DiagnoseHost(context.Background()); refusedWith(err) != "E06" {
			t.Errorf("refused: got %v", err)
		}
	})
	simulated(t, "slow:10m", nil, func(w *world) { // slower than whoever asks
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if _, err := w.term.DiagnoseHost(ctx); err == nil || brokenLine(err) {
			t.Errorf("slow: got %v", err)
		}
		if _, err := w.term.DiagnoseHost(context.Background()); payment.ReasonOf(err) != payment.ReasonBusy {
			t.Errorf("while it is busy: got %v", err)
		}
	})
}

// brokenLine says whether a lane would take the line for broken.
func brokenLine(err error) bool {
	_, broken := errors.AsType[*link.Error](err)
	return broken
}

// TestRestart: the buffers survive it, and it is never done while the bank is
// asked.
func TestRestart(t *testing.T) {
	for _, tt := range []struct {
		script string
		deep   bool
		way    string
	}{{"approve+stuck", false, mRestartPaymentApp}, {"approve+stuck", true, mRestart}, {"approve+stuck+linux", true, mRestart}, {"approve+stuck+v1.1.10", true, mRestart}} {
		for _, connection := range []string{ConnectionKept, ConnectionEach} {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, tt.script)
				w.sim.pace = time.Second
				defer w.sim.Close()
				set := func(s *Settings) { s.Connection, s.Keypad = connection, KeypadLocked }
				w.open("tcp://x:1", set, pipeTo(w.sim))
				tx := w.tx(payment.Purchase, 500)
				if o, err := w.do(&tx, nil); err == nil || !link.Sent(err) {
					t.Errorf("%s: a terminal that hangs: got %+v, %v", tt.script, o, err)
				}
				if _, err := w.term.Lookup(context.Background(), tx, time.Second); !errors.Is(err, link.ErrInProgress) {
					t.Errorf("%s: lookup while it hangs: got %v", tt.script, err)
				}
				if err := w.term.Restart(context.Background(), tt.deep); err != nil {
					t.Fatalf("%s: restart: %v", tt.script, err)
				}
				if _, err := w.term.Diagnose(context.Background()); !brokenLine(err) {
					t.Errorf("%s: the line is of use after a restart: %v", tt.script, err)
				}
				var err error
				for range 60 {
					var term link.Terminal
					if term, err = Open(context.Background(), link.Config{Address: "tcp://x:1", Currency: "UAH", Settings: w.term.settings, Dial: pipeTo(w.sim)}); err == nil {
						w.term = term.(*terminal)
						break
					}
					time.Sleep(time.Second)
				}
				if err != nil {
					t.Fatalf("%s: it does not come back: %v", tt.script, err)
				}
				defer w.term.Close()
				if o, err := w.term.Lookup(context.Background(), tx, time.Second); err != nil || o.Result != payment.Approved {
					t.Errorf("%s, %s: after the restart: got %+v, %v", tt.script, connection, o, err)
				}
			})
		}
	}
	simulated(t, "approve+linux", nil, func(w *world) {
		if err := w.term.Restart(context.Background(), false); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("the application of a Linux terminal: got %v", err)
		}
		w.term.identity = identity{} // one that has not said what it is
		w.sim.status = statusBusy
		if err := w.term.Restart(context.Background(), false); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("the application of a terminal that hides what it is: got %v", err)
		}
	})
	simulated(t, "approve", nil, func(w *world) {
		for _, deep := range []bool{false, true} {
			w.sim.status = statusHost
			if err := w.term.Restart(context.Background(), deep); payment.ReasonOf(err) != payment.ReasonBusy {
				t.Errorf("in S04: got %v", err)
			}
		}
	})
}

// TestRestartAtTheBank shows what the rule is for: a terminal that is restarted
// while it asks its bank never hears of the approval.
func TestRestartAtTheBank(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "approve")
		w.sim.pace = 5 * time.Second
		defer w.sim.Close()
		w.sim.hear(command{Method: mPurchase, Params: requestParams{TransAmount: "500", TransCurrency: "980", TransactionUid: "A"}})
		time.Sleep(12 * time.Second)
		w.sim.hear(command{Method: mRestart})
		synctest.Wait()
		if l := w.sim.Ledger(); len(l) != 1 || w.sim.state.Last != nil {
			t.Errorf("ledger %+v, last result %+v", l, w.sim.state.Last)
		}
	})
}

// TestPrint asks for every kind of printout.
func TestPrint(t *testing.T) {
	ask := func(w *world, kind payment.PrintKind, of payment.Reference, document string) ([]string, error) {
		return w.term.Print(context.Background(), link.Printout{Kind: kind, Of: of, Document: document})
	}
	has := func(lines []string, want ...string) bool {
		return !slices.ContainsFunc(want, func(s string) bool { return !strings.Contains(strings.Join(lines, "\n"), s) })
	}
	simulated(t, "approve", nil, func(w *world) {
		if _, err := ask(w, payment.PrintReceipt, payment.Reference{}, ""); err == nil {
			t.Error("a receipt of nothing")
		}
		first, second := w.sell(500), w.sell(700)
		lines, err := ask(w, payment.PrintReceipt, second.Reference, "")
		if err != nil || !has(lines, "Purchase", "RRN "+second.Reference.RRN, "4725XXXXXXXX1627") || !strings.HasPrefix(lines[0], "   ") {
			t.Errorf("receipt: got %q, %v", lines, err)
		}
		if _, err := ask(w, payment.PrintReceipt, first.Reference, ""); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("an older receipt: got %v", err)
		}
		if lines, err := ask(w, payment.PrintTotals, payment.Reference{}, ""); err != nil || !has(lines, "X REPORT", "2 OPERATIONS") {
			t.Errorf("totals: got %q, %v", lines, err)
		}
		if lines, err := ask(w, payment.PrintJournal, payment.Reference{}, ""); err != nil || len(lines) != 3 || !has(lines, first.Reference.RRN, second.Reference.RRN, "7.00 UAH") {
			t.Errorf("journal: got %q, %v", lines, err)
		}
		if _, err := ask(w, payment.PrintReconciliation, payment.Reference{}, ""); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("the last report is an X report: got %v", err)
		}
		z := w.tx(payment.Reconciliation, 0)
		z.Amount = payment.Money{}
		if _, err := w.do(&z, nil); err != nil {
			t.Fatal(err)
		}
		if lines, err := ask(w, payment.PrintReconciliation, payment.Reference{}, ""); err != nil || !has(lines, "Z REPORT") {
			t.Errorf("reconciliation: got %q, %v", lines, err)
		}
		if _, err := ask(w, "photo", payment.Reference{}, ""); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("no such kind: got %v", err)
		}
		const xml = `<receipt><text align="center">printtest</text></receipt>`
		for document, want := range map[string]string{
			"https://shop.example/menu.pdf": "https://shop.example/menu.pdf", xml: xml,
			"Table 5 & <6>\n\n": `<receipt><text align="left" size="normal" weight="normal" darkness="normal">Table 5 &amp; &lt;6&gt;</text><text align="left" size="normal" weight="normal" darkness="normal"> </text></receipt>`,
		} {
			w.sim.printed = nil
			if lines, err := ask(w, payment.PrintDocument, payment.Reference{}, document); err != nil || lines != nil || len(w.sim.printed) != 1 || w.sim.printed[0] != want {
				t.Errorf("document %q: got %q, %v, printed %q", document, lines, err, w.sim.printed)
			}
		}
		if _, err := ask(w, payment.PrintDocument, payment.Reference{}, strings.Repeat("x", maxData)); err == nil || brokenLine(err) {
			t.Errorf("a document that is too long: got %v", err)
		}
		if len(w.sim.Ledger()) != 2 {
			t.Errorf("ledger: %+v", w.sim.Ledger())
		}
	})
	simulated(t, "approve+images", nil, func(w *world) {
		o := w.sell(500)
		if lines, err := ask(w, payment.PrintReceipt, o.Reference, ""); err != nil || !has(lines, o.Reference.RRN, "5.00 UAH", "1627") {
			t.Errorf("a receipt that is an image: got %q, %v", lines, err)
		}
		if _, err := ask(w, payment.PrintTotals, payment.Reference{}, ""); !errors.Is(err, link.ErrUnsupported) {
			t.Errorf("totals that are an image: got %v", err)
		}
	})
	for script, want := range map[string]string{"approve+linux": "Linux", "approve+no-paper": "paper"} {
		simulated(t, script, func(s *Settings) { s.PrintLRC = LRCDecimal }, func(w *world) {
			for _, document := range []string{"hello", "https://shop.example/menu.pdf"} {
				_, err := ask(w, payment.PrintDocument, payment.Reference{}, document)
				if err == nil && want != "Linux" || errors.Is(err, link.ErrUnsupported) != (want == "Linux") || brokenLine(err) {
					t.Errorf("%s: got %v", script, err)
				}
			}
		})
	}
	simulated(t, "approve", func(s *Settings) { s.PrintLRC = LRCDecimal }, func(w *world) {
		if _, err := ask(w, payment.PrintDocument, payment.Reference{}, "hello"); err != nil {
			t.Errorf("a decimal check byte: got %v", err)
		}
	})
}

// TestReceiptText: card numbers are taken out of a terminal's receipt, ids stay.
func TestReceiptText(t *testing.T) {
	a := mustDecode(t, `{"method":"GetLastReceipt","error":false,"params":{"receipt":"  SHOP\r\nCARD 4012888888881881\nCARD 4012 8888 8888 1881\rTRACK 4402722218390184=26092011881002000001\nRRN 519718000159\nMID 000000060007176\u001b\n"}}`)
	want := []string{"  SHOP", "CARD ***", "CARD ***", "TRACK ***", "RRN 519718000159", "MID 000000060007176"}
	if got := a.Params.Receipt.lines; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	if p := mustDecode(t, `{"method":"x","params":{"receipt":{"a":1},"merchantList":[{"id":1}],"currentApp":"x","paymentApps":{}}}`).Params; !p.Receipt.images || len(p.Merchants) != 0 || len(p.Apps) != 0 {
		t.Errorf("got %+v", p)
	}
	long := mustDecode(t, `{"method":"x","params":{"receipt":"`+strings.Repeat(`a\n`, 1000)+`","merchantList":["`+strings.Repeat(`m","`, 100)+`"]}}`).Params
	if len(long.Receipt.lines) != maxLines || len(long.Merchants) != maxNames {
		t.Errorf("%d lines, %d merchants", len(long.Receipt.lines), len(long.Merchants))
	}
}

// TestExplainService explains what a terminal says about itself.
func TestExplainService(t *testing.T) {
	var out strings.Builder
	for _, text := range []string{
		`{"method":"GetMerchantList","error":false,"params":{"merchantCount":2,"merchantList":["SHOP","CAFE"]}}`,
		`{"method":"GetLastReceipt","error":false,"params":{"receipt":"SHOP\nCARD 4012888888881881"}}`,
		`{"method":"GetTerminalInfo","error":false,"params":{"currentApp":{"name":"MonoBank","versionName":"1.2"},"paymentApps":[{"name":"Raif"}]}}`,
		`{"method":"GetLastReceipt","error":false,"params":{"receipt":[]}}`,
	} {
		if err := Explain(&out, frameOf(t, text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, want := range []string{"SHOP, CAFE", "CARD ***", "MonoBank 1.2", "Raif", "(images)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing: %s", want, &out)
		}
	}
	if strings.Contains(out.String(), "4012888888881881") {
		t.Error("a card number is shown")
	}
}
