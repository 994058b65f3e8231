package qfpay

import (
	"bytes"
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// signHeader has the signature of a notification: the MD5 of the body and the
// notification key behind it, in capitals ("Asynchronous Notifications",
// QFPay's public pages).
const signHeader = "X-Qf-Sign"

// notifyDriver takes what QFPay's cloud posts after each payment and refund that
// succeeded. It repeats itself for 25 hours until it is answered with SUCCESS.
func notifyDriver() *link.NotifyDriver {
	return &link.NotifyDriver{
		Path:     "/qfpay/notify",
		Settings: func() any { return notifyDefaults() },
		Open:     openNotifier,
		Accepted: link.NotifyAnswer{Status: http.StatusOK, ContentType: "text/plain", Body: "SUCCESS"},
		Refused:  link.NotifyAnswer{Status: http.StatusBadRequest, ContentType: "text/plain", Body: "FAIL"},
		Certify:  certifyNotice,
		Simulate: newCloud,
	}
}

// notifier opens the notifications of one merchant.
type notifier struct {
	settings *NotifySettings
	key      posKey
	zone     *time.Location
	currency string
}

func openNotifier(c link.NotifyConfig) (link.Notifier, error) {
	n, err := newNotifier(c.Settings, c.Currency)
	if err != nil {
		return nil, err
	}
	return n, nil
}

func newNotifier(settings any, currency string) (*notifier, error) {
	s, ok := settings.(*NotifySettings)
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
	if currency == "" {
		currency = "HKD"
	}
	return &notifier{settings: s, key: k, zone: zone, currency: currency}, nil
}

// signature is what a body must be signed with.
func signature(body []byte, k posKey) string {
	h := md5.New()
	h.Write(body)
	io.WriteString(h, k.text)
	return strings.ToUpper(hex.EncodeToString(h.Sum(nil)))
}

var (
	errForged = errors.New("the signature is missing or not that of the notification key")
	errStale  = errors.New("it is older than stale_after allows")
)

// Decode verifies and decodes one notification. A stale one is refused although
// it is genuine: whoever keeps an old one can post it again at any time.
func (n *notifier) Decode(r link.NotifyRequest) ([]payment.Notice, error) {
	given := strings.ToUpper(strings.TrimSpace(r.Header.Get(signHeader)))
	genuine := subtle.ConstantTimeCompare([]byte(given), []byte(signature(r.Body, n.key))) == 1
	notice, err := n.notice(r.Body)
	switch {
	case !genuine:
		return nil, errForged
	case err != nil:
		return nil, fmt.Errorf("%w: %w", link.ErrUnreadable, err)
	case n.stale(notice.At):
		return nil, errStale
	}
	return []payment.Notice{notice}, nil
}

// stale says whether a notification is older than any repetition of it. One
// without a time is not: its signature is all that can be known.
func (n *notifier) stale(at time.Time) bool {
	return n.settings.StaleAfter > 0 && !at.IsZero() && time.Since(at) > n.settings.StaleAfter
}

// notice says in our words what a notification tells:
//
//	{"notify_type":"payment","status":"1","respcd":"0000","cancel":"0","syssn":"2020..","out_trade_no":"our attempt","txamt":"1010","txcurrcd":"HKD",..}
//	{"notify_type":"refund","orig_syssn":"2020..","orig_out_trade_no":"our attempt","syssn":"2021..","txamt":"500",..}
//
// cancel is one of a refund in a client that is in use. Errors have no value of
// it.
func (n *notifier) notice(body []byte) (payment.Notice, error) {
	var m map[string]any
	if err := unmarshal(bytes.TrimSpace(body), &m); err != nil {
		return payment.Notice{}, fmt.Errorf("%w: %s", errNotice, blind(err))
	}
	r := newRecord(m)
	for _, key := range []string{"notify_type", "status", "mchid", "orig_out_trade_no"} { // not in answers of a terminal
		r.text[key] = value(m[key])
	}
	o := payment.Notice{At: n.at(firstOf(r.get("paydtm"), r.get("sysdtm"), r.get("txdtm")))}
	own, back := r.get("syssn"), false
	switch r.get("notify_type") {
	case "payment":
		o.Operation, o.Transaction, o.Names = payment.Purchase, own, []string{r.get("out_trade_no")}
	case "refund", "cancel":
		back = true
		o.Operation, o.Transaction, o.Names = payment.Refund, firstOf(r.get("orig_syssn"), r.get("origssn")), []string{r.get("orig_out_trade_no")}
	default:
		return o, fmt.Errorf("%w: notify_type is neither payment nor refund", errNotice)
	}
	if o.Transaction == "" || own == "" || !plainText(o.Transaction) || !plainText(own) {
		return o, fmt.Errorf("%w: syssn, or that of the original, is missing", errNotice)
	}
	if o.Names[0] == "" || !plainText(o.Names[0]) {
		o.Names = nil
	}
	o.Key = strings.Join([]string{string(o.Operation), own, r.get("status"), r.get("respcd"), r.get("cancel")}, "/")
	if !plainText(o.Key) {
		return o, fmt.Errorf("%w: status, respcd or cancel is no code", errNotice)
	}
	amount, err := n.amount(r)
	if err != nil {
		return o, err
	}
	o.Outcome = payment.Outcome{
		Amount: amount, Source: payment.SourceNotification, Vendor: payment.VendorCode{Code: r.get("respcd"), Text: firstOf(r.get("respmsg"), r.get("resperr"))},
		Reference: payment.Reference{Receipt: own, MID: r.get("mchid"), Time: firstOf(r.get("paydtm"), r.get("sysdtm"))},
	}
	o.Outcome.Result, err = told(r, back)
	return o, err
}

// errNotice is wrapped by every error about a notification's text.
var errNotice = errors.New("not a notification of this service")

// told is what became of the money. Only successes are notified; what says both
// yes and no is for a person.
func told(r record, back bool) (payment.Result, error) {
	c, status := judgeRecord(r), r.get("status")
	switch {
	case c.decision == notDone && status != "1":
		return payment.Declined, nil
	case c.decision != done || status != "" && status != "1":
		return "", fmt.Errorf("%w: status and respcd do not say whether it was done", errNotice)
	case back:
		return payment.Approved, nil
	}
	switch r.get("cancel") {
	case "", "0", "5": // 5: a part was refunded, of which there is a notification of its own
		return payment.Approved, nil
	case "1", "2", "3":
		return payment.Reversed, nil
	}
	return "", fmt.Errorf("%w: cancel has a status that is not known", errNotice)
}

// amount reads txamt, which is in minor units. One that cannot be read is an
// error: an approval of an unknown amount agrees with everything.
func (n *notifier) amount(r record) (payment.Money, error) {
	m := payment.Money{Currency: n.currency}
	switch c := strings.ToUpper(r.get("txcurrcd")); {
	case c == "":
	case len(c) == 3 && digits(c):
		m.Currency, _ = payment.CurrencyByNumber(c)
	default:
		m.Currency = c
	}
	var err error
	m.Minor, err = payment.ParseMinor(r.get("txamt"))
	if _, known := payment.Exponent(m.Currency); err != nil || !known || m.Minor <= 0 || m.Minor > payment.MaxMinor {
		return m, fmt.Errorf("%w: txamt or txcurrcd cannot be read", errNotice)
	}
	return m, nil
}

// at reads a time of QFPay's, which names no zone.
func (n *notifier) at(text string) time.Time {
	t, err := time.ParseInLocation(time.DateTime, text, n.zone)
	if err != nil || t.Year() < 2000 {
		return time.Time{}
	}
	return t.UTC()
}

// plainText says whether a text can be a name in the journal.
func plainText(s string) bool {
	return len(s) <= payment.MaxNoticeText && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c > '~' })
}

// certifyNotice says whether a captured notification is signed with the key, and
// what it tells, masked. A body that an editor has put a line break behind is
// tried without it.
func certifyNotice(w io.Writer, settings any, r link.NotifyRequest) error {
	open, err := openNotifier(link.NotifyConfig{Settings: settings})
	if err != nil {
		return err
	}
	n := open.(*notifier)
	given := strings.TrimSpace(r.Header.Get(signHeader))
	if given == "" {
		return errors.New("there is no header X-QF-SIGN")
	}
	for _, body := range [][]byte{r.Body, bytes.TrimRight(r.Body, "\r\n"), bytes.TrimSpace(r.Body)} {
		if !strings.EqualFold(given, signature(body, n.key)) {
			continue
		}
		fmt.Fprintln(w, "signature            good: MD5 of the body and the notification key")
		return explainNotice(w, body)
	}
	return errors.New("the signature is not that of this key over this body: compare key_file with the notification key that QFPay gave out, and take the body byte for byte")
}

// explainNotice writes what a notification tells, masked; its signature cannot be
// told without the key.
func explainNotice(w io.Writer, body []byte) error {
	zone, err := notifyDefaults().zone()
	if err != nil {
		return err
	}
	n := &notifier{settings: notifyDefaults(), zone: zone, currency: "HKD"}
	o, err := n.notice(body)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "notification: %s %s of %s\n", o.Operation, o.Outcome.Result, o.Outcome.Amount)
	fmt.Fprintf(w, "  transaction        %s\n  this notice        %s\n", o.Transaction, o.Key)
	for _, name := range o.Names {
		fmt.Fprintf(w, "  out_trade_no       %s\n", name)
	}
	if !o.At.IsZero() {
		fmt.Fprintf(w, "  at                 %s\n", o.At.Format(time.RFC3339))
	}
	return nil
}
