package ecrvn

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/linktest"
)

// play opens a terminal on a captured dialogue.
func play(t *testing.T, exchanges ...linktest.Exchange) *terminal {
	t.Helper()
	s := defaults()
	s.ClientID = "UserName:Manh123"
	conn := linktest.Replay(t, exchanges)
	term, err := Open(t.Context(), link.Config{Currency: "VND", Settings: s, Dial: func(context.Context) (link.Conn, error) { return conn, nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { term.Close() })
	return term.(*terminal)
}

// question is a last_trans, answered with sample 7 of the document.
func question(t *testing.T) linktest.Exchange {
	return linktest.Exchange{
		Want:   "/ecr?rqt={q}|UserName:Manh123&cmd=last_trans",
		Answer: strings.Replace(samples(t)[6], "Request:333", "{q}", 1),
	}
}

// TestCapturedSale replays the exchange of the hex dump, with an echo before it
// and the answer to somebody else's sale in between.
func TestCapturedSale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		echo := "/ecr?rqt=Request:001|UserName:Manh123&cmd=sale|2000|||42||Request:001"
		other := strings.Replace(samples(t)[1], "Request:001", "OTHER", 1)
		term := play(t, question(t), question(t), linktest.Exchange{Want: echo, Answer: other + echo + string(capture(t, "seed_rsp_repaired.hex"))})
		tx := payment.Transaction{
			Request: payment.Request{ID: "i", Order: "42", Operation: payment.Purchase, Amount: payment.Money{Minor: 2000, Currency: "VND"}},
			Attempt: "Request:001",
		}
		b, err := term.Baseline(t.Context(), tx)
		if err != nil || b.Identity != "171407333221017301513850/00000122" || b.Batch != "000021" {
			t.Errorf("baseline: got %+v, %v", b, err)
		}
		var strays []payment.Outcome
		o, err := term.Execute(t.Context(), tx, link.Dialogue{Evidence: func(o payment.Outcome) { strays = append(strays, o) }})
		if err != nil || o.Result != payment.Approved || o.Amount != tx.Amount || o.Card.PAN.Last4() != "5184" || o.Card.Entry != payment.EntryChip ||
			o.Reference != (payment.Reference{STAN: "000345", RRN: "054171266105", Auth: "107896", TID: "00000122", MID: "000000080210002", Batch: "000018", Receipt: "000111", Serial: "171407333221017301513847", Time: "20180305152236"}) {
			t.Errorf("got %+v, %v", o, err)
		}
		if len(strays) != 1 || strays[0].Attempt != "OTHER" || strays[0].Result != payment.Declined {
			t.Errorf("strays: got %+v", strays)
		}
		const want = "PURCHASE\nMID: 000000080210002\nTID: 00000122\nDate: 2018-03-05 15:22:36\nBatch: 000018\nReceipt: 000111\nCard: ************5184 VISA\n" +
			"Application: STB VISA PAYWAVE\nAID: A0000000031010\nTC: 9C76E2E2E8AF76EB\nEntry: chip\nRRN: 054171266105\nApproval: 107896\nAmount: 2000 VND"
		if got := strings.Join(o.Receipt, "\n"); got != want {
			t.Errorf("receipt:\n%s\nwant:\n%s", got, want)
		}
	})
}

// TestCapturedLookup finds the sale of sample 4 in the last transaction of
// sample 7, which names it, and in no other way.
func TestCapturedLookup(t *testing.T) {
	for attempt, want := range map[string]error{"Request:001": nil, "Request:002": link.ErrInProgress} {
		synctest.Test(t, func(t *testing.T) {
			term := play(t, question(t), question(t))
			tx := payment.Transaction{
				Request:  payment.Request{ID: "i", Operation: payment.Purchase, Amount: payment.Money{Minor: 123456, Currency: "VND"}},
				Attempt:  attempt,
				Baseline: payment.Baseline{Identity: "171407333221017301513850/00000122", Batch: "000021", Fingerprint: []byte("{}")},
			}
			o, err := term.Lookup(t.Context(), tx, time.Second)
			if !errors.Is(err, want) || want == nil && (o.Result != payment.Approved || o.Reference.RRN != "660802567803" || o.Source != payment.SourceLookup) {
				t.Errorf("%s: got %+v, %v, want %v", attempt, o, err, want)
			}
		})
	}
}

// TestSimulatorLikeCaptures holds the simulator's answers to the captured ones:
// the settlement byte by byte, the others by their keys in order.
func TestSimulatorLikeCaptures(t *testing.T) {
	sim, err := NewSimulator(link.SimulatorConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	say := func(text string) string {
		r, err := parseRequest(text)
		if err != nil {
			t.Fatal(err)
		}
		rep, ok := sim.run(r)
		if !ok || !json.Valid(rep.say) {
			t.Fatalf("%s: got %q", text, rep.say)
		}
		return string(rep.say)
	}
	all := samples(t)
	for _, c := range []struct{ request, want string }{
		{string(capture(t, "seed_req.hex")), all[7]}, {"/ecr?rqt=Request:333|Manh222&cmd=last_trans", all[6]}, {"/ecr?rqt=123|456&cmd=void|1", all[4]},
	} {
		if got, want := keys(say(c.request)), keys(c.want); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", c.request, got, want)
		}
	}
	if got := say("/ecr?rqt=123|456&cmd=settle|YES"); got != all[5] {
		t.Errorf("settle:\ngot  %s\nwant %s", got, all[5])
	}
}

func keys(text string) string {
	return strings.Join(regexp.MustCompile(`"(\w+)"\s*:`).FindAllString(strings.ReplaceAll(text, " ", ""), -1), "")
}
