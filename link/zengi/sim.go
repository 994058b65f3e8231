package zengi

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// service is Zengi without Zengi: it makes the requests that the real one would
// post, with the keys of the profile, and those that nobody may believe.
type service struct {
	*profile
	currency string
	script   simulate.Script[behaviour]
	now      func() time.Time
	next     int
}

func newService(c link.NotifySimulatorConfig) (link.NotifySimulator, error) {
	p, err := load(c.Settings.(*Settings))
	if err != nil {
		return nil, err
	}
	script, err := grammar().Parse(c.Script)
	if err != nil {
		return nil, err
	}
	s := &service{profile: p, currency: c.Currency, script: script, now: time.Now}
	if s.currency == "" {
		s.currency = "VND"
	}
	return s, nil
}

// Requests makes the requests of the next behaviour.
func (s *service) Requests(about link.NotifyStory) ([]link.NotifyPost, error) {
	b := s.script.Next()
	if wireNames[about.Operation] == "" {
		return nil, fmt.Errorf("a %s is not notified", about.Operation)
	}
	first := s.ipn(about, b)
	posts := []link.NotifyPost{}
	switch b.outcome {
	case "flood":
		for range b.times {
			p, err := s.post(s.ipn(about, b), b)
			if err != nil {
				return nil, err
			}
			posts = append(posts, p)
		}
		return posts, nil
	case "void", "void-first":
		sale, err := s.post(first, b)
		if err != nil {
			return nil, err
		}
		void, err := s.post(s.taken(first), b)
		if err != nil {
			return nil, err
		}
		if b.outcome == "void-first" {
			sale, void = void, sale
		}
		return []link.NotifyPost{sale, void}, nil
	}
	for range max(1, b.replay) {
		p, err := s.post(first, b)
		if err != nil {
			return nil, err
		}
		posts = append(posts, p)
	}
	return posts, nil
}

// ipn is a notification with every field of the document.
func (s *service) ipn(about link.NotifyStory, b behaviour) map[string]any {
	s.next++
	at := s.now()
	if zone, err := s.zone(); err == nil {
		at = at.In(zone)
	}
	stamp, trace := at.Format("20060102150405"), fmt.Sprintf("%06d", s.next%1_000_000)
	m := map[string]any{
		"aid": "A0000000041010", "amount": strconv.FormatInt(about.Amount.Minor*s.AmountFactor, 10), "appName": "Debit Mastercard",
		"approveCode": "7" + trace[1:], "batchNo": "000001", "billId": "", "cardHolder": "CARDHOLDER/SIMULATED", "cardNumber": "529183******1825",
		"cardScheme": "5", "currency": s.currency, "deviceId": "SIM0000001", "expDate": "", "extraData": "{}", "id": stamp + trace + rand.Text()[:6],
		"invoiceNo": trace, "isoResponseCode": "00", "merchantAddress": "1 SIMULATED STREET", "merchantId": "000000000000001", "merchantName": "SIMULATED",
		"merchantTransId": "", "mid": "", "parent_id": "", "paymentType": "card", "refId": stamp[8:] + trace, "reqId": about.Name,
		"status": s.Success[0], "swipeType": "C", "tc": "40CCCC727D454654", "tid": "SIM00001", "traceNo": trace, "transDateTime": stamp,
		"transactionType": wireNames[about.Operation],
	}
	if about.Operation == payment.Reconciliation {
		list := []map[string]string{}
		for _, e := range about.Settled {
			list = append(list, map[string]string{"reqID": e.Name, "refNo": e.RRN})
		}
		m["settlementList"] = list
	}
	switch b.outcome {
	case "decline":
		m["isoResponseCode"], m["status"], m["approveCode"] = b.arg, "FAIL", ""
	case "disagree":
		m["status"] = "FAIL"
	case "type":
		m["transactionType"] = b.arg
	case "spelling":
		m["transaction_type"], m["reqID"] = m["transactionType"], m["reqId"]
		delete(m, "transactionType")
		delete(m, "reqId")
	}
	return m
}

// taken is the void of what was told.
func (s *service) taken(sale map[string]any) map[string]any {
	void := map[string]any{}
	for k, v := range sale {
		void[k] = v
	}
	s.next++
	void["transactionType"], void["traceNo"] = "VOID", fmt.Sprintf("%06d", s.next%1_000_000)
	return void
}

// post seals and signs a notification, and spoils it as the behaviour says.
func (s *service) post(ipn map[string]any, b behaviour) (link.NotifyPost, error) {
	if b.outcome == "huge" {
		return link.NotifyPost{Header: http.Header{"Content-Type": {"application/json"}}, Body: io.LimitReader(endless{}, b.size), Size: sizeOf(b), Gap: b.slow, Refused: true}, nil
	}
	p := s.profile
	if b.outcome == "wrong-key" {
		other := *p
		other.key = secret{bytes.Repeat([]byte{0x5a}, keySize)}
		p = &other
	}
	if b.outcome == "wrong-sign" {
		other := *p
		other.sign = secret{[]byte("the key of somebody else")}
		p = &other
	}
	body, header, err := p.seal(ipn, b)
	if err != nil {
		return link.NotifyPost{}, err
	}
	size := int64(len(body))
	if b.chunked {
		size = -1
	}
	return link.NotifyPost{Header: header, Path: b.path, Body: bytes.NewReader(body), Size: size, Gap: b.slow, Refused: spoils[b.outcome] || b.path != ""}, nil
}

func sizeOf(b behaviour) int64 {
	if b.chunked {
		return -1
	}
	return b.size
}

// seal makes a body and its header as the profile says.
func (p *profile) seal(ipn map[string]any, b behaviour) ([]byte, http.Header, error) {
	if p.Sign != signNone && p.SignIn == inInner && p.Sign == signFields {
		ipn[p.SignName] = p.mac(p.joined(objectOf(ipn)))
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(ipn); err != nil {
		return nil, nil, err
	}
	plain := bytes.TrimSpace(text.Bytes())
	if b.outcome == "rubbish" {
		plain = []byte("not an IPN, but rightly encrypted and signed")
	}
	if b.outcome == "plain" {
		return plain, http.Header{"Content-Type": {"application/json"}}, nil
	}
	sealed, err := p.encrypt(plain)
	if err != nil {
		return nil, nil, err
	}
	sealed = b.spoilSealed(sealed)
	data := toText(sealed, p.Text)
	if b.outcome == "bad-text" {
		data = "*" + data[1:]
	}
	envelope := map[string]string{"data": data}
	header := http.Header{"Content-Type": {"application/json"}}
	over := map[string][]byte{signData: []byte(data), signCiphertext: sealed, signPlain: plain, signFields: p.joined(objectOf(ipn))}[p.Sign]
	if p.Sign != signNone && p.SignIn == inField {
		envelope[p.SignName] = p.mac(over)
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		return nil, nil, err
	}
	if p.Sign == signBody {
		over = body
	}
	if p.Sign != signNone && p.SignIn == inHeader && b.outcome != "unsigned" {
		header.Set(p.SignName, p.mac(over))
	}
	if b.outcome == "half" {
		body = body[:len(body)/2]
	}
	return body, header, nil
}

// objectOf is what the other side will have decoded.
func objectOf(ipn map[string]any) object {
	o := object{texts: map[string]string{}, raw: map[string]json.RawMessage{}}
	for name, v := range ipn {
		raw, _ := json.Marshal(v) // texts and lists of texts
		o.names = append(o.names, name)
		o.raw[plainName(name)], o.texts[plainName(name)] = raw, textOf(raw)
	}
	return o
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = 'A'
	}
	return len(b), nil
}
