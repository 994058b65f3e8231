package ecrvn

import (
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link/linktest"
)

func subject(t *testing.T) linktest.Subject {
	vnd := func(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "VND"} }
	sale := func(order string, minor int64) payment.Request {
		return payment.Request{ID: "x", Order: order, Operation: payment.Purchase, Amount: vnd(minor)}
	}
	s := linktest.Subject{
		Driver:   Driver(),
		Currency: "VND",
		Settings: func() any {
			s := defaults()
			s.SilentWhenBusy, s.Keypad = true, KeypadOpen
			return s
		},
		Approve: "approve", Decline: "decline:51", Cancel: "cancel", Slow: "slow:20s", SlowDecline: "slow:20s+decline:51",
		Charged: []string{
			"lost-answer", "half-answer", "garbage", "reboot", "cancel-charged", "charged:", "charged:TIMEOUT", "charged:done", "charged:CANCELLED",
			"charged:08", "charged:09", "charged:10", "charged:11", "charged:16", "charged:68",
			"lost-answer+linebreaks", "lost-answer+mojibake", "lost-answer+echo", "slow:20s+lost-answer",
		},
		Dead:    []string{"mute", "reboot-before", "busy"},
		Late:    []string{"late-approval", "late-approval:2", "late-approval:5", "late-approval:90s"},
		Foreign: []string{"hand-sale", "hand-after", "batch-closed", "swapped", "hand-sale+no-inner-ids", "hand-after+no-inner-ids", "lost-answer+no-inner-ids"},
		Swapped: "swapped",
		Junk:    [][]byte{[]byte("/ecr?rqt=A|B&cmd=sale|1|1|2|3|4|5"), []byte(`{"requestId":"x","status":"DONE","command":"sale"}`), []byte(samples(t)[0])},
		Uncarried: map[string]payment.Request{
			"amount of eleven digits": sale("1", 10_000_000_000), "no amount": sale("1", 0), "order of 21": sale(strings.Repeat("1", 21), 1),
			"order with a bar": sale("a|b", 1), "order with &": sale("a&cmd=sale", 1), "order with =": sale("a=b", 1), "order with a blank": sale("a b", 1),
			"order with a line break": sale("a\nb", 1), "order beyond ASCII": sale("đơn", 1), "order with a brace": sale("{", 1), "order with a quote": sale(`"`, 1),
			"refund":            {ID: "x", Operation: payment.Refund, Amount: vnd(1)},
			"bad receipt":       {ID: "x", Operation: payment.Reversal, Original: payment.Reference{Payment: "p", Receipt: "6|1"}},
			"a part taken back": {ID: "x", Operation: payment.Reversal, Amount: vnd(40), Original: payment.Reference{Payment: "p", Receipt: "6", Amount: vnd(100)}},
		},
		Valid:   [][]byte{capture(t, "seed_req.hex"), capture(t, "seed_rsp_asprinted.hex"), capture(t, "seed_rsp_repaired.hex")},
		Invalid: [][]byte{[]byte("/ecr?rqt=A"), []byte(`{"status":"DONE"`), []byte(`{"a":1}`), []byte("/ecr?rqt=A|B&cmd=sale|12345678901")},
	}
	for _, text := range samples(t) {
		s.Valid = append(s.Valid, []byte(text))
	}
	return s
}

func TestConformance(t *testing.T) { linktest.Run(t, subject(t)) }
