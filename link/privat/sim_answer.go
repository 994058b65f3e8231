package privat

import (
	"bytes"

	"tillgate/internal/payment"
)

// write makes one message. With the feature typos it has the document's
// spellings, with blanks around method and msgType, and step at the end.
func (s *Simulator) write(method string, failed bool, text string, params ...param) reply {
	var b bytes.Buffer
	description := "errorDescription"
	b.WriteString(`{"method":`)
	if s.mood.typos {
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
	if s.mood.typos {
		b.WriteString(`,"step":0`)
	}
	b.WriteString("}\x00")
	if s.mood.echo {
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

// full is the answer of a bank, with the members of the document's example. A
// terminal that prints its receipts itself sends the code alone.
func (s *Simulator) full(method string, p slip) reply {
	approved := p.Code == codeApproved || p.Code == codePartial
	switch {
	case s.mood.codeOnly && approved:
		return s.write(method, false, "", param{"amount", ""}, param{"receipt", ""}, param{"responseCode", p.Code}, param{"rrn", ""})
	case !approved:
		return s.write(method, true, "ВІДХИЛЕНО!  ЗВЕРНІТЬСЯ ДО БАНКУ-ЕМІТЕНТА КАРТКИ", param{"receipt", s.receipt(p)}, param{"responseCode", p.Code})
	}
	params := []param{
		{"amount", s.decimal(p.Amount)}, {"approvalCode", p.Auth}, {"captureReference", ""}, {"cardExpiryDate", "2020"},
		{"cardHolderName", "INSTANT/ISSUE"}, {"date", p.Date}, {"discount", "0.00"}, {"hstFld63Sf89", ""}, {"invoiceNumber", six(p.Invoice)},
		{"issuerName", "VISA ПРИВАТ"}, {"merchant", s.tid()}, {"pan", "4731XXXXXXXX9838"}, {"posConditionCode", "00"}, {"posEntryMode", "022"},
		{"processingCode", "000000"}, {"receipt", s.receipt(p)}, {"responseCode", p.Code}, {"rrn", p.RRN}, {"rrnExt", ""},
		{"terminalId", s.tid()}, {"time", p.Time}, {"track1", ""}, {"signVerif", p.Signature}, {"txnType", p.Type}, {"trnStatus", "1"},
		{"adv", "ПриватБанк"}, {"adv2p", "Беремо і робимо!"}, {"bankAcquirer", "ПриватБанк"}, {"paymentSystem", "VISA"}, {"subMerchant", ""},
	}
	return s.write(method, false, "", params...)
}

// info is the answer to GetReceiptInfo (5.30.2): its code is the transaction's.
func (s *Simulator) info(p slip) reply {
	return s.write(methodReceipt, false, "",
		param{"amount", s.decimal(p.Amount)}, param{"approvalCode", p.Auth}, param{"date", p.Date}, param{"invoiceNumber", six(p.Invoice)},
		param{"issuerName", "VISA ПРИВАТ"}, param{"merchant", s.tid()}, param{"pan", "4731XXXXXXXX9838"}, param{"receipt", s.receipt(p)},
		param{"rrn", p.RRN}, param{"time", p.Time}, param{"bankAcquirer", "ПриватБанк"}, param{"paymentSystem", "VISA"},
		param{"signVerif", p.Signature}, param{"txnType", p.Type}, param{"responseCode", p.Code})
}

func (s *Simulator) decimal(minor int64) string {
	text := payment.Money{Minor: minor, Currency: s.state.Currency}.Decimal()
	if s.mood.comma {
		return text[:len(text)-3] + "," + text[len(text)-2:]
	}
	return text
}

func (s *Simulator) receipt(p slip) string {
	title := "ОПЛАТА"
	switch {
	case p.Code != codeApproved && p.Code != codePartial:
		title = "в І Д Х И Л Е Н О"
	case p.Type == typeVoid:
		title = "СКАСУВАННЯ"
	case p.Type == typeRefund:
		title = "ПОВЕРНЕННЯ"
	}
	return title + "\nСУМА " + s.decimal(p.Amount) + " ГРН\nVISA XXXXXXXXXXXX9838\nТЕРМІНАЛ " + s.tid() + "\n" + p.Date + " " + p.Time +
		"\nКОД АВТОРИЗАЦІЇ: " + p.Auth + "\nЧЕК N: " + six(p.Invoice) + "\nRRN: " + p.RRN
}
