package zengi

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// maxKept bounds a value that is kept, in bytes.
const maxKept = 64

// unreadable is an error about a genuine notification.
func unreadable(format string, a ...any) error {
	return fmt.Errorf("%w: %s", link.ErrUnreadable, fmt.Sprintf(format, a...))
}

// notice says in our words what an IPN tells (document, 3). Card holder, expiry
// date and what stands before the last four digits of the card are not looked at.
func (p *profile) notice(o object, currency string) (payment.Notice, error) {
	for plain, text := range o.texts {
		if len(text) > maxValue {
			return payment.Notice{}, unreadable("a value of %d bytes in %s", len(text), payment.Word(plain))
		}
	}
	kept := func(name string) string { return fit(o.get(name)) }
	op, word := operationOf(o.get("transactionType"))
	switch {
	case silent[word]:
		return payment.Notice{}, unreadable("transactionType %s is one that is never notified", payment.Word(word))
	case op == "":
		return payment.Notice{}, unreadable("transactionType %q is not known", payment.Word(o.get("transactionType")))
	}
	n := payment.Notice{Operation: op, Names: p.names(o), At: p.at(o.get("transDateTime"))}
	result, condition, text := p.judge(o.get("isoResponseCode"), o.get("status"))
	n.Outcome = payment.Outcome{
		Result: result, Condition: condition, Text: text, Source: payment.SourceNotification,
		Response: kept("isoResponseCode"), Vendor: payment.VendorCode{Code: kept("status"), Text: word},
		Amount: p.amount(o.get("amount"), o.get("currency"), currency),
		Reference: payment.Reference{
			STAN: kept("traceNo"), RRN: kept("refId"), Auth: kept("approveCode"), TID: kept("tid"), MID: or(kept("mid"), kept("merchantId")),
			Batch: kept("batchNo"), Receipt: kept("invoiceNo"), Serial: kept("deviceId"), Time: kept("transDateTime"),
		},
		Card: payment.Card{
			PAN: payment.MaskPAN(o.get("cardNumber")), Scheme: schemeOf(o.get("cardScheme"), o.get("aid"), o.get("cardNumber")),
			Entry: entryModes[strings.ToUpper(o.get("swipeType"))], AID: kept("aid"), Label: kept("appName"),
		},
	}
	if n.Outcome.Amount.IsZero() && result == payment.Approved && op != payment.Reconciliation && op != payment.Reversal {
		n.Outcome.Result, n.Outcome.Text = payment.InDoubt, "it was paid, and the amount cannot be read"
	}
	var err error
	if n.Settled, err = settled(o); err != nil {
		return n, err
	}
	return n, p.identify(&n, o, word)
}

// identify gives the notice its key: id, transactionType and traceNo (document:
// nothing is said of repetitions), and the result, so that news about a
// transaction is never taken for a repetition.
func (p *profile) identify(n *payment.Notice, o object, word string) error {
	id := fit(o.get("id"))
	if id == "" && n.Operation == payment.Reconciliation { // it is about a batch
		id = strings.Join([]string{"batch", fit(o.get("tid")), fit(o.get("batchNo")), fit(o.get("transDateTime"))}, "-")
	}
	if id == "" {
		return unreadable("it has no id")
	}
	n.Transaction = or(fit(o.get("parent_id")), id)
	// Two ids that are joined must not look like two others.
	n.Key = strings.Join([]string{word, fit(o.get("traceNo")), string(n.Outcome.Result), id}, "/")
	if len(n.Settled) > 0 || len(n.Key) > payment.MaxNoticeText {
		sum := sha256.New()
		fmt.Fprintf(sum, "%q", n.Key)
		_ = json.NewEncoder(sum).Encode(n.Settled) // a hash takes everything
		n.Key = word + "/" + hex.EncodeToString(sum.Sum(nil)[:16])
	}
	return nil
}

// names are what the sender calls our payment.
func (p *profile) names(o object) (all []string) {
	for _, field := range p.Names {
		outer, member, inside := strings.Cut(field, ".")
		text := o.get(outer)
		if inside {
			content := []byte(text)
			if text == "" {
				content = o.raw[plainName(outer)]
			}
			extra, err := parseObject(content)
			if err != nil {
				continue
			}
			text = extra.get(member)
		}
		if text != "" && len(text) <= payment.MaxNoticeText && fitting(text) {
			all = append(all, text)
		}
	}
	return all
}

// amount is the text without decimals in our minor units, or the zero Money if
// it cannot be read. currency may be a code, a number, or missing.
func (p *profile) amount(text, currency, usual string) payment.Money {
	switch code, ok := payment.CurrencyByNumber(currency); {
	case currency == "":
		currency = usual
	case ok:
		currency = code
	}
	if _, ok := payment.Exponent(currency); !ok {
		return payment.Money{}
	}
	wire, err := payment.ParseMinor(text)
	if err != nil || wire <= 0 || wire%p.AmountFactor != 0 || wire/p.AmountFactor > payment.MaxMinor {
		return payment.Money{}
	}
	return payment.Money{Minor: wire / p.AmountFactor, Currency: currency}
}

// at reads transDateTime, yyyymmddhhmmss without a zone.
func (p *profile) at(text string) time.Time {
	zone, err := p.zone()
	if err != nil {
		return time.Time{}
	}
	t, err := time.ParseInLocation("20060102150405", text, zone)
	if err != nil || t.Year() < 2000 {
		return time.Time{}
	}
	return t.UTC()
}

// settled reads settlementList: a list of objects, or the same as text. The
// sample of a sale has one with dots in it.
func settled(o object) ([]payment.Settled, error) {
	raw := o.raw["settlementlist"]
	if text := o.get("settlementList"); text != "" {
		raw = json.RawMessage(text)
	}
	var list []json.RawMessage
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if json.Unmarshal(raw, &list) != nil {
		return nil, unreadable("settlementList is no list")
	}
	if len(list) > payment.MaxSettled {
		return nil, unreadable("settlementList has more than %d entries", payment.MaxSettled)
	}
	var all []payment.Settled
	for i, item := range list {
		e, err := parseObject(item)
		if err != nil {
			return nil, unreadable("entry %d of settlementList: %v", i+1, err)
		}
		s := payment.Settled{Name: dotless(e.get("reqID")), RRN: dotless(e.get("refNo"))}
		if s != (payment.Settled{}) {
			all = append(all, s)
		}
	}
	return all, nil
}

// dotless is a value, unless it stands for one as in the document's sample.
func dotless(s string) string {
	if strings.Trim(s, ".") == "" {
		return ""
	}
	return fit(s)
}

// fit is a value that may be kept: short and printable, else nothing.
func fit(s string) string {
	if len(s) > maxKept || !fitting(s) {
		return ""
	}
	return s
}

func fitting(s string) bool {
	return strings.ToValidUTF8(s, "") == s && !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == '\u0085' || (c >= 0x80 && c < 0xa0) })
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
