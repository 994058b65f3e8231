package ecrvn

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// answer writes what the terminal says, with every member that the captured
// answers have, in their order. p is nil where there is no transaction.
func (s *Simulator) answer(r request, status string, p *slip) reply {
	var b bytes.Buffer
	b.Grow(1024)
	if s.mood.echo {
		b.WriteString(r.text())
	}
	begin := b.Len()
	b.WriteByte('{')
	member(&b, "requestId", r.id)
	member(&b, "clientId", r.client)
	member(&b, "command", r.command)
	member(&b, "status", status)
	switch {
	case p != nil:
		s.transInfo(&b, *p)
	case !s.mood.noInnerIDs && r.command == cmdLast:
		b.WriteString(`,"transInfo":{`)
		member(&b, "tid", s.tid())
		member(&b, "mid", "000000080210002")
		member(&b, "posSerial", s.serial())
		b.WriteByte('}')
	}
	b.WriteByte('}')
	if s.mood.breaks {
		return reply{say: breakLines(b.Bytes(), begin)}
	}
	return reply{say: b.Bytes()}
}

func (s *Simulator) transInfo(b *bytes.Buffer, p slip) {
	b.WriteString(`,"transInfo":{`)
	member(b, "transType", p.Type)
	if p.Type == typeSale {
		member(b, "cardNo", "4720XXXXXXXX5184")
	}
	if p.Type != typeSettle {
		wire := p.Amount
		if s.mood.x100 {
			wire *= 100
		}
		member(b, "amount", strconv.FormatInt(wire, 10))
	}
	member(b, "STAN", six(p.STAN))
	if p.Type != typeSettle {
		s.details(b, p)
	}
	member(b, "batchNo", six(p.Batch))
	member(b, "receiptNo", six(p.Receipt))
	if p.Type != typeSettle {
		s.card(b, p)
	}
	switch p.Code {
	case "00":
		member(b, "transStatus", transApprove)
	case "":
		if p.Type == typeSettle {
			member(b, "transStatus", transApprove)
		}
	default:
		member(b, "transStatus", "DECLINE")
	}
	if !s.mood.noInnerIDs && p.Request != "" {
		member(b, "requestId", p.Request)
		member(b, "clientId", p.Client)
	}
	b.WriteByte('}')
}

func (s *Simulator) details(b *bytes.Buffer, p slip) {
	member(b, "time", p.Time)
	member(b, "expireDate", "XXXX")
	member(b, "refNo", p.RRN)
	member(b, "approvalCode", p.Auth)
	if p.Code != "" {
		member(b, "returnCode", p.Code)
	}
	member(b, "tid", s.tid())
	member(b, "mid", "000000080210002")
	member(b, "currencyCode", currencyNumbers[s.state.Currency])
}

func (s *Simulator) card(b *bytes.Buffer, p slip) {
	member(b, "cardType", "VISA")
	member(b, "cardHolder", "MANH/DAO XUAN             ")
	member(b, "cardInput", "C")
	member(b, "emvAppName", "STB VISA PAYWAVE")
	member(b, "emvAID", "A0000000031010")
	member(b, "emvTC", "7FB1F94DAFB3898D")
	member(b, "posSerial", s.serial())
	name := "THANH TOÁN"
	if p.Type == typeVoid {
		name = "HỦY THANH TOÁN"
	}
	if s.mood.mojibake {
		name = "THANH TO\xc1N \xc3\xa0\xff"
	}
	member(b, "transName", name)
}

// member writes one pair. Values are our own or came in a request, which has
// neither quotes nor control characters; what has is escaped by encoding/json.
func member(b *bytes.Buffer, key, value string) {
	if c := b.Bytes()[b.Len()-1]; c != '{' {
		b.WriteByte(',')
	}
	b.WriteByte('"')
	b.WriteString(key)
	b.WriteString(`":`)
	for i := range len(value) {
		if c := value[i]; c < ' ' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(value) // a string cannot fail
			b.Write(quoted)
			return
		}
	}
	b.WriteByte('"')
	b.WriteString(value)
	b.WriteByte('"')
}

// breakLines breaks lines as the document's capture has them: raw, inside keys
// and values.
func breakLines(text []byte, begin int) []byte {
	const width = 92
	out := append([]byte(nil), text[:begin]...)
	for i, c := range text[begin:] {
		if i > 0 && i%width == 0 {
			out = append(out, '\r', '\n')
		}
		out = append(out, c)
	}
	return out
}
