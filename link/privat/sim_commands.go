package privat

import (
	"strconv"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link/tmaster"
)

// simOperation is what a method asks for under a behaviour of the script; "" for
// the others.
func simOperation(r request) tmaster.Operation {
	switch r.method {
	case methodPurchase, methodCashback:
		return tmaster.Purchase
	case methodRefund:
		return tmaster.Refund
	case methodVoid:
		return tmaster.Void
	case methodPartly:
		return tmaster.VoidPartly
	case methodPreauth:
		return tmaster.Preauthorization
	case methodCompletion:
		return tmaster.Completion
	case methodBalance:
		return tmaster.Balance
	case methodVerify:
		return tmaster.Settlement
	}
	switch kind, known := services[r.method]; {
	case !known:
		return ""
	case kind == byParts, kind == byNumber && !strings.Contains(" 045 047 054 061 062 ", " "+r.get("srvNum")+" "): // table 1.1
		return tmaster.Service
	}
	return tmaster.Refund
}

// command is what a request asks the terminal to do; ok is false if its amounts
// cannot be read.
func (s *Simulator) command(r request) (c tmaster.Command, ok bool) {
	c = tmaster.Command{
		Operation: simOperation(r), Invoice: whole(r.get("invoiceNumber")), Merchant: whole(r.get("merchantId")),
		RRN: r.get("rrn"), Auth: r.get("approvalCode"), Agreement: r.get("agreementNum"), Service: r.method,
	}
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
	c.Amount, c.Discount, c.Cash = read("amount"), read("discount"), read("amountCash")
	if c.Operation == tmaster.Completion {
		c.Reserved, c.Amount = c.Amount, read("addamount")
	}
	if r.method == methodServiceGeneric {
		c.Service, c.Agreement = r.get("srvNum"), r.get("param")
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
	case methodPrint:
		slip, ok, _ := s.term.Receipt(whole(r.get("invoiceNumber")))
		if !ok {
			return s.text(r, "")
		}
		return s.text(r, s.term.Print(slip))
	case methodAudit:
		_, text := s.term.Totals()
		return s.text(r, text)
	case methodVerifyCopy:
		return s.text(r, s.term.Closing())
	case methodJournal:
		return s.text(r, s.term.Journal())
	}
	return s.note(msgNotImplemented)
}

// text answers with a receipt, or with 5.20.3 if there is none.
func (s *Simulator) text(r request, text string) reply {
	if text == "" {
		return s.write(r.method, true, noReceipt, param{"receipt", ""}, param{"responseCode", "1000"})
	}
	return s.write(r.method, false, "", param{"receipt", text}, param{"responseCode", codeApproved})
}

const noReceipt = "Cannot get receipt: Невірний чек!"

func (s *Simulator) receiptInfo(r request) reply {
	slip, ok, empty := s.term.Receipt(whole(r.get("invoiceNumber")))
	switch {
	case empty:
		return s.short(r.method, "1000", "Cannot get receipt: log file is empty!")
	case !ok:
		return s.short(r.method, "1000", noReceipt)
	}
	return s.info(slip)
}

// statusTexts are the document's words for the codes that the terminal goes
// through (6.8).
var statusTexts = map[int]string{
	tmaster.StageNone: "status code is not available", tmaster.StageHost: "authorization in progress", tmaster.StageCashier: "waiting for cashier action",
	tmaster.StagePIN: "pin entry is needed", tmaster.StageCard: "waiting for card", tmaster.StageDiscount: "correct transaction",
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
	case msgStatusText:
		return s.note(msg+" ", param{"LastStatMsgDescription", statusTexts[status.Stage]})
	case msgInterrupt:
		s.term.Cancel()
		return s.note(msgInterrupted)
	case msgMerchants:
		return s.note(msg, param{"1", "Магазин"}, param{"6", "Оплата частинами"})
	case msgMasks:
		return s.note(msg, param{"1", s.term.TID()})
	case msgDiscount:
		if group, ok := s.term.Discount(); ok {
			return s.note(msg, param{"discountName", group}, param{"pan", "473111******9838"}, param{"posEntryMode", "071"})
		}
		return s.note(msg, param{"discountName", "NO_D_GROUP"}, param{"pan", "PAN_UNDEF"}, param{"posEntryMode", "MODE_UNDEF"})
	case msgCorrect:
		c, ok := s.command(r)
		if !ok || s.term.Correct(c.Amount, c.Discount) != nil {
			return s.write(methodService, true, "Корекція неможлива", param{"msgType", msg})
		}
		return s.note(msgCorrected)
	}
	return s.note(msgNotImplemented)
}
