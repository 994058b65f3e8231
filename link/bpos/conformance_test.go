package bpos

import (
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link/linktest"
)

func subject() linktest.Subject {
	uah := func(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "UAH"} }
	of := func(op payment.Operation, o payment.Reference) payment.Request {
		o.Payment = "p"
		return payment.Request{ID: "x", Operation: op, Amount: uah(1), Original: o}
	}
	return linktest.Subject{
		Driver:   Driver(),
		Currency: "UAH",
		Settings: func() any {
			s := defaults()
			s.Keypad = KeypadLocked
			s.ConfirmWithin, s.ConfirmWait = 0, 500*time.Millisecond // the suite looks a second after a payment can last
			return s
		},
		Positional: true, Confirms: true, AnswersOnly: true, Stride: 7,
		Approve: "approve", Decline: "decline:51", Cancel: "cancel", Slow: "slow:20s", SlowDecline: "slow:20s+decline:51",
		Charged: []string{
			"lost-answer", "half-answer", "garbage", "reboot", "charged:", "charged:8", "charged:9", "charged:11", "charged:16", "charged:20", "charged:68", "charged:100",
			"charged:1000", "charged:1001", "charged:1002", "charged:1003", "charged:1004", "charged:1005", "charged:1006", "charged:1007", "charged:1008", "charged:1009",
			"slow:20s+lost-answer", "confirm-lost", "confirm-mute",
		},
		Dead:    []string{"mute", "reboot-before"},
		Late:    []string{"late-approval", "late-approval:2", "late-approval:5", "late-approval:90s"},
		Foreign: []string{"batch-closed", "swapped"},
		Swapped: "swapped",
		Junk: [][]byte{
			[]byte("{\"id\":1,\"code\":0}\n"), []byte("{\"id\":999999,\"code\":"), []byte("\n\n\n"), []byte("{\"id\":1,\"values\":{\"LastResult\":0}}\n"),
			[]byte("{\"id\":0,\"code\":0}\n{\"id\":-1,\"code\":0}\n"),
		},
		Uncarried: map[string]payment.Request{
			"no amount":              {ID: "x", Operation: payment.Purchase},
			"amount of nought":       {ID: "x", Operation: payment.Purchase, Amount: uah(0)},
			"more than 31 bits":      {ID: "x", Operation: payment.Purchase, Amount: uah(1 << 31)},
			"no decimals":            {ID: "x", Operation: payment.Purchase, Amount: payment.Money{Minor: 5, Currency: "VND"}},
			"refund without RRN":     of(payment.Refund, payment.Reference{}),
			"refund with a bad RRN":  of(payment.Refund, payment.Reference{RRN: "12\"34"}),
			"bad invoice":            of(payment.Reversal, payment.Reference{Receipt: "6,1"}),
			"a part taken back":      of(payment.Reversal, payment.Reference{Receipt: "6", Amount: uah(2)}),
			"completion without RRN": of(payment.Completion, payment.Reference{Receipt: "1"}),
			"completion of more":     of(payment.Completion, payment.Reference{Receipt: "1", RRN: "2", Amount: payment.Money{Minor: 0, Currency: "UAH"}}),
			"service without number": {ID: "x", Operation: payment.ServicePayment, Amount: uah(1), Service: "9/1"},
			"a merchant by name":     {ID: "x", Operation: payment.Purchase, Amount: uah(1), Merchant: "shop"},
			"preauthorization":       of(payment.Preauthorization, payment.Reference{}),
		},
		Valid: [][]byte{
			[]byte("{\"id\":1,\"hello\":1}\n"), []byte("{\"id\":2,\"call\":\"Purchase\",\"args\":[12345,0,1]}\n{\"id\":2,\"code\":0}\n"),
			[]byte("{\"id\":3,\"get\":[\"LastResult\",\"LastStatMsgCode\"]}\n{\"id\":3,\"values\":{\"LastResult\":2,\"LastStatMsgCode\":9}}\n"),
			[]byte("{\"id\":4,\"error\":\"refused\",\"text\":\"Track3: no\"}\n"),
		},
		Invalid: [][]byte{
			[]byte("{\"id\":2,\"call\":\"Purchase\",\"args\":[12345,0]}\n"), []byte("{\"id\":2,\"get\":[\"Track3\"]}\n"), []byte("{\"id\":2}\n"),
			[]byte("{\"id\":2,\"values\":{\"LastResult\":256}}\n"), []byte("{\"id\":2,\"call\":\"ReadCard\"}\n"),
		},
	}
}

func TestConformance(t *testing.T) { linktest.Run(t, subject()) }
