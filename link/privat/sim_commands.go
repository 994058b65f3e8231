package privat

import (
	"strconv"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link/tmaster"
)

// simOperations are the methods that take a behaviour of the script.
var simOperations = map[string]tmaster.Operation{
	methodPurchase: tmaster.Purchase, methodRefund: tmaster.Refund, methodVoid: tmaster.Void, methodPartly: tmaster.VoidPartly,
	methodPreauth: tmaster.Preauthorization, methodCompletion: tmaster.Completion, methodVerify: tmaster.Settlement,
}

func simOperation(method string) bool { return simOperations[method] != "" }

// command is what a request asks the terminal to do; ok is false if its amounts
// cannot be read.
func (s *Simulator) command(r request) (c tmaster.Command, ok bool) {
	c = tmaster.Command{Operation: simOperations[r.method], Invoice: whole(r.get("invoiceNumber")), Merchant: whole(r.get("merchantId")), RRN: r.get("rrn"), Auth: r.get("approvalCode")}
	ok = true
	read := func(key string) int64 {
		text := r.get(key)
		if text == "" {
			return 0
		}
		m, err := payment.ParseMoney(strings.Replace(text, ",", ".", 1), s.term.Currency())
		ok = ok && err == nil
		return m.Minor
	}
	c.Amount, c.Discount = read("amount"), read("discount")
	if c.Operation == tmaster.Completion {
		c.Reserved, c.Amount = c.Amount, read("addamount")
	}
	return c, ok
}

// whole reads a number of a receipt or a merchant; what is none is 0.
func whole(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// question answers what moves no money.
func (s *Simulator) question(r request) reply {
	switch r.method {
	case methodPing:
		return s.write(r.method, false, "", param{"code", "00"}, param{"responseCode", codeApproved})
	case methodInfo:
		return s.write(r.method, false, "", param{"version", "TE7E132 TESTKKM0" + s.term.Serial()})
	case methodReceipt:
		return s.receiptInfo(r)
	}
	return s.note(msgNotImplemented)
}

func (s *Simulator) receiptInfo(r request) reply {
	slip, ok, empty := s.term.Receipt(whole(r.get("invoiceNumber")))
	switch {
	case empty:
		return s.short(r.method, "1000", "Cannot get receipt: log file is empty!")
	case !ok:
		return s.short(r.method, "1000", "Cannot get receipt: Невірний чек!")
	}
	return s.info(slip)
}

// service answers at any time.
func (s *Simulator) service(r request) reply {
	status := s.term.Status()
	switch msg := strings.TrimSpace(r.get("msgType")); msg {
	case msgIdentify:
		return s.note(msg, param{"result", "true"}, param{"vendor", "Ingenico"}, param{"model", "iCT220"})
	case msgLastResult:
		result := "0"
		if status.Working {
			result = "2"
		}
		return s.note(msg, param{"LastResult", result})
	case msgStatus:
		return s.note(msg, param{"LastStatMsgCode", strconv.Itoa(status.Stage)})
	case msgInterrupt:
		s.term.Cancel()
		return s.note(msgInterrupted)
	case msgMerchants:
		return s.note(msg, param{"1", "Магазин"}, param{"6", "Оплата частинами"})
	case msgMasks:
		return s.note(msg, param{"1", s.term.TID()})
	}
	return s.note(msgNotImplemented)
}
