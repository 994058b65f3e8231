package gateway_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"tillgate/internal/payment"
)

// told makes a notice as a decoder would.
func told(key, transaction string, op payment.Operation, r payment.Result, minor int64, names ...string) payment.Notice {
	return payment.Notice{
		From: "bank", Key: key, Transaction: transaction, Operation: op, Names: names,
		Outcome: payment.Outcome{Result: r, Amount: vnd(minor), Source: payment.SourceNotification},
	}
}

func (w *world) notify(n payment.Notice) (known bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	known, err := w.g.Notify(ctx, n)
	if err != nil {
		w.t.Fatalf("notice %s: %v", n.Key, err)
	}
	return known
}

// noticeWorld is a bubble whose gateway takes notices.
func noticeWorld(t *testing.T, script []string, story func(w *world)) {
	t.Helper()
	bubble(t, script, func(w *world) {
		w.stop()
		w.opt.Notices = true
		w.start()
		story(w)
	})
}

// What a notice does to a payment of ours, by how it names it and what it says.
func TestNoticeMeetsTheJournal(t *testing.T) {
	for _, tt := range []struct {
		name      string
		behaviour string
		result    payment.Result // at the terminal
		notice    func(rec payment.Record) payment.Notice
		match     payment.Match
		contra    bool
	}{
		{"paid, by id", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 1000, "", string(r.ID))
		}, payment.MatchID, false},
		{"paid, by attempt", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 1000, r.Attempt)
		}, payment.MatchAttempt, false},
		{"paid, by the beginning of the attempt", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 1000, r.Attempt[:12])
		}, payment.MatchAttempt, false},
		{"paid, by order", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 1000, "O1")
		}, payment.MatchOrder, false},
		{"paid, by RRN", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			n := told("k", "T1", payment.Purchase, payment.Approved, 1000)
			n.Outcome.Reference.RRN = r.Outcome.Reference.RRN
			return n
		}, payment.MatchRRN, false},
		{"RRN of another amount", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			n := told("k", "T1", payment.Purchase, payment.Approved, 1001)
			n.Outcome.Reference.RRN = r.Outcome.Reference.RRN
			return n
		}, "", false},
		{"other amount", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 999, string(r.ID))
		}, payment.MatchID, true},
		{"declined here, paid there", "decline:51", payment.Declined, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 1000, string(r.ID))
		}, payment.MatchID, true},
		{"declined here, paid there, by order", "decline:51", payment.Declined, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 1000, "O1")
		}, payment.MatchOrder, true},
		{"paid here, declined there", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Declined, 1000, string(r.ID))
		}, payment.MatchID, true},
		{"paid here, an earlier card declined there", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			n := told("k", "T1", payment.Purchase, payment.Declined, 1000, string(r.ID))
			n.Outcome.Reference.STAN = "999999"
			return n
		}, payment.MatchID, false},
		{"declined both", "decline:51", payment.Declined, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Declined, 1000, string(r.ID))
		}, payment.MatchID, false},
		{"voided behind our back", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Reversal, payment.Approved, 1000, string(r.ID))
		}, payment.MatchID, true},
		{"a void that was refused", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Reversal, payment.Declined, 1000, string(r.ID))
		}, payment.MatchID, false},
		{"refunded in part behind our back", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Refund, payment.Approved, 400, string(r.ID))
		}, payment.MatchID, true},
		{"nobody's", "approve", payment.Approved, func(r payment.Record) payment.Notice {
			return told("k", "T1", payment.Purchase, payment.Approved, 1000, "SOMEBODY-ELSES")
		}, "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noticeWorld(t, []string{tt.behaviour}, func(w *world) {
				w.accepted("A1", 1000, func(c *payment.Command) { c.Order = "O1" })
				before := w.result("A1", tt.result)
				n := tt.notice(before)
				for i := range 3 {
					if i == 2 { // a restart forgets nothing
						w.stop()
						w.start()
					}
					if known := w.notify(n); known != (i > 0) {
						t.Fatalf("notice %d: known %v", i+1, known)
					}
				}
				rec := w.result("A1", tt.result) // never overwritten
				if rec.Outcome.Amount != before.Outcome.Amount {
					t.Errorf("amount became %s", rec.Outcome.Amount)
				}
				heard := 0
				for _, h := range rec.Notices {
					if h.Match == tt.match && h.Payment == "A1" {
						heard++
					}
				}
				if want := map[bool]int{true: 1}[tt.match != ""]; heard != want {
					t.Errorf("the payment has heard %d notices, want %d: %+v", heard, want, rec.Notices)
				}
				external := map[bool]int{true: 1}[tt.match == ""]
				if got := w.count(payment.EventExternal, ""); got != external {
					t.Errorf("%d payment.external, want %d", got, external)
				}
				contra := map[bool]int{true: 1}[tt.contra]
				if got := w.count(payment.EventContradicted, "A1"); got != contra || w.alerted(payment.AlertContradicted) != tt.contra {
					t.Errorf("%d payment.contradicted, alert %v; want %d", got, w.alerted(payment.AlertContradicted), contra)
				}
			})
		})
	}
}

// Two transactions of one payment are a customer who was charged twice, unless
// one of them went back.
func TestNoticeOfASecondCharge(t *testing.T) {
	for _, tt := range []struct {
		name   string
		more   []payment.Notice
		contra int
	}{
		{"again", []payment.Notice{told("2", "T2", payment.Purchase, payment.Approved, 1000, "A1")}, 1},
		{"again, and given back first", []payment.Notice{told("v", "T2", payment.Reversal, payment.Approved, 1000, "A1"), told("2", "T2", payment.Purchase, payment.Approved, 1000, "A1")}, 1},
		{"a refused try", []payment.Notice{told("2", "T2", payment.Purchase, payment.Declined, 1000, "A1")}, 0},
		{"settled", []payment.Notice{{From: "bank", Key: "s", Transaction: "B", Operation: payment.Reconciliation, Outcome: payment.Outcome{Result: payment.Approved}, Settled: []payment.Settled{{Name: "A1"}}}}, 0},
	} {
		noticeWorld(t, []string{"approve"}, func(w *world) {
			w.accepted("A1", 1000)
			w.result("A1", payment.Approved)
			w.notify(told("1", "T1", payment.Purchase, payment.Approved, 1000, "A1"))
			for _, n := range tt.more {
				w.notify(n)
			}
			if got := w.count(payment.EventContradicted, "A1"); got != tt.contra {
				t.Errorf("%s: %d contradictions, want %d", tt.name, got, tt.contra)
			}
		})
	}
}

// Our own reversal is told of too: nothing was done behind our back.
func TestNoticeOfOurReversal(t *testing.T) {
	noticeWorld(t, []string{"approve"}, func(w *world) {
		w.accepted("A1", 1000)
		w.result("A1", payment.Approved)
		r := w.do(payment.Command{Verb: payment.VerbReversal, Request: payment.Request{ID: "R1", Original: payment.Reference{Payment: "A1"}}})
		if r.Status != payment.ReplyAccepted {
			t.Fatalf("%+v", r)
		}
		w.result("R1", payment.Approved)
		w.notify(told("v", "T1", payment.Reversal, payment.Approved, 1000, "A1"))
		w.notify(told("s", "T1", payment.Purchase, payment.Approved, 1000, "A1"))
		if rec := w.result("R1", payment.Approved); len(rec.Notices) != 1 {
			t.Errorf("the reversal has heard %d notices, want 1", len(rec.Notices))
		}
		if n := w.count(payment.EventContradicted, ""); n != 0 {
			t.Errorf("%d contradictions", n)
		}
	})
}

// A terminal that cannot tell leaves a doubt; the bank, naming our attempt, ends
// it. It never ends it by a reference alone, nor by a refusal.
func TestNoticeEndsADoubt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		notice func(r payment.Record) payment.Notice
		want   payment.Result
	}{
		{"paid", func(r payment.Record) payment.Notice {
			return told("k", "T", payment.Purchase, payment.Approved, 1000, r.Attempt)
		}, payment.Approved},
		{"settled", func(r payment.Record) payment.Notice {
			n := told("k", "T", payment.Reconciliation, payment.Approved, 0)
			n.Settled = []payment.Settled{{Name: r.Attempt, RRN: "438498133462"}}
			return n
		}, payment.Approved},
		{"voided", func(r payment.Record) payment.Notice {
			return told("k", "T", payment.Reversal, payment.Approved, 1000, r.Attempt)
		}, payment.Reversed},
		{"declined", func(r payment.Record) payment.Notice {
			return told("k", "T", payment.Purchase, payment.Declined, 1000, r.Attempt)
		}, payment.InDoubt},
		{"same amount, no name", func(r payment.Record) payment.Notice {
			return told("k", "T", payment.Purchase, payment.Approved, 1000)
		}, payment.InDoubt},
		{"another amount", func(r payment.Record) payment.Notice {
			return told("k", "T", payment.Purchase, payment.Approved, 1001, r.Attempt)
		}, payment.InDoubt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			noticeWorld(t, []string{"batch-closed"}, func(w *world) {
				w.accepted("A1", 1000)
				rec := w.until("A1", 10*time.Minute, func(r payment.Record) bool { return r.State == payment.StateInDoubt })
				w.notify(tt.notice(rec))
				time.Sleep(time.Minute)
				rec = w.until("A1", 0, func(payment.Record) bool { return true })
				if rec.Outcome.Result != tt.want {
					t.Fatalf("%s, want %s: %+v", rec.Outcome.Result, tt.want, rec.Outcome)
				}
				if tt.want == payment.Approved && (rec.Outcome.Source != payment.SourceNotification || w.count(payment.EventFinal, "A1") != 1) {
					t.Errorf("%+v, %d final events", rec.Outcome, w.count(payment.EventFinal, "A1"))
				}
				if tt.name == "same amount, no name" && len(news(t, w)) == 1 && len(news(t, w)[0].Possible) != 1 {
					t.Errorf("the external event does not say that it may be A1: %+v", news(t, w)[0])
				}
			})
		})
	}
}

// The bank is quicker than the terminal: what it said is compared as soon as the
// terminal has answered.
func TestNoticeBeforeTheAnswer(t *testing.T) {
	for behaviour, contra := range map[string]int{"approve": 0, "decline:51": 1} {
		noticeWorld(t, []string{behaviour}, func(w *world) {
			w.accepted("A1", 1000)
			rec := w.until("A1", time.Minute, func(r payment.Record) bool { return r.State == payment.StateBegun })
			w.notify(told("k", "T", payment.Purchase, payment.Approved, 1000, rec.Attempt))
			w.final("A1", time.Minute)
			if got := w.count(payment.EventContradicted, "A1"); got != contra {
				t.Errorf("%s: %d contradictions, want %d", behaviour, got, contra)
			}
			if got := w.count(payment.EventFinal, "A1"); got != 1 {
				t.Errorf("%s: %d final events", behaviour, got)
			}
		})
	}
}

// Whatever the order of arrival, the last event tells how it stands.
func TestNoticesArePutRight(t *testing.T) {
	sale := told("s", "T", payment.Purchase, payment.Approved, 1000)
	void := told("v", "T", payment.Reversal, payment.Approved, 1000)
	declined := told("d", "T", payment.Purchase, payment.Declined, 1000)
	declined.At, sale.At = time.Unix(1, 0), time.Unix(2, 0)
	for _, tt := range []struct {
		name   string
		order  []payment.Notice
		result payment.Result
		late   bool
	}{
		{"as it happened", []payment.Notice{declined, sale, void}, payment.Reversed, false},
		{"void first", []payment.Notice{void, declined, sale}, payment.Reversed, true},
		{"sale, then the declined try", []payment.Notice{sale, declined}, payment.Approved, false},
		{"twice each", []payment.Notice{void, void, sale, sale, void}, payment.Reversed, true},
	} {
		noticeWorld(t, nil, func(w *world) {
			distinct := map[string]bool{}
			for _, n := range tt.order {
				distinct[n.Key] = true
				w.notify(n)
			}
			all := news(t, w)
			if len(all) != len(distinct) {
				t.Fatalf("%s: %d events for %d notices", tt.name, len(all), len(distinct))
			}
			last := all[len(all)-1]
			if last.Outcome.Result != tt.result || last.Late != tt.late || last.State != payment.StateExternal || last.ID != "ext~bank~T" {
				t.Errorf("%s: %s %s late %v, id %s", tt.name, last.State, last.Outcome.Result, last.Late, last.ID)
			}
			if open, err := w.store.Open(); err != nil || len(open) != 0 {
				t.Errorf("%s: open %v %v", tt.name, open, err)
			}
		})
	}
}

// A settlement is one event; what it says against the journal is a
// contradiction of each payment.
func TestNoticeOfSettlement(t *testing.T) {
	noticeWorld(t, []string{"approve", "decline:51"}, func(w *world) {
		w.accepted("A1", 1000)
		paid := w.result("A1", payment.Approved)
		w.accepted("A2", 1000)
		w.result("A2", payment.Declined)
		n := told("k", "B1", payment.Reconciliation, payment.Approved, 0)
		n.Settled = []payment.Settled{{RRN: paid.Outcome.Reference.RRN}, {Name: "A2"}, {Name: "strange", RRN: "1"}}
		w.notify(n)
		if !w.notify(n) {
			t.Error("the second one is not known")
		}
		all := news(t, w)
		if len(all) != 1 || all[0].Matched != 2 || len(all[0].Unmatched) != 1 {
			t.Fatalf("%+v", all)
		}
		if w.count(payment.EventContradicted, "A2") != 1 || w.count(payment.EventContradicted, "A1") != 0 {
			t.Error("the settled but declined payment is not contradicted, or the paid one is")
		}
	})
}

// A simulated service says nothing about what real customers paid.
func TestNoticeOfASimulatorIsNoEvidence(t *testing.T) {
	bubble(t, []string{"decline:51"}, func(w *world) {
		w.stop()
		w.opt.Notices, w.term.Test = true, false
		w.start()
		w.accepted("A1", 1000)
		w.result("A1", payment.Declined)
		n := told("k", "T", payment.Purchase, payment.Approved, 1000, "A1")
		n.Test = true
		w.notify(n)
		if w.count(payment.EventContradicted, "") != 0 || len(news(t, w)) != 1 {
			t.Error("a simulated notice contradicts a real payment, or is not told")
		}
		for _, e := range w.events() {
			if e.Type == payment.EventExternal && !e.Test {
				t.Error("its event does not say that it is a test")
			}
		}
	})
}

func TestNoticeIsRefused(t *testing.T) {
	bubble(t, nil, func(w *world) {
		if _, err := w.g.Notify(context.Background(), told("k", "T", payment.Purchase, payment.Approved, 1)); err == nil {
			t.Error("a gateway without notifiers takes notices")
		}
	})
	noticeWorld(t, nil, func(w *world) {
		for name, n := range map[string]payment.Notice{
			"no key":         told("", "T", payment.Purchase, payment.Approved, 1),
			"no transaction": told("k", "", payment.Purchase, payment.Approved, 1),
			"operation":      told("k", "T", payment.Diagnosis, payment.Approved, 1),
			"result":         told("k", "T", payment.Purchase, "", 1),
		} {
			if _, err := w.g.Notify(context.Background(), n); err == nil {
				t.Errorf("%s: taken", name)
			}
		}
		if len(news(t, w)) != 0 {
			t.Error("a refused notice made an event")
		}
	})
}

func news(t *testing.T, w *world) (all []payment.ExternalNews) {
	t.Helper()
	for _, e := range w.events() {
		if e.Type != payment.EventExternal {
			continue
		}
		var n payment.ExternalNews
		if err := json.Unmarshal(e.Data, &n); err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}
