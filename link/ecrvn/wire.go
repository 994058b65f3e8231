package ecrvn

import (
	"errors"
	"strconv"
	"strings"
)

// The commands of the document.
const (
	cmdSale   = "sale"
	cmdVoid   = "void"
	cmdSettle = "settle"
	cmdLast   = "last_trans"
)

// Limits of the document, "Lưu ý: Web ECR URL specs".
const (
	maxText   = 20 // characters of requestId, clientId and F1 to F5
	maxAmount = 10 // digits of an amount
)

// request is one line to the terminal. It has no terminator and is not
// percent-encoded: the bytes sent in the document are the text itself.
//
//	/ecr?rqt=<requestId>|<clientId>&cmd=<command>|<argument>|...
//
// The RS232 chapter prints "rq=" beside one sale, but the bytes that were sent
// say "rqt=".
type request struct {
	id, client, command string
	args                []string
}

func (r request) text() string { return "/ecr?" + r.query() }

func (r request) query() string {
	var b strings.Builder
	b.WriteString("rqt=")
	b.WriteString(r.id)
	b.WriteByte('|')
	b.WriteString(r.client)
	b.WriteString("&cmd=")
	b.WriteString(r.command)
	for _, a := range r.args {
		b.WriteByte('|')
		b.WriteString(a)
	}
	return b.String()
}

func sale(id, client string, minor int64, fields []string) request {
	return request{id, client, cmdSale, append([]string{strconv.FormatInt(minor, 10)}, fields...)}
}

func void(id, client, receipt string) request {
	return request{id, client, cmdVoid, []string{receipt}}
}

func settle(id, client string, receipt bool) request {
	arg := "NO"
	if receipt {
		arg = "YES"
	}
	return request{id, client, cmdSettle, []string{arg}}
}

func lastTrans(id, client string) request { return request{id, client, cmdLast, nil} }

// parseRequest reads what [request.text] writes; "rq=" is taken as well.
func parseRequest(text string) (request, error) {
	query, ok := strings.CutPrefix(text, "/ecr?")
	if !ok {
		return request{}, errors.New("a request begins with /ecr?")
	}
	ids, cmd, ok := strings.Cut(query, "&cmd=")
	if !ok {
		return request{}, errors.New("a request has &cmd=")
	}
	ids, isRQT := strings.CutPrefix(ids, "rqt=")
	if !isRQT {
		if ids, ok = strings.CutPrefix(ids, "rq="); !ok {
			return request{}, errors.New("a request has rqt=")
		}
	}
	var r request
	if r.id, r.client, ok = strings.Cut(ids, "|"); !ok {
		return request{}, errors.New("a request has requestId|clientId")
	}
	args := strings.Split(cmd, "|")
	r.command, r.args = args[0], args[1:]
	return r, nil
}

// carries says whether the wire can take the character in an id or a field.
// The document has no escape: '|' and '&' are its separators, and nobody knows
// what a terminal makes of the characters that have a meaning in a URL, in
// JSON, or none in ASCII.
func carries(c rune) bool {
	return c > ' ' && c < 0x7f && !strings.ContainsRune("|&=%#+\"<>\\{}`", c)
}
