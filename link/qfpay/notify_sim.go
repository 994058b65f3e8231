package qfpay

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// cloud is QFPay's side of the notifications: it posts what the real one would,
// signed with the key of the profile, and what nobody may believe.
type cloud struct {
	settings *NotifySettings
	key      posKey
	zone     *time.Location
	currency string
	script   simulate.Script[tale]
	sent     int
}

// tale is one behaviour of the cloud; docs/protocols/qfpay.md lists them.
type tale struct {
	outcome string
	times   int64
	extra   int64
	age     time.Duration
	cancel  string
	numbers bool
	lower   bool
}

func tales() simulate.Grammar[tale] {
	return simulate.Grammar[tale]{
		Begin: func(outcome string) tale { return tale{outcome: outcome, times: 1, cancel: "0"} },
		Outcomes: map[string]simulate.Word[tale]{
			"approve": nil, "refund-first": nil, "wrong-key": nil, "unsigned": nil, "changed": nil, "rubbish": nil, "unknown-type": nil, "disagree": nil,
			"repeat":       simulate.Whole(2, func(b *tale, n int64) { b.times = max(1, min(n, 100)) }),
			"stale":        simulate.Duration(100*time.Hour, func(b *tale, d time.Duration) { b.age = d }),
			"late":         simulate.Duration(25*time.Hour, func(b *tale, d time.Duration) { b.age = d }),
			"wrong-amount": simulate.Whole(1, func(b *tale, n int64) { b.extra = n }),
			"taken-back":   simulate.Text("3", func(b *tale, status string) { b.cancel = status }),
		},
		Features: map[string]simulate.Word[tale]{
			"numbers": simulate.Flag(func(b *tale) { b.numbers = true }),
			"lower":   simulate.Flag(func(b *tale) { b.lower = true }),
		},
	}
}

func newCloud(c link.NotifySimulatorConfig) (link.NotifySimulator, error) {
	s, ok := c.Settings.(*NotifySettings)
	if !ok {
		s = notifyDefaults()
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	k, err := s.load()
	if err != nil {
		return nil, err
	}
	zone, err := s.zone()
	if err != nil {
		return nil, err
	}
	script, err := tales().Parse(c.Script)
	if err != nil {
		return nil, err
	}
	q := &cloud{settings: s, key: k, zone: zone, currency: c.Currency, script: script}
	if q.currency == "" {
		q.currency = "HKD"
	}
	return q, nil
}

// Requests makes the posts of the next behaviour. A refund or a reversal tells of
// the payment and of what takes it back.
func (q *cloud) Requests(about link.NotifyStory) ([]link.NotifyPost, error) {
	b := q.script.Next()
	pay := q.body(about, b)
	bodies := []map[string]string{pay}
	switch about.Operation {
	case payment.Purchase:
	case payment.Refund, payment.Reversal:
		bodies = append(bodies, q.back(about, pay))
	default:
		return nil, fmt.Errorf("a %s is not notified", about.Operation)
	}
	if b.outcome == "refund-first" {
		bodies[0], bodies[len(bodies)-1] = bodies[len(bodies)-1], bodies[0]
	}
	var posts []link.NotifyPost
	for range b.times {
		for _, m := range bodies {
			posts = append(posts, q.post(m, b))
		}
	}
	return posts, nil
}

func (q *cloud) number(at time.Time) string {
	q.sent++
	return at.Format("20060102150405") + fmt.Sprintf("%012d", q.sent)
}

// body is the notification of a payment.
func (q *cloud) body(about link.NotifyStory, b tale) map[string]string {
	at := time.Now().In(q.zone).Add(-b.age)
	currency := about.Amount.Currency
	if currency == "" {
		currency = q.currency
	}
	m := map[string]string{
		"notify_type": "payment", "status": "1", "respcd": "0000", "cancel": b.cancel, "pay_type": "802808", "mchid": "SIMULATED1",
		"sysdtm": at.Format(simTime), "paydtm": at.Format(simTime), "txdtm": at.Format(simTime), "syssn": q.number(at), "out_trade_no": about.Name,
		"txamt": strconv.FormatInt(about.Amount.Minor+b.extra, 10), "txcurrcd": currency, "goods_name": "", "cardcd": "2088032341453564", "chnlsn": "4200003",
	}
	switch b.outcome {
	case "unknown-type":
		m["notify_type"] = "greeting"
	case "disagree":
		m["status"] = "0"
	}
	return m
}

// back is the notification of what takes a payment back.
func (q *cloud) back(about link.NotifyStory, pay map[string]string) map[string]string {
	at := time.Now().In(q.zone)
	return map[string]string{
		"notify_type": map[bool]string{true: "refund", false: "cancel"}[about.Operation == payment.Refund], "status": "1", "respcd": "0000",
		"orig_syssn": pay["syssn"], "orig_out_trade_no": about.Name, "out_trade_no": "", "syssn": q.number(at), "mchid": pay["mchid"],
		"sysdtm": at.Format(simTime), "txdtm": at.Format(simTime), "txamt": pay["txamt"], "txcurrcd": pay["txcurrcd"],
	}
}

// post signs a notification, and spoils it as the behaviour says.
func (q *cloud) post(m map[string]string, b tale) link.NotifyPost {
	body := encode(m)
	if b.numbers {
		n := map[string]any{}
		for k, v := range m {
			if n[k] = v; v != "" && len(v) < 12 && digits(v) && k != "respcd" {
				n[k], _ = strconv.Atoi(v)
			}
		}
		body = encode(n)
	}
	if b.outcome == "rubbish" {
		body = []byte("no JSON, and rightly signed")
	}
	k := q.key
	if b.outcome == "wrong-key" {
		k = posKey{"the key of somebody else altogether"}
	}
	sign := signature(body, k)
	if b.lower {
		sign = strings.ToLower(sign)
	}
	header := http.Header{"Content-Type": {"application/json"}, signHeader: {sign}}
	switch b.outcome {
	case "unsigned":
		header.Del(signHeader)
	case "changed":
		body = bytes.Replace(body, []byte(`"txamt":"`), []byte(`"txamt":"9`), 1)
	}
	stale := q.settings.StaleAfter > 0 && b.age > q.settings.StaleAfter
	return link.NotifyPost{Header: header, Body: bytes.NewReader(body), Size: int64(len(body)), Refused: spoilt[b.outcome] || stale}
}

// spoilt are the behaviours that an honest listener refuses.
var spoilt = map[string]bool{"wrong-key": true, "unsigned": true, "changed": true, "rubbish": true, "unknown-type": true, "disagree": true}
