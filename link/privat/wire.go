package privat

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// The methods of the document's chapter 5 that are used.
const (
	methodPing       = "PingDevice"
	methodInfo       = "GetTerminalInfo"
	methodReceipt    = "GetReceiptInfo"
	methodPurchase   = "Purchase"
	methodCashback   = "Cashback"
	methodRefund     = "Refund"
	methodVoid       = "Withdrawal"
	methodPartly     = "WithdrawalPartly"
	methodPreauth    = "Preauthorization"
	methodCompletion = "SaleCompletion"
	methodBalance    = "GetBalance"
	methodVerify     = "Verify"
	methodAudit      = "Audit"
	methodVerifyCopy = "VerifyCopy"
	methodPrint      = "PrintReceiptNum"
	methodJournal    = "PrintBatchJournal"
	methodHost       = "CheckConnection"
	methodService    = "ServiceMessage"
)

// The service messages of chapter 6 that are used, without the stray blanks
// that the document prints around some of them.
const (
	msgIdentify       = "identify"
	msgBusy           = "deviceBusy"
	msgInterrupt      = "interrupt"
	msgInterrupted    = "interruptTransmitted"
	msgNotImplemented = "methodNotImplemented"
	msgLastResult     = "getLastResult"
	msgStatus         = "getLastStatMsgCode"
	msgStatusText     = "getLastStatMsgDescription"
	msgDiscount       = "getDiscountName"
	msgCorrect        = "correctTransaction"
	msgCorrected      = "correctionTransmitted"
	msgMerchants      = "getMerchantList"
	msgMasks          = "getMaskList"
)

// param is one member of params. All values are strings.
type param struct{ key, value string }

// request is one message to the terminal, in the document's order of members:
//
//	{"method":"..","step":0,"params":{"..":".."}}
//
// params is left out where there are none. Texts are UTF-8, and nothing is
// escaped that JSON does not ask for.
type request struct {
	method string
	params []param
}

// frame is the request as it is sent, with its terminator.
func (r request) frame() []byte {
	var b bytes.Buffer
	b.WriteString(`{"method":`)
	b.Write(quote(r.method))
	b.WriteString(`,"step":0`)
	for i, p := range r.params {
		if i == 0 {
			b.WriteString(`,"params":{`)
		} else {
			b.WriteByte(',')
		}
		b.Write(quote(p.key))
		b.WriteByte(':')
		b.Write(quote(p.value))
	}
	if len(r.params) > 0 {
		b.WriteByte('}')
	}
	b.WriteString("}\x00")
	return b.Bytes()
}

// quote never writes a 00: JSON has control characters escaped.
func quote(s string) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err) // a string cannot fail
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func service(msg string) request {
	return request{methodService, []param{{"msgType", msg}}}
}

func receiptInfo(invoice string) request {
	return request{methodReceipt, []param{{"invoiceNumber", invoice}}}
}

// handshake is the first message of a connection: the one with a 00 before it.
func handshake() []byte { return append([]byte{0}, request{method: methodPing}.frame()...) }

// moves says whether an answer to the method is about money.
func moves(method string) bool {
	switch method {
	case methodPurchase, methodCashback, methodRefund, methodVoid, methodPartly, methodPreauth, methodCompletion:
		return true
	}
	_, ok := services[method]
	return ok
}

// sells says whether the method charges a card, and so gives a new receipt.
func sells(method string) bool {
	switch method {
	case methodPurchase, methodCashback, methodPreauth:
		return true
	}
	return call{method: method}.sells()
}

// parseRequest reads what [request.frame] writes, without its terminator.
func parseRequest(b []byte) (request, error) {
	var r request
	step := false
	err := object(b, func(key string, v json.RawMessage) error {
		switch key {
		case "method":
			r.method = text(v)
		case "step":
			step = text(v) == "0"
		case "params":
			return object(v, func(key string, v json.RawMessage) error {
				r.params = append(r.params, param{key, text(v)})
				return nil
			})
		}
		return nil
	})
	if err == nil && (r.method == "" || !step) {
		err = fmt.Errorf("%w: a request has a method, and step 0", errMessage)
	}
	return r, err
}

func (r request) get(key string) string {
	for _, p := range r.params {
		if p.key == key {
			return p.value
		}
	}
	return ""
}
