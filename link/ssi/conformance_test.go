package ssi

import (
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/linktest"
)

// subject is a terminal of later firmware, which is asked by transactionUid, on
// a line that is kept. The suite runs once for each wire and firmware, each time
// with one profile: the exchanges are long.
func subject(t *testing.T) linktest.Subject {
	uah := func(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "UAH"} }
	sale := func(minor int64) payment.Request {
		return payment.Request{ID: "x", Operation: payment.Purchase, Amount: uah(minor)}
	}
	frames := vectors(t)
	d := Driver()
	d.Settings = func() any {
		s := defaults()
		s.TakesBack = true
		return s
	}
	return linktest.Subject{
		Driver:   d,
		Currency: "UAH",
		Approve:  "approve", Decline: "decline:51", Cancel: "cancel", Slow: "slow:20s", SlowDecline: "slow:20s+decline:51",
		Charged: []string{
			"lost-ack", "half-ack", "bad-lrc", "bad-json", "bad-length", "garbage", "reboot", "hand-after", "batch-closed",
			"lost-ack+fragments", "lost-ack+linux", "lost-ack+odd-status", "slow:20s+lost-ack",
		},
		Dead:    []string{"mute", "reboot-before"},
		Late:    []string{"late-approval:30s", "late-approval:90s", "late-approval:150s", "slow:100s+reboot"},
		Foreign: []string{"hand-sale", "swapped", "charged:CONNECTION_TIMEOUT+v1.1.10", "charged:FAILED", "charged:FAILED/E21", "charged:E21", "charged:E11", "charged:E17", "charged:E13", "charged:SIGNATURE_VERIFICATION_ERROR", "charged:NEW_WORD", "charged:E99", "lost-ack+v1.1.10", "hand-after+v1.1.10"},
		Swapped: "swapped", AnswersOnly: true,
		Junk: [][]byte{
			frames[0].bytes(t), []byte("\x02\x66\x01\xff\xff"), []byte("\x02\x66\x01\x00\x00\x00"), []byte("\x02\x66"), []byte("\x02\x66\x02\x00\x01A"),
			frameOf(t, `{"method":"GetLastResult","error":false,"params":{"transactionResult":"DECLINED_ONLINE"}}`),
			frameOf(t, `{"method":"GetStatus","error":false,"status":"S00"}`), frameOf(t, `[]`), frameOf(t, `{"method":1`),
		},
		Uncarried: map[string]payment.Request{
			"amount of thirteen digits": sale(1_000_000_000_000), "no amount": sale(0),
			"completion of nothing": {ID: "x", Operation: payment.Completion, Amount: uah(1)},
			"cash":                  {ID: "x", Operation: payment.Purchase, Amount: uah(2), Cashback: uah(1)},
			"service":               {ID: "x", Operation: payment.ServicePayment, Amount: uah(2)},
			"bad receipt":           {ID: "x", Operation: payment.Reversal, Original: payment.Reference{Payment: "p", Receipt: `6"1`}},
			"bad RRN":               {ID: "x", Operation: payment.Refund, Amount: uah(1), Original: payment.Reference{RRN: "é"}},
		},
		Valid: [][]byte{frames[0].bytes(t), frames[1].bytes(t), frames[2].bytes(t), frames[3].bytes(t), []byte(sampleResult)},
		Invalid: [][]byte{
			frames[0].bytes(t)[:20], []byte("\x02\x66\x01\x00\x01A\x00"), frameOf(t, `{"method":`), []byte(`{"a":1}`), []byte(`{"method":"x","error":"perhaps"}`),
		},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	linktest.Run(t, subject(t))
}

// TestConformanceTCP and TestConformanceHTTP: the same with a connection for
// each request.
func TestConformanceTCP(t *testing.T) {
	t.Parallel()
	linktest.Run(t, apart(subject(t), func(s *Settings) { s.Connection = ConnectionEach }))
}

func TestConformanceHTTP(t *testing.T) {
	t.Parallel()
	linktest.Run(t, apart(subject(t), func(s *Settings) { s.Wire = WireHTTP }))
}

func apart(s linktest.Subject, set func(*Settings)) linktest.Subject {
	s.Apart, s.Stride = true, 7 // the frames have been broken at each byte on a kept line
	s.Driver.Settings = func() any {
		d := defaults()
		set(d)
		return d
	}
	return s
}

// TestConformanceDocument runs the suite with firmware of the document, which
// knows no transactionUid, where nobody can sell on the keypad.
func TestConformanceDocument(t *testing.T) {
	t.Parallel()
	s := subject(t)
	d := Driver()
	s.Driver.Settings = func() any {
		s := defaults()
		s.Keypad = KeypadLocked
		return s
	}
	s.Driver.Simulate = func(c link.SimulatorConfig) (link.Simulator, error) {
		c.Script = slices.Clone(c.Script)
		for i := range c.Script {
			c.Script[i] += "+v1.1.10"
		}
		return d.Simulate(c)
	}
	s.Charged = slices.DeleteFunc(s.Charged, func(b string) bool { return b == "hand-after" })
	s.Foreign = slices.DeleteFunc(s.Foreign, func(b string) bool {
		return b == "hand-sale" || strings.HasSuffix(b, "+v1.1.10") // position is taken for proof: that is what locked means
	})
	linktest.Run(t, s)
}
