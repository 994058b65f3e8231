package bpos

import (
	"os"
	"strconv"
	"strings"

	"tillgate/link/bpos/bridge"
	"tillgate/link/tmaster"
)

// questions are answered by the terminal at once. An approval that waits for its
// Confirm goes on waiting; a scenario has nothing to confirm.
var questions = map[string]func(*library, []any){
	"Confirm": func(l *library, _ []any) {
		last := l.sim.term.Last()
		fault, err := l.sim.term.Confirm()
		switch {
		case fault != tmaster.Sound:
			l.fail(faultLink, 0, "")
			return
		case err != nil && !l.scenario && last.Command.Operation.MovesMoney():
			l.fail(faultTerminal, codeGeneral, "nothing waits for a confirmation")
		}
		if last.Slip.Invoice != 0 {
			l.state.slip, l.state.about = last.Slip, true
		}
	},
	"Ping":             func(*library, []any) {},
	"CloseApp":         func(*library, []any) {},
	"SelectApp":        func(*library, []any) {},
	"POSExTransaction": func(*library, []any) {},
	"POSGetInfo":       func(*library, []any) {},
	"CheckConnection": func(l *library, _ []any) {
		if code := l.sim.term.Host(); code != tmaster.Approved {
			l.fail(faultTerminal, int64(code), "")
		}
	},
	"GetTxnNum": func(l *library, _ []any) { l.state.txnNum = int64(len(l.sim.term.Slips())) },
	"GetTxnDataByOrder": func(l *library, args []any) {
		slips := l.sim.term.Slips()
		l.show(slips, int(integer(args, 0))-1)
	},
	"GetTxnDataByInv": func(l *library, args []any) {
		if s, ok, _ := l.sim.term.Receipt(int(integer(args, 0))); ok && integer(args, 0) > 0 {
			l.show([]tmaster.Slip{s}, 0)
			return
		}
		l.show(nil, 0)
	},
	"GetBatchTotals":   func(l *library, _ []any) { l.state.totals, _ = l.sim.term.Totals() },
	"PrintBatchTotals": func(l *library, _ []any) { l.state.totals, l.state.paper = l.sim.term.Totals() },
	"PrintLastSettleCopy": func(l *library, _ []any) {
		if l.state.paper = l.sim.term.Closing(); l.state.paper == "" {
			l.fail(faultTerminal, codeGeneral, "")
		}
	},
	"PrintBatchJournal": func(l *library, _ []any) { l.state.paper = l.sim.term.Journal() },
	"ReqCurrReceipt":    func(l *library, _ []any) { l.state.receipt = l.state.paper },
	"ReqReceiptByInv": func(l *library, args []any) {
		s, ok, _ := l.sim.term.Receipt(int(integer(args, 0)))
		if !ok {
			l.fail(faultTerminal, codeGeneral, "")
			return
		}
		l.state.receipt = l.sim.term.Print(s)
	},
	"StartScenario": func(l *library, args []any) {
		l.scenario = true
		l.state.data = "<scenario id=\"" + strconv.FormatInt(integer(args, 0), 10) + "\">" + words(args, 1) + "</scenario>"
	},
	"SendFile": func(l *library, args []any) {
		b, err := os.ReadFile(words(args, 0))
		if err != nil || len(b) > 204800 {
			l.fail(faultTerminal, codeGeneral, "the file cannot be read")
			return
		}
		l.state.file, l.state.paper = b, bridge.Decode1251(b)
	},
	"ReqDataFile":      func(*library, []any) {},
	"SetControlMode":   func(l *library, args []any) { l.controlled(func(c *control) { c.on, _ = args[0].(bool) }, false) },
	"ReadKey":          func(l *library, _ []any) { l.controlled(func(c *control) { c.key = '1' }, true) },
	"DisplayText":      func(l *library, _ []any) { l.controlled((*control).display, true) },
	"SetScreen":        func(l *library, args []any) { l.controlled(func(c *control) { c.screen = integer(args, 0) }, true) },
	"ExchangeStatuses": func(l *library, _ []any) { l.controlled(func(*control) {}, true) },
}

// display shows the lines that were set, in order of rows.
func (c *control) display() {
	c.shown = nil
	for row := int64(0); row < 16; row++ {
		if line, ok := c.lines[row]; ok {
			c.shown = append(c.shown, line)
		}
	}
}

// controlled does something with the display, in control mode only if so wanted.
func (l *library) controlled(do func(*control), only bool) {
	l.sim.unit.Lock()
	defer l.sim.unit.Unlock()
	if only && !l.sim.ctrl.on {
		l.fail(faultTerminal, codeGeneral, "not in control mode")
		return
	}
	do(&l.sim.ctrl)
}

// show makes the properties be about one of the terminal's slips.
func (l *library) show(slips []tmaster.Slip, i int) {
	if i < 0 || i >= len(slips) {
		l.fail(faultTerminal, codeGeneral, "no such transaction")
		return
	}
	l.state.slip, l.state.about, l.state.code = slips[i], true, int64(slips[i].Code)
}

// Get reads a property.
func (l *library) Get(name string) (any, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	term := l.sim.term
	switch name {
	case "LastResult":
		return l.state.result, nil
	case "LastErrorCode":
		return l.state.fault, nil
	case "LastErrorDescription":
		return l.state.text, nil
	case "ResponseCode":
		return l.state.code, nil
	case "LastStatMsgCode":
		return l.stage(), nil
	case "LastStatMsgDescription":
		return statuses[l.stage()].text, nil
	case "LibraryVersion":
		return "simulated", nil
	case "TerminalInfo":
		return "TE7E118 " + term.Serial() + "/" + term.TID(), nil
	case "Receipt":
		return l.state.receipt, nil
	case "DiscountName":
		group, _ := term.Discount()
		return group, nil
	case "DiscountAttribute", "ECRDataTM":
		return "", nil
	case "TxnNum":
		return l.state.txnNum, nil
	case "ScenarioData":
		return l.state.data, nil
	case "DataFile":
		return l.state.file, nil
	case "TermStatus":
		return l.termStatus(), nil
	case "Key":
		l.sim.unit.Lock()
		defer l.sim.unit.Unlock()
		return l.sim.ctrl.key, nil
	case "RNK":
		return l.state.rnk, nil
	case "Amount":
		if l.state.balance > 0 {
			return l.state.balance, nil
		}
	}
	if v, ok := l.total(name); ok {
		return v, nil
	}
	return l.ofSlip(name)
}

func (l *library) stage() int64 {
	if !l.state.working {
		return 0
	}
	return int64(l.sim.term.Status().Stage)
}

func (l *library) termStatus() int64 {
	switch b := l.sim.term.Mood(); {
	case l.sim.term.Full() || b.Has("close-batch"):
		return termCloseBatch
	case b.Has("readers-failed"):
		return termReadersFailed
	}
	return termNormal
}

func (l *library) total(name string) (any, bool) {
	t := l.state.totals
	v, ok := map[string]int64{
		"TotalsDebitAmt": t.DebitAmt, "TotalsDebitNum": int64(t.DebitNum), "TotalsCreditAmt": t.CreditAmt, "TotalsCreditNum": int64(t.CreditNum),
		"TotalsCancelledAmt": t.CancelledAmt, "TotalsCancelledNum": int64(t.CancelledNum),
	}[name]
	return v, ok
}

// simTypes are the TxnType of the terminal's operations.
var simTypes = map[tmaster.Operation]int64{
	tmaster.Purchase: typePurchase, tmaster.Refund: typeRefund, tmaster.Void: typeVoid, tmaster.Completion: typeCompletion, tmaster.Deposit: typeDeposit,
	tmaster.CashAdvance: typeCash, tmaster.Service: typePurchase,
}

// ofSlip is a property of the transaction that the properties are about: empty or
// nought if they are about none.
func (l *library) ofSlip(name string) (any, error) {
	p, _ := bridge.FindProperty(name)
	if !l.state.about {
		if p.Kind == bridge.Text {
			return "", nil
		}
		return int64(0), nil
	}
	s := l.state.slip
	switch name {
	case "TxnType":
		return simTypes[s.Operation], nil
	case "TrnStatus":
		return int64(s.Status), nil
	case "Amount":
		return s.Amount, nil
	case "AddAmount":
		return s.Discount, nil
	case "InvoiceNum":
		return int64(s.Invoice), nil
	case "TrnBatchNum":
		return int64(l.sim.term.Batch()), nil
	case "RRN":
		return s.RRN, nil
	case "AuthCode":
		return s.Auth, nil
	case "DateTime":
		return s.At.Format("060102150405"), nil
	case "TerminalID":
		return l.sim.term.TID(), nil
	case "MerchantID":
		return "M" + l.sim.term.TID(), nil
	case "PAN":
		return tmaster.CardNumber, nil
	case "IssuerName":
		return tmaster.Issuer, nil
	case "emvAID":
		return tmaster.AID, nil
	case "EntryMode":
		return int64(tmaster.EntryChip), nil
	case "SignVerif":
		return truth(s.Signature), nil
	case "SlipPrinted", "FlagAcquirer":
		return int64(1), nil
	case "Currency", "CurrencyCode":
		return "980", nil
	case "CompletionInvoiceNum":
		return int64(0), nil
	case "AddData":
		return strings.TrimSpace("AGR " + s.Agreement), nil
	}
	return nil, bridge.ErrAbsent
}

func truth(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
