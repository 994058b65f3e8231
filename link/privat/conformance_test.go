package privat

import (
	"os"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link/linktest"
)

func subject(t *testing.T) linktest.Subject {
	uah := func(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "UAH"} }
	of := func(op payment.Operation, o payment.Reference) payment.Request {
		o.Payment = "p"
		return payment.Request{ID: "x", Operation: op, Amount: uah(1), Original: o}
	}
	s := linktest.Subject{
		Driver:   Driver(),
		Currency: "UAH",
		Settings: func() any {
			s := defaults()
			s.Keypad = KeypadLocked
			return s
		},
		Positional: true, Dials: 2, Stride: 7,
		Approve: "approve", Decline: "decline:51", Cancel: "cancel", Slow: "slow:20s", SlowDecline: "slow:20s+decline:51",
		Charged: []string{
			"lost-answer", "half-answer", "garbage", "reboot", "charged:", "charged:0000", "charged:0010", "charged:0008", "charged:0009", "charged:0011",
			"charged:0016", "charged:0068", "charged:0100", "charged:1000", "charged:1001", "charged:1002", "charged:1003", "charged:1004", "charged:1005",
			"charged:1006", "charged:1007", "charged:1008", "charged:1009", "charged:ABC", "lost-answer+typos", "lost-answer+comma", "lost-answer+echo",
			"slow:20s+lost-answer",
		},
		Dead:    []string{"mute", "reboot-before"},
		Late:    []string{"late-approval", "late-approval:2", "late-approval:5", "late-approval:90s"},
		Foreign: []string{"batch-closed", "swapped"},
		Swapped: "swapped",
		Junk: [][]byte{
			[]byte("{\"method\":\"Purchase\",\"step\":0}\x00"), []byte("{\"method\":\"Purchase\",\"par"), []byte("\x00\x00\x00"),
			[]byte("{\"method\":\"ServiceMessage\",\"params\":{\"msgType\":\" interruptTransmitted\"},\"error\":false}\x00"), frameOf(t, "handshake_response_broken_JSON"),
		},
		Uncarried: map[string]payment.Request{
			"no amount":                        {ID: "x", Operation: payment.Purchase},
			"amount of nought":                 {ID: "x", Operation: payment.Purchase, Amount: uah(0)},
			"no decimals":                      {ID: "x", Operation: payment.Purchase, Amount: payment.Money{Minor: 5, Currency: "VND"}},
			"refund without RRN":               of(payment.Refund, payment.Reference{}),
			"refund with a bad RRN":            of(payment.Refund, payment.Reference{RRN: "12\"34"}),
			"bad receipt":                      of(payment.Reversal, payment.Reference{Receipt: "6,1"}),
			"completion without authorisation": of(payment.Completion, payment.Reference{Receipt: "1", RRN: "2"}),
			"completion with a bad one":        of(payment.Completion, payment.Reference{Receipt: "1", RRN: "2", Auth: "a\x00b"}),
			"service without a name":           {ID: "x", Operation: payment.ServicePayment, Amount: uah(1)},
			"instalments given back plainly":   of(payment.Refund, payment.Reference{RRN: "1", Operation: payment.ServicePayment}),
			"cash of the whole amount":         {ID: "x", Operation: payment.Purchase, Amount: uah(1), Cashback: uah(1)},
			"cash without decimals":            {ID: "x", Operation: payment.Purchase, Amount: uah(1), Cashback: payment.Money{Minor: 1, Currency: "VND"}},
			"merchant that is no number":       {ID: "x", Operation: payment.Purchase, Amount: uah(1), Merchant: "shop"},
			"cash advance":                     of(payment.CashAdvance, payment.Reference{}),
		},
		Invalid: [][]byte{[]byte(`{"method":"Purchase"`), []byte(`{"a":1}`), frameOf(t, "handshake_response_broken_JSON"), []byte(`{"method":"Purchase","step":0,"params":{"amount":"1x"}}`)},
	}
	if os.Getenv("CRASH") == "all" {
		s.Stride = 1
	}
	for _, name := range []string{"handshake_request", "handshake_response", "identify_response", "com9_trace_response"} {
		s.Valid = append(s.Valid, frameOf(t, name))
	}
	for _, m := range messages(t) {
		s.Valid = append(s.Valid, m)
	}
	return s
}

func TestConformance(t *testing.T) { linktest.Run(t, subject(t)) }
