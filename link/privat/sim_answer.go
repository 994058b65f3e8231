package privat

import (
	"bytes"
	"fmt"
	"slices"

	"tillgate/internal/payment"
	"tillgate/link/tmaster"
)

// answer is what the terminal says about an operation that is over, and what
// the line makes of it.
func (s *Simulator) answer(r request, a tmaster.Answer) reply {
	switch a.Fault {
	case tmaster.Silent:
		return reply{}
	case tmaster.HangUp:
		return reply{hangUp: true}
	case tmaster.Garbage:
		return reply{say: bytes.Repeat([]byte("\x00\xff{\x1b}{\"~"), 40)}
	case tmaster.Says:
		return s.short(r.method, a.Behaviour.Arg, "?")
	}
	good := s.sound(r, a)
	if a.Fault == tmaster.Half {
		good.say = good.say[:len(good.say)/2]
	}
	return good
}

func (s *Simulator) sound(r request, a tmaster.Answer) reply {
	code := four(a.Code)
	switch {
	case a.Code >= tmaster.General:
		return s.short(r.method, code, a.Text)
	case a.Command.Operation == tmaster.Balance && !a.Good(): // 5.10.2
		return s.write(r.method, true, a.Text, param{"balance", "unknown"}, param{"code", "01"}, param{"responseCode", "0001"})
	case a.Command.Operation == tmaster.Balance:
		return s.write(r.method, false, "", param{"balance", s.decimal(a.Balance)}, param{"code", "00"}, param{"responseCode", code})
	case a.Command.Operation == tmaster.Settlement:
		return s.write(r.method, a.Code != tmaster.Approved, a.Text, param{"receipt", a.Report}, param{"responseCode", code})
	case !a.Good():
		return s.write(r.method, true, a.Text, param{"receipt", s.term.Print(a.Slip)}, param{"responseCode", code})
	case s.has("code-only"):
		return s.write(r.method, false, "", param{"amount", ""}, param{"receipt", ""}, param{"responseCode", code}, param{"rrn", ""})
	}
	return s.full(r, a.Slip)
}

func four(code int) string { return fmt.Sprintf("%04d", code) }

// has says whether the script wants a feature of this face.
func (s *Simulator) has(feature string) bool { return s.term.Mood().Has(feature) }

// write makes one message. With the feature typos it has the document's
// spellings, with blanks around method and msgType, and step at the end.
func (s *Simulator) write(method string, failed bool, text string, params ...param) reply {
	typos, echo := s.has("typos"), s.has("echo")
	var b bytes.Buffer
	description := "errorDescription"
	b.WriteString(`{"method":`)
	if typos {
		method, description = " "+method+" ", "errorDecsription"
		b.Write(quote(method))
	} else {
		b.Write(quote(method))
		b.WriteString(`,"step":0`)
	}
	b.WriteString(`,"params":{`)
	for i, p := range params {
		if i > 0 {
			b.WriteByte(',')
		}
		b.Write(quote(p.key))
		b.WriteByte(':')
		b.Write(quote(p.value))
	}
	b.WriteString(`},"error":`)
	if failed {
		b.WriteString("true")
	} else {
		b.WriteString("false")
	}
	b.WriteString(`,"` + description + `":`)
	b.Write(quote(text))
	if typos {
		b.WriteString(`,"step":0`)
	}
	b.WriteString("}\x00")
	if echo {
		return reply{say: append(request{method: method}.frame(), b.Bytes()...)}
	}
	return reply{say: b.Bytes()}
}

// note is a service message. The document prints a blank before two of them.
func (s *Simulator) note(msg string, params ...param) reply {
	if msg == msgInterrupted || msg == msgNotImplemented {
		msg = " " + msg
	}
	return s.write(methodService, false, "", append(params, param{"msgType", msg})...)
}

// short is the answer with a code of the terminal: no receipt, no amount.
func (s *Simulator) short(method, code, text string) reply {
	if code == "" {
		return s.write(method, true, text)
	}
	return s.write(method, true, text, param{"responseCode", code})
}

// full is the answer of a bank that approved, with the members of the document's
// example.
func (s *Simulator) full(r request, p tmaster.Slip) reply {
	signature := "0"
	if p.Signature {
		signature = signatureWanted
	}
	tid := s.term.TID()
	params := []param{
		{"amount", s.decimal(p.Amount)}, {"approvalCode", p.Auth}, {"captureReference", ""}, {"cardExpiryDate", "2020"},
		{"cardHolderName", "INSTANT/ISSUE"}, {"date", p.At.Format("02.01.2006")}, {"discount", s.decimal(p.Discount)}, {"hstFld63Sf89", ""}, {"invoiceNumber", six(p.Invoice)},
		{"issuerName", tmaster.Issuer}, {"merchant", tid}, {"pan", tmaster.CardNumber}, {"posConditionCode", "00"}, {"posEntryMode", "022"},
		{"processingCode", "000000"}, {"receipt", s.term.Print(p)}, {"responseCode", four(p.Code)}, {"rrn", p.RRN}, {"rrnExt", ""},
		{"terminalId", tid}, {"time", p.At.Format("15:04:05")}, {"track1", ""}, {"signVerif", signature}, {"txnType", txnType(p)}, {"trnStatus", fmt.Sprint(int(p.Status))},
		{"adv", "ПриватБанк"}, {"adv2p", "Беремо і робимо!"}, {"bankAcquirer", "ПриватБанк"}, {"paymentSystem", tmaster.Scheme}, {"subMerchant", ""},
	}
	_, service := services[r.method]
	switch {
	case r.method == methodCashback: // 5.16: without three members, and with three others
		params = without(params, "signVerif", "txnType", "trnStatus")
		given := "true"
		if p.Code == tmaster.Partial {
			given = "false"
		}
		params = append(params, param{"amountCash", s.decimal(p.Cash)}, param{"result", "Операція успішна"}, param{"resultCashback", given})
	case r.method == methodServiceGeneric: // 5.15.2
		params = append(without(params, "txnType"), param{"txnType", typeUndefined}, param{"agreementNum", p.Agreement})
	case service: // 5.12.2
		params = append(without(params, "signVerif", "txnType", "trnStatus"), param{"amountOfParts", r.get("amountOfParts")})
	}
	return s.write(r.method, false, "", params...)
}

// without leaves out members that an operation does not have.
func without(params []param, keys ...string) []param {
	return slices.DeleteFunc(params, func(p param) bool { return slices.Contains(keys, p.key) })
}

// info is the answer to GetReceiptInfo (5.30.2): its code is the transaction's.
func (s *Simulator) info(p tmaster.Slip) reply {
	signature, tid := "0", s.term.TID()
	if p.Signature {
		signature = signatureWanted
	}
	return s.write(methodReceipt, false, "",
		param{"amount", s.decimal(p.Amount)}, param{"approvalCode", p.Auth}, param{"date", p.At.Format("02.01.2006")}, param{"invoiceNumber", six(p.Invoice)},
		param{"issuerName", tmaster.Issuer}, param{"merchant", tid}, param{"pan", tmaster.CardNumber}, param{"receipt", s.term.Print(p)},
		param{"rrn", p.RRN}, param{"time", p.At.Format("15:04:05")}, param{"bankAcquirer", "ПриватБанк"}, param{"paymentSystem", tmaster.Scheme},
		param{"signVerif", signature}, param{"txnType", txnType(p)}, param{"responseCode", four(p.Code)})
}

// txnType is what kind of operation a receipt is of (5.30.2).
func txnType(p tmaster.Slip) string {
	switch p.Operation {
	case tmaster.Refund:
		return typeRefund
	case tmaster.Service:
		return typeInstalment
	case tmaster.Void, tmaster.VoidPartly:
		return typeVoid
	}
	return typePurchase
}

func (s *Simulator) decimal(minor int64) string {
	text := payment.Money{Minor: minor, Currency: s.term.Currency()}.Decimal()
	if s.has("comma") {
		return text[:len(text)-3] + "," + text[len(text)-2:]
	}
	return text
}

func six(n int) string { return fmt.Sprintf("%06d", n) }
