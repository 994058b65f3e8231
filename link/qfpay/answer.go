package qfpay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

// Bounds of an answer. What is over them is cut or dropped, never refused: an
// approval must not be lost over a field that nobody asked for.
const (
	maxText    = 128 // bytes of one value
	maxMembers = 64  // of one transaction
	maxRecords = 64  // transactions in one answer
)

// answer is what a terminal sends (chapter 5):
//
//	{"respcd":"6000","data":"{..}","respmsg":"..","resperr":".."}
//
// data is JSON inside a string, or the same without the string; it holds one
// transaction or a list of them.
type answer struct {
	respcd  string
	message string
	fault   string
	records []record
	hollow  bool // data is missing or empty; not: it cannot be read
	ours    bool // it came by the number, or on the connection, of the question that it answers
}

// record is one transaction in an answer. A card number keeps its last four
// digits; the members of dropped are not kept; members that the document does
// not have are kept with every long row of digits masked.
type record struct {
	text map[string]string
	card payment.PAN
}

// kept are the members of chapter 5 that are kept as they are. resmsg and
// reserr are the document's spelling inside data.
var kept = strings.Fields(`respcd resmsg reserr respmsg resperr mchntnm sysdtm userid busicd txamt txcurrcd chnlsn paydtm udid syssn clisn out_trade_no
	cardscheme txdtm orig_syssn originTxamt server_time cancel opuid prepay_amt tradetp origssn opuser allow_refund_amt desc origbusicd cardtype
	batchno refno`)

// dropped are members about the customer's person. Those from cardcd on are of
// QFPay's newer pages: cards, accounts and names of wallets.
var dropped = strings.Fields("customer_source nickname cardcd outcardnm octopus_no octopus_account_id")

// free are those of kept that hold what somebody wrote: they are masked too.
var free = strings.Fields("resmsg reserr respmsg resperr mchntnm opuser desc")

var keptSet, droppedSet, freeSet = setOf(kept), setOf(dropped), setOf(free)

func setOf(keys []string) map[string]bool {
	m := make(map[string]bool, len(keys))
	for _, k := range keys {
		m[k] = true
	}
	return m
}

// errAnswer is wrapped by every error about bytes that are no answer.
var errAnswer = errors.New("not an answer of this protocol")

// read opens what came from the terminal: plain JSON, or Base64 with or without
// the quotes of a JSON string. It never quotes a value in an error.
func (p *profile) read(b []byte) (answer, error) {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] != '{' {
		text := b
		if text[0] == '"' {
			var s string
			if err := json.Unmarshal(text, &s); err != nil {
				return answer{}, fmt.Errorf("%w: a JSON string without an end", errAnswer)
			}
			text = []byte(s)
		}
		if t := bytes.TrimSpace(text); len(t) > 0 && t[0] == '{' {
			return decode(t)
		}
		plain, err := p.sealer.open(text)
		if err != nil {
			return answer{}, err
		}
		b = bytes.TrimSpace(plain)
	}
	return decode(b)
}

func decode(b []byte) (answer, error) {
	var e struct {
		Respcd  any             `json:"respcd"`
		Data    json.RawMessage `json:"data"`
		Respmsg any             `json:"respmsg"`
		Resperr any             `json:"resperr"`
	}
	if err := unmarshal(b, &e); err != nil {
		return answer{}, fmt.Errorf("%w: %s", errAnswer, blind(err))
	}
	a := answer{respcd: value(e.Respcd), message: prose(e.Respmsg), fault: prose(e.Resperr)}
	if a.respcd == "" {
		return answer{}, fmt.Errorf("%w: no respcd", errAnswer)
	}
	a.records, a.hollow = records(e.Data)
	return a, nil
}

// records reads data. What cannot be read counts as none, since the respcd
// stands; hollow says that there was nothing to read.
func records(data json.RawMessage) (out []record, hollow bool) {
	var v any
	if len(data) > 0 && unmarshal(data, &v) != nil {
		return nil, false
	}
	if s, ok := v.(string); ok {
		if v = nil; strings.TrimSpace(s) != "" && unmarshal([]byte(s), &v) != nil {
			return nil, false
		}
	}
	list, ok := v.([]any)
	if !ok && v != nil {
		list = []any{v}
	}
	hollow = true
	for _, item := range list {
		m, ok := item.(map[string]any)
		hollow = hollow && ok && len(m) == 0
		if ok && len(m) > 0 && len(out) < maxRecords {
			out = append(out, newRecord(m))
		}
	}
	return out, hollow
}

func newRecord(m map[string]any) record {
	r := record{text: make(map[string]string, min(len(m), maxMembers))}
	for _, known := range []bool{true, false} { // the document's members first: they may not fall to the bound
		for k, v := range m {
			switch text := value(v); {
			case keptSet[k] != known, text == "", droppedSet[k], len(r.text) >= maxMembers:
			case known && freeSet[k]:
				r.text[k] = prose(v)
			case known:
				r.text[k] = text
			case k == "cardno":
				r.card = payment.MaskPAN(text)
			default:
				r.text[scrub(k)] = prose(v)
			}
		}
	}
	return r
}

// get is the value of a member, "" if there is none.
func (r record) get(key string) string { return r.text[key] }

// unmarshal reads one JSON value and keeps numbers as they were written.
func unmarshal(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return errors.New("something behind it")
	}
	return nil
}

// blind tells where a JSON text is wrong, and nothing of what stands there.
func blind(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("no JSON at offset %d", e.Offset)
	}
	return "no JSON object of its kind"
}

// value is the text of a string, number or truth value, cut to maxText.
func value(v any) string { return payment.Clip(whole(v), maxText) }

// prose is a value that may have card numbers in it. They are masked before it is
// cut: half of one would not be found.
func prose(v any) string { return payment.Clip(scrub(whole(v)), maxText) }

func whole(v any) string {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = v.String()
	case bool:
		s = fmt.Sprint(v)
	}
	return strings.ToValidUTF8(s, "?")
}

// scrub masks every row of digits that can be a card number: twelve or more,
// with or without blanks and dashes, keep their last four.
func scrub(s string) string {
	b := []byte(s)
	for i := 0; i < len(b); {
		j, n := i, 0
		for j < len(b) && (b[j] >= '0' && b[j] <= '9' || n > 0 && (b[j] == ' ' || b[j] == '-')) {
			if b[j] >= '0' {
				n++
			}
			j++
		}
		if n >= 12 {
			for k, left := i, n; k < j && left > 4; k++ {
				if b[k] >= '0' && b[k] <= '9' {
					b[k] = '*'
					left--
				}
			}
		}
		i = max(j, i+1)
	}
	return string(b)
}
