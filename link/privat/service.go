package privat

import (
	"errors"
	"strings"

	"tillgate/internal/payment"
)

// Methods of services with a shape of their own.
const (
	methodServiceRefund  = "ServiceRefund"
	methodServiceGeneric = "ServiceGeneric"
)

// shape is what a service is told beside the amount.
type shape int

const (
	byParts     shape = iota // amountOfParts: a payment in instalments
	byAgreement              // agreementNum: gives one back
	byRRN                    // rrn: gives a payment back
	byNumber                 // srvNum and param: whatever the bank calls by that number
)

// services are the methods of the document's table 1.1, and ServiceGeneric (5.15)
// for those that have no method. Number and merchant of the named ones are the
// terminal's business.
var services = map[string]shape{
	methodServiceRefund: byRRN,
	"ServicePbP":        byParts, "ServiceRefPbP": byAgreement, "ServicePartlyRefPbP": byAgreement,
	"ServicePbPperiod": byParts, "ServiceRefPbPperiod": byAgreement, "ServicePartlyRefPbPperiod": byAgreement,
	"ServiceInstantPbI": byParts, "ServiceRefPbI": byAgreement, "ServicePartlyRefPbI": byAgreement,
	"ServicePbIAct": byParts, "ServiceRefPbIAct": byAgreement, "ServicePartlyRefPbIAct": byAgreement,
	"ServicePbPAct": byParts, "ServiceRefPbPAct": byAgreement, "ServicePartlyRefPbPAct": byAgreement,
	methodServiceGeneric: byNumber,
}

// Bounds of what a service is told; the document has none.
const (
	maxParts     = 2  // digits
	maxAgreement = 20 // letters and digits
	maxService   = 4  // digits of a service's number
	maxParams    = 60 // bytes of what a numbered service is told
)

// call is a service with what it is told.
type call struct {
	method string
	number string // of a numbered service
	value  string
}

// parseService reads how a request names a service:
//
//	ServicePbP/6                   instalments, six of them
//	ServiceRefPbP/12345            gives them back: the number of the agreement
//	ServiceRefund                  gives a payment back by its RRN
//	ServiceGeneric/046/6           service 046, told "6"; several values as 6/1/2
func parseService(text string) (call, error) {
	refuse := func(format string, a ...any) (call, error) {
		return call{}, payment.Refuse(payment.ReasonInvalid, "service: "+format, a...)
	}
	method, value, _ := strings.Cut(text, "/")
	c := call{method: method, value: value}
	kind, known := services[method]
	switch {
	case !known:
		return refuse("must begin with a method of the terminal, such as ServicePbP/6")
	case kind == byParts && (!isNumber(value) || len(value) > maxParts || strings.Trim(value, "0") == ""):
		return refuse("%s needs the number of instalments, such as %s/6", method, method)
	case kind == byAgreement && (value == "" || len(value) > maxAgreement || payment.Word(value) != value):
		return refuse("%s needs the number of the agreement, such as %s/12345", method, method)
	case kind == byRRN && value != "":
		return refuse("%s is told the RRN of the payment and nothing else", method)
	case kind == byNumber:
		c.number, c.value, _ = strings.Cut(value, "/")
		if !isNumber(c.number) || len(c.number) > maxService || len(c.value) > maxParams || !isPlain(c.value) {
			return refuse("%s needs the service's number and what it is told, such as %s/046/6", method, method)
		}
	}
	return c, nil
}

// givesBack says whether a service is for a refund. Of a numbered one nobody
// knows; it may be either.
func (c call) givesBack() bool {
	kind := services[c.method]
	return kind == byAgreement || kind == byRRN || kind == byNumber
}

// sells says whether a service is for a payment.
func (c call) sells() bool {
	kind, known := services[c.method]
	return known && (kind == byParts || kind == byNumber)
}

func (c call) request(m merchant, amount payment.Money, rrn string) request {
	r := request{c.method, []param{{"amount", amount.Decimal()}}}
	switch services[c.method] {
	case byParts:
		r.params = append(r.params, param{"amountOfParts", c.value}, param{"subMerchant", m.sub})
	case byAgreement:
		r.params = append(r.params, param{"agreementNum", c.value})
	case byRRN:
		r.params = append(r.params, param{"rrn", rrn}, param{"subMerchant", m.sub})
	case byNumber:
		r.params = append(r.params, param{"param", c.value}, param{"srvNum", c.number}, param{"merchantId", m.index})
	}
	return r
}

// checkService refuses a service that is none, or is not for the operation.
func checkService(r payment.Request) error {
	if r.Service == "" && r.Operation == payment.Refund {
		return nil
	}
	c, err := parseService(r.Service)
	switch {
	case err != nil:
		return err
	case r.Operation == payment.Refund && !c.givesBack():
		return payment.Refuse(payment.ReasonInvalid, "service: %s takes money, it is not for a refund", c.method)
	case r.Operation == payment.ServicePayment && !c.sells():
		return payment.Refuse(payment.ReasonInvalid, "service: %s gives money back: use it with a refund of the payment", c.method)
	}
	return nil
}

// errAgreement is how a refund of instalments is refused.
var errAgreement = errors.New("instalments are given back by their own service: name it with the number of the customer's agreement, such as ServiceRefPbP/12345")
