package payment

// Decision is what a response code of the host says about the money.
type Decision int

const (
	DecisionDoubtful Decision = iota // does not exclude that the bank approved: look it up
	DecisionApproved
	DecisionDeclined
)

// ResponseCode is one value of ISO 8583 DE 39.
type ResponseCode struct {
	Code      string
	Text      string
	Decision  Decision
	Condition Condition
}

// ResponseCodeOf finds a two-digit DE 39 value. A code the table does not have
// comes back as doubtful, since it excludes nothing.
func ResponseCodeOf(code string) ResponseCode {
	if rc, ok := responseCodes[code]; ok {
		rc.Code = code
		return rc
	}
	return ResponseCode{Code: Excerpt(code), Text: "unknown response code", Decision: DecisionDoubtful}
}

// responseCodes is ISO 8583:1987 DE 39 with the values that acquirers use.
// 08, 10, 11 and 16 are approvals with a condition, 09 and 68 leave the
// outcome open: none of them may be taken for a decline.
var responseCodes = map[string]ResponseCode{
	"00": {Text: "approved", Decision: DecisionApproved},
	"01": declined("refer to card issuer", CondRefusal),
	"02": declined("refer to card issuer, special condition", CondRefusal),
	"03": declined("invalid merchant", CondNotAllowed),
	"04": declined("pick up card", CondInvalidCard),
	"05": declined("do not honour", CondRefusal),
	"06": declined("error", CondRefusal),
	"07": declined("pick up card, special condition", CondInvalidCard),
	"08": {Text: "honour with identification"},
	"09": {Text: "request in progress", Condition: CondInProgress},
	"10": {Text: "approved for a partial amount"},
	"11": {Text: "approved, VIP"},
	"12": declined("invalid transaction", CondNotAllowed),
	"13": declined("invalid amount", CondNotAllowed),
	"14": declined("invalid card number", CondInvalidCard),
	"15": declined("no such issuer", CondInvalidCard),
	"16": {Text: "approved, update track 3"},
	"17": declined("customer cancellation", CondCancel),
	"19": declined("re-enter transaction", CondRefusal),
	"20": declined("invalid response", CondUnavailableService),
	"21": declined("no action taken", CondRefusal),
	"22": declined("suspected malfunction", CondUnavailableService),
	"25": declined("unable to locate record", CondNotFound),
	"28": declined("file temporarily unavailable", CondUnavailableService),
	"30": declined("format error", CondMessageFormat),
	"33": declined("expired card, pick up", CondInvalidCard),
	"34": declined("suspected fraud, pick up", CondInvalidCard),
	"36": declined("restricted card, pick up", CondInvalidCard),
	"38": declined("PIN tries exceeded, pick up", CondWrongPIN),
	"39": declined("no credit account", CondRefusal),
	"41": declined("lost card", CondInvalidCard),
	"43": declined("stolen card", CondInvalidCard),
	"51": declined("insufficient funds", CondRefusal),
	"52": declined("no checking account", CondRefusal),
	"53": declined("no savings account", CondRefusal),
	"54": declined("expired card", CondInvalidCard),
	"55": declined("incorrect PIN", CondWrongPIN),
	"56": declined("no card record", CondInvalidCard),
	"57": declined("transaction not permitted to cardholder", CondNotAllowed),
	"58": declined("transaction not permitted to terminal", CondNotAllowed),
	"59": declined("suspected fraud", CondRefusal),
	"61": declined("exceeds amount limit", CondRefusal),
	"62": declined("restricted card", CondPaymentRestriction),
	"63": declined("security violation", CondRefusal),
	"64": declined("original amount incorrect", CondRefusal),
	"65": declined("exceeds frequency limit", CondRefusal),
	"68": {Text: "response received too late"},
	"75": declined("PIN tries exceeded", CondWrongPIN),
	"76": declined("unable to locate previous message", CondNotFound),
	"77": declined("inconsistent with the original", CondNotAllowed),
	"78": declined("no account", CondRefusal),
	"80": declined("invalid date", CondMessageFormat),
	"81": declined("cryptographic error in PIN", CondWrongPIN),
	"82": declined("incorrect CVV", CondInvalidCard),
	"85": declined("no reason to decline", CondRefusal),
	"86": declined("cannot verify PIN", CondWrongPIN),
	"88": declined("cryptographic failure", CondRefusal),
	"89": declined("unacceptable PIN or terminal", CondRefusal),
	"90": declined("cut-off in progress", CondUnavailableService),
	"91": declined("issuer or switch inoperative", CondUnreachableHost),
	"92": declined("routing not possible", CondUnreachableHost),
	"93": declined("violation of law", CondRefusal),
	"94": declined("duplicate transmission", CondRefusal),
	"95": declined("reconcile error", CondRefusal),
	"96": declined("system malfunction", CondUnavailableService),
	"99": declined("terminal or host refused", CondRefusal),
}

func declined(text string, c Condition) ResponseCode {
	return ResponseCode{Text: text, Decision: DecisionDeclined, Condition: c}
}
