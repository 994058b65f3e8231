package ecrvn

import (
	"errors"
	"fmt"

	"tillgate/internal/payment"
)

// answer is what a terminal sends:
//
//	{"requestId":"..","clientId":"..","command":"sale","status":"DONE","transInfo":{..}}
type answer struct {
	requestID string // of the request that is answered
	clientID  string
	command   string
	status    string
	info      info
	hasInfo   bool
}

// info is the transInfo of an answer. The second requestId and clientId stand
// inside it: after last_trans they are those of the original sale, and the key
// to recovery.
//
// cardHolder and expireDate have no field: they are dropped while decoding, and
// of cardNo the last four digits are kept.
type info struct {
	transType    string
	card         payment.PAN
	amount       string
	stan         string
	time         string
	refNo        string
	approvalCode string
	returnCode   string
	tid          string
	mid          string
	currencyCode string
	batchNo      string
	receiptNo    string
	cardType     string
	cardInput    string
	emvAppName   string
	emvAID       string
	emvTC        string
	posSerial    string
	transName    string
	transStatus  string
	requestID    string
	clientID     string
}

// errAnswer is wrapped by every error about bytes that are no answer.
var errAnswer = errors.New("not an answer of this protocol")

// decode reads one object. It accepts keys it does not know, values that are
// not strings, and CR and LF inside strings and keys, which it drops. It never
// quotes a value in an error. A key that comes twice in one object is refused:
// half an answer that runs into another must not be read as one.
func decode(b []byte) (answer, error) {
	var a answer
	p := parser{b: b}
	p.object(func(key string) {
		switch key {
		case "requestId":
			a.requestID = p.text()
		case "clientId":
			a.clientID = p.text()
		case "command":
			a.command = p.text()
		case "status":
			a.status = p.text()
		case "transInfo":
			if p.peek() == '{' {
				a.hasInfo = true
				a.info.decode(&p)
				return
			}
			p.skip()
		default:
			p.skip()
		}
	})
	p.end()
	if p.err != nil {
		return answer{}, fmt.Errorf("%w: offset %d: %v", errAnswer, p.i, p.err)
	}
	if a.requestID == "" && a.status == "" {
		return answer{}, fmt.Errorf("%w: neither requestId nor status", errAnswer)
	}
	return a, nil
}

func (f *info) decode(p *parser) {
	p.object(func(key string) {
		if key == "cardNo" {
			f.card = payment.MaskPAN(p.text())
			return
		}
		if field := f.field(key); field != nil {
			*field = p.text()
			return
		}
		p.skip() // cardHolder, expireDate, and what we do not know
	})
}

// field finds where a key of transInfo is kept.
func (f *info) field(key string) *string {
	switch key {
	case "transType":
		return &f.transType
	case "amount":
		return &f.amount
	case "STAN":
		return &f.stan
	case "time":
		return &f.time
	case "refNo":
		return &f.refNo
	case "approvalCode":
		return &f.approvalCode
	case "returnCode":
		return &f.returnCode
	case "tid":
		return &f.tid
	case "mid":
		return &f.mid
	case "currencyCode":
		return &f.currencyCode
	case "batchNo":
		return &f.batchNo
	case "receiptNo":
		return &f.receiptNo
	case "cardType":
		return &f.cardType
	case "cardInput":
		return &f.cardInput
	case "emvAppName":
		return &f.emvAppName
	case "emvAID":
		return &f.emvAID
	case "emvTC":
		return &f.emvTC
	case "posSerial":
		return &f.posSerial
	case "transName":
		return &f.transName
	case "transStatus":
		return &f.transStatus
	case "requestId":
		return &f.requestID
	case "clientId":
		return &f.clientID
	}
	return nil
}

// kept are the keys of transInfo that are kept as they are, in the order of the
// document; cardNo is kept as its last four digits.
var kept = []string{
	"transType", "amount", "STAN", "time", "refNo", "approvalCode", "returnCode", "tid", "mid", "currencyCode", "batchNo", "receiptNo",
	"cardType", "cardInput", "emvAppName", "emvAID", "emvTC", "posSerial", "transName", "transStatus", "requestId", "clientId",
}

// dropped are the keys of transInfo that hold card data we do not keep.
var dropped = []string{"cardHolder", "cardholder", "expireDate"}
