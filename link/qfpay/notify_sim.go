package qfpay

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
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
	*notifier
	script simulate.Script[tale]
	sent   int
	told   map[string]string // syssn of the payment that was told last, by out_trade_no
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
			"approve": nil, "refunded": nil, "refund-first": nil, "wrong-key": nil, "unsigned": nil, "changed": nil, "half": nil, "rubbish": nil,
			"unknown-type": nil, "disagree": nil,
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
	n, err := newNotifier(c.Settings, c.Currency)
	if err != nil {
		return nil, err
	}
	script, err := tales().Parse(c.Script)
	if err != nil {
		return nil, err
	}
	return &cloud{notifier: n, script: script, told: map[string]string{}}, nil
}

// Requests makes the posts of the next behaviour. As QFPay does it tells of a
// refund alone: its payment was told when it was paid. A reversal is a refund in
// the other word.
func (q *cloud) Requests(about link.NotifyStory) ([]link.NotifyPost, error) {
	b := q.script.Next()
	var bodies []map[string]string
	switch about.Operation {
	case payment.Purchase, payment.Refund, payment.Reversal:
	default:
		return nil, fmt.Errorf("a %s is not notified", about.Operation)
	}
	both := b.outcome == "refunded" || b.outcome == "refund-first"
	if both || about.Operation == payment.Purchase {
		bodies = append(bodies, q.paid(about, b))
	}
	if both || about.Operation != payment.Purchase {
		bodies = append(bodies, q.back(about, b))
	}
	if b.outcome == "refund-first" {
		slices.Reverse(bodies)
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

// body is what the notifications of a payment and of a refund have in common.
func (q *cloud) body(kind string, about link.NotifyStory, b tale) map[string]string {
	at := time.Now().In(q.zone).Add(-b.age)
	currency := about.Amount.Currency
	if currency == "" {
		currency = q.currency
	}
	m := map[string]string{
		"notify_type": kind, "status": "1", "respcd": "0000", "mchid": "SIMULATED1", "sysdtm": at.Format(simTime), "txdtm": at.Format(simTime),
		"syssn": q.number(at), "txamt": strconv.FormatInt(about.Amount.Minor+b.extra, 10), "txcurrcd": currency,
	}
	switch b.outcome {
	case "unknown-type":
		m["notify_type"] = "greeting"
	case "disagree":
		m["status"] = "0"
	}
	return m
}

// paid is the notification of a payment.
func (q *cloud) paid(about link.NotifyStory, b tale) map[string]string {
	m := q.body("payment", about, b)
	maps.Copy(m, map[string]string{
		"out_trade_no": about.Name, "cancel": b.cancel, "pay_type": "802808", "paydtm": m["sysdtm"], "goods_name": "",
		"cardcd": "2088032341453564", "chnlsn": "4200003",
	})
	q.told[about.Name] = m["syssn"]
	return m
}

// back is the notification of what takes a payment back: the last that was told
// under that name, or one of before this cloud began. It has an out_trade_no of
// its own.
func (q *cloud) back(about link.NotifyStory, b tale) map[string]string {
	kind := "refund"
	if about.Operation == payment.Reversal {
		kind = "cancel"
	}
	original := q.told[about.Name]
	if original == "" {
		original = q.number(time.Now().In(q.zone).Add(-b.age))
	}
	m := q.body(kind, about, b)
	maps.Copy(m, map[string]string{"orig_syssn": original, "orig_out_trade_no": about.Name, "out_trade_no": "R" + m["syssn"]})
	return m
}

// render is a notification as JSON.
func (b tale) render(m map[string]string) []byte {
	if !b.numbers {
		return encode(m)
	}
	n := map[string]any{}
	for k, v := range m {
		if n[k] = v; v != "" && len(v) < 12 && digits(v) && k != "respcd" {
			n[k], _ = strconv.Atoi(v)
		}
	}
	return encode(n)
}

// post signs a notification, and spoils it as the behaviour says.
func (q *cloud) post(m map[string]string, b tale) link.NotifyPost {
	body := b.render(m)
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
		other := maps.Clone(m)
		other["txamt"] = "9" + m["txamt"]
		body = b.render(other)
	case "half":
		body = body[:len(body)/2]
	}
	stale := q.settings.StaleAfter > 0 && b.age > q.settings.StaleAfter
	return link.NotifyPost{Header: header, Body: bytes.NewReader(body), Size: int64(len(body)), Refused: spoilt[b.outcome] || stale}
}

// spoilt are the behaviours that an honest listener refuses.
var spoilt = map[string]bool{
	"wrong-key": true, "unsigned": true, "changed": true, "half": true, "rubbish": true, "unknown-type": true, "disagree": true,
}
