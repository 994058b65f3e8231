package qfpay

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// service is every function that moves no money.
func (s *Simulator) service(r request) (reply, error) {
	switch r.content.get("func_type") {
	case "4001":
		return s.query(r)
	case "5001":
		if s.serving != nil {
			close(s.serving)
			s.serving = nil
		}
		s.later = nil
		return reply{respcd: "6000"}, nil
	case "3001":
		if s.find(r) == nil {
			return reply{respcd: "6002", text: "no such order"}, nil
		}
		return reply{respcd: "6000"}, nil
	case "3002":
		return reply{respcd: "6000"}, nil
	}
	return reply{respcd: "4006", text: "func_type"}, nil
}

func (s *Simulator) money(r request) (reply, error) {
	if r.content.get("func_type") == "1002" {
		return s.refund(r)
	}
	return s.trade(r)
}

// trade behaves as the script says.
func (s *Simulator) trade(r request) (reply, error) {
	m, err := payment.ParseMoney(r.content.get("amt"), s.state.Currency)
	_, known := channels[r.content.get("channel")]
	if err != nil || m.Minor <= 0 || !known || r.content.get("out_trade_no") == "" {
		return reply{respcd: "4006", text: "parameter"}, nil
	}
	if s.find(r) != nil {
		return reply{respcd: "6000", data: []map[string]string{{"respcd": "1102", "resmsg": "duplicate", "out_trade_no": r.content.get("out_trade_no")}}}, nil
	}
	c := charge{r, m.Minor + s.mood.extra}
	switch s.mood.outcome {
	case "decline":
		t, err := s.book(r, m.Minor, s.mood.arg)
		return reply{respcd: "6000", data: []map[string]string{s.tradeData(t)}}, err
	case "late-approval":
		s.approveLater(c)
		return mute, nil
	case "hand-sale":
		return mute, s.byHand(r, m.Minor)
	}
	if rep, is := s.refuse(); is {
		return rep, nil
	}
	t, err := s.book(r, c.minor, "0000")
	if err == nil && s.mood.outcome == "hand-after" {
		err = s.byHand(r, m.Minor)
	}
	if err == nil && s.mood.outcome == "swapped" {
		s.profiles, err = readings(posKey{strings.Repeat("5", keyLength)})
	}
	if err != nil {
		return reply{}, err
	}
	return s.afterCharge(reply{respcd: "6000", data: []map[string]string{s.tradeData(t)}}), nil
}

// byHand sells the same once more, on the terminal itself.
func (s *Simulator) byHand(r request, minor int64) error {
	_, err := s.book(request{content: content{{"channel", r.content.get("channel"), false}}}, minor, "0000")
	return err
}

// refuse is what happens where the bank is never asked.
func (s *Simulator) refuse() (rep reply, is bool) {
	switch s.mood.outcome {
	case "cancel":
		return reply{respcd: "6001", text: "user cancel"}, true
	case "busy":
		return reply{respcd: "4005", text: "busy"}, true
	case "mute":
		return mute, true
	case "reboot-before":
		return reply{mute: true, hangUp: true}, true
	}
	return reply{}, false
}

// afterCharge is what goes wrong once the bank has approved.
func (s *Simulator) afterCharge(good reply) reply {
	switch s.mood.outcome {
	case "charged":
		return s.misreport(good)
	case "cancel-charged":
		return reply{respcd: "6001", text: "user cancel"}
	case "lost-answer", "foreign-query", "hand-after", "swapped":
		return mute
	case "half-answer":
		good.half, good.hangUp = true, true
	case "garbage":
		good.noise = true
	case "reboot":
		return reply{mute: true, hangUp: true}
	}
	return good
}

// misreport says something else than that the bank has approved.
func (s *Simulator) misreport(good reply) reply {
	switch arg := s.mood.arg; {
	case arg == "nothing":
		good.data = nil
	case len(arg) == 4 && arg[0] >= '4':
		return reply{respcd: arg, text: "misreported"}
	default:
		good.data[0]["respcd"] = arg
	}
	return good
}

func (s *Simulator) approveLater(c charge) {
	s.later, s.asks = &c, s.mood.asks
	after := s.mood.after
	if after <= 0 {
		return // see query
	}
	s.power.Go(func() {
		if s.power.Wait(after) {
			s.at(func() (reply, error) { return mute, s.approveNow() })
		}
	})
}

func (s *Simulator) approveNow() error {
	if s.later == nil {
		return nil
	}
	c := *s.later
	s.later = nil
	_, err := s.book(c.req, c.minor, "0000")
	return err
}

// refund gives money back, in the way that the script says.
func (s *Simulator) refund(r request) (reply, error) {
	if rep, is := s.refuse(); is {
		return rep, nil
	}
	t := s.find(r)
	if s.mood.outcome == "decline" || t == nil {
		return reply{respcd: "6000", data: []map[string]string{{"respcd": "1205", "resmsg": "refund failed", "orig_syssn": r.content.get("orderId")}}}, nil
	}
	minor, ok, err := s.giveBack(t, r.content.get("refund_amount"))
	if err != nil || !ok {
		return reply{respcd: "6000", data: []map[string]string{{"respcd": "1205", "resmsg": "amount", "orig_syssn": t.Syssn}}}, err
	}
	now := time.Now().Format(simTime)
	return s.afterCharge(reply{respcd: "6000", data: []map[string]string{{
		"respcd": "0000", "resmsg": "", "sysdtm": now, "paydtm": now, "txcurrcd": s.state.Currency, "txdtm": now, "orig_syssn": t.Syssn,
		"syssn": t.Syssn[:len(t.Syssn)-1] + "R", "chnlsn": "4200002" + t.rrn(), "txamt": strconv.FormatInt(minor+s.mood.extra, 10),
		"originTxamt": strconv.FormatInt(t.Minor, 10),
	}}}), nil
}

// query shows a transaction. With "list" the latest others stand beside it.
func (s *Simulator) query(r request) (reply, error) {
	if s.later != nil && s.mood.after <= 0 && s.later.req.content.get("out_trade_no") == firstOf(r.content.get("out_trade_no"), r.content.get("orderId")) {
		if s.asks--; s.asks <= 0 {
			defer s.approveNow()
		}
	}
	t := s.find(r)
	if t == nil {
		switch code := s.mood.vague; {
		case code == "":
			return reply{respcd: "6000"}, nil
		case code >= "4000":
			return reply{respcd: code, text: "no such order"}, nil
		default:
			return reply{respcd: "6000", data: []map[string]string{{"respcd": code, "resmsg": "the order doesn't exist"}}}, nil
		}
	}
	if s.mood.outcome == "foreign-query" {
		other := *t
		other.Attempt, other.Syssn = "SOMEBODYELSE00000000", "20250101000000000000000999"
		return reply{respcd: "6000", data: []map[string]string{s.queryData(other)}}, nil
	}
	data := []map[string]string{s.queryData(*t)}
	if s.mood.list {
		for _, o := range slices.Backward(s.state.Trades) {
			if o.Syssn != t.Syssn && len(data) < 5 {
				data = append(data, s.queryData(o))
			}
		}
	}
	return reply{respcd: "6000", data: data}, nil
}
