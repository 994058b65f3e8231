package bpos

import (
	"errors"
	"strconv"
	"strings"
	"sync"

	"tillgate/link/bpos/bridge"
	"tillgate/link/tmaster"
)

// library is one BPOS1Lib: what it last heard of the terminal.
type library struct {
	sim   *Simulator
	spoil func(tmaster.Fault) // the line to the gateway; nil: there is none

	mu       sync.Mutex
	state    libraryState
	scenario bool // the last operation was one: there is nothing that waits for its Confirm
}

type libraryState struct {
	open    bool
	working bool // an operation of ours is running on the terminal
	result  int64
	fault   int64
	code    int64
	text    string
	slip    tmaster.Slip // what the properties are about
	about   bool         // they are about something
	rnk     string
	balance int64
	receipt string
	paper   string // what ReqCurrReceipt will give
	totals  tmaster.Totals
	txnNum  int64
	data    string // of a scenario
	file    []byte
	extra   string // print data for the next operation
	printed string // print data that the last operation took
}

func (s *Simulator) library(spoil func(tmaster.Fault)) *library {
	return &library{sim: s, spoil: spoil}
}

func (l *library) Close() {}

// returnFail is what a method returns that could not begin (S_FALSE).
const returnFail = 1

// Call is the method of a name. Methods return at once; what the terminal makes
// of them is in LastResult.
func (l *library) Call(method string, args []any) (int, error) {
	l.mu.Lock()
	switch method {
	case "Cancel":
		l.mu.Unlock()
		l.sim.term.Cancel()
		return 0, nil
	case "CorrectTransaction":
		l.mu.Unlock()
		if l.sim.term.Correct(integer(args, 0), integer(args, 1)) != nil {
			return returnFail, nil
		}
		return 0, nil
	}
	defer l.mu.Unlock()
	if f, ok := localMethods[method]; ok {
		return f(l, args), nil
	}
	if !l.state.open {
		l.state.result, l.state.fault = resultError, faultNotOpen
		return returnFail, nil
	}
	if l.state.working {
		return returnBusy, nil
	}
	l.clear()
	if c, ok := operation(method, args); ok {
		return l.begin(c), nil
	}
	f, ok := questions[method]
	if !ok {
		return 0, bridge.ErrAbsent
	}
	if l.sim.term.Status().Working || !l.sim.term.Power().On() { // a customer of an earlier connection
		l.fail(faultLink, 0, "")
		return 0, nil
	}
	f(l, args)
	return 0, nil
}

func integer(args []any, i int) int64 { n, _ := args[i].(int64); return n }

func words(args []any, i int) string { s, _ := args[i].(string); return s }

// clear forgets the operation before.
func (l *library) clear() {
	l.state = libraryState{open: true, paper: l.state.paper, extra: l.state.extra, file: l.state.file, totals: l.state.totals}
}

func (l *library) fail(fault, code int64, text string) {
	l.state.result, l.state.fault, l.state.code, l.state.text = resultError, fault, code, text
}

// localMethods need no terminal.
var localMethods = map[string]func(*library, []any) int{
	"CommOpen":     func(l *library, args []any) int { return l.openPort(words(args, 0) != "") },
	"CommOpenTCP":  func(l *library, args []any) int { return l.openPort(words(args, 1) != "0") },
	"CommOpenAuto": func(l *library, _ []any) int { return l.openPort(true) },
	"CommClose": func(l *library, _ []any) int {
		l.state.open = false
		return 0
	},
	"SetErrorLang":  func(*library, []any) int { return 0 },
	"useLogging":    func(*library, []any) int { return 0 },
	"UseMac":        func(*library, []any) int { return 0 },
	"CheckTerminal": func(*library, []any) int { return 0 },
	"SetExtraPrintData": func(l *library, args []any) int {
		l.state.extra = words(args, 0)
		return 0
	},
	"SetExtraXmlData": func(l *library, args []any) int {
		l.state.extra = strings.TrimSpace(l.state.extra + "\n" + words(args, 0))
		return 0
	},
	"SetLine": func(l *library, args []any) int {
		l.sim.unit.Lock()
		defer l.sim.unit.Unlock()
		if !l.sim.ctrl.on {
			return returnFail
		}
		l.sim.ctrl.lines[integer(args, 0)] = words(args, 2)
		return 0
	},
}

func (l *library) openPort(there bool) int {
	if !there || l.state.open {
		l.fail(faultOpen, 0, "error opening port")
		return returnFailedToOpen
	}
	l.clear()
	return 0
}

// operation is the terminal's word for a method that is one for a customer or
// the batch.
func operation(method string, args []any) (tmaster.Command, bool) {
	n := func(i int) int64 { return integer(args, i) }
	who := func(i int) int { return int(n(i)) }
	switch method {
	case "Purchase":
		return tmaster.Command{Operation: tmaster.Purchase, Amount: n(0), Discount: n(1), Merchant: who(2)}, true
	case "Refund":
		return tmaster.Command{Operation: tmaster.Refund, Amount: n(0), Merchant: who(2), RRN: words(args, 3)}, true
	case "Void":
		return tmaster.Command{Operation: tmaster.Void, Invoice: int(n(0)), Merchant: who(1)}, true
	case "Balance":
		return tmaster.Command{Operation: tmaster.Balance, Merchant: who(0)}, true
	case "Deposit":
		return tmaster.Command{Operation: tmaster.Deposit, Merchant: who(0), Amount: n(1)}, true
	case "CashAdvance":
		return tmaster.Command{Operation: tmaster.CashAdvance, Merchant: who(0), Amount: n(1)}, true
	case "Completion":
		return tmaster.Command{Operation: tmaster.Completion, Merchant: who(0), Amount: n(1), RRN: words(args, 2), Invoice: int(n(3))}, true
	case "PurchaseService":
		number, _, _ := strings.Cut(words(args, 2), "/")
		return tmaster.Command{Operation: tmaster.Service, Merchant: who(0), Amount: n(1), Service: number}, true
	case "IdentifyCard":
		return tmaster.Command{Operation: tmaster.IdentifyCard, Merchant: who(0)}, true
	case "Settlement":
		return tmaster.Command{Operation: tmaster.Settlement, Merchant: who(0)}, true
	}
	return tmaster.Command{}, false
}

// begin starts an operation. A customer of before is in its way.
func (l *library) begin(c tmaster.Command) int {
	if c.Operation != tmaster.Void {
		l.state.printed, l.state.extra = l.state.extra, "" // "data will be cleaned after each transaction"
	}
	l.state.working, l.state.result, l.scenario = true, resultWorking, false
	l.mu.Unlock()
	err := l.sim.term.Begin(c, l.answered)
	l.mu.Lock()
	if err != nil {
		l.state.working = false
		l.fail(faultLink, 0, "")
		if errors.Is(err, tmaster.ErrBusy) {
			return returnBusy
		}
	}
	return 0
}

// answered hears what became of an operation.
func (l *library) answered(a tmaster.Answer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.working = false
	if a.Fault != tmaster.Sound && a.Fault != tmaster.Says {
		l.fail(faultLink, 0, "")
		if l.spoil != nil && a.Fault != tmaster.Silent {
			l.spoil(a.Fault)
		}
		return
	}
	code := a.Code
	if a.Fault == tmaster.Says {
		code, _ = strconv.Atoi(a.Behaviour.Arg)
	} else if a.Slip.Invoice != 0 {
		l.state.slip, l.state.about = a.Slip, true
	}
	l.state.paper = a.Report
	if a.Slip.Invoice != 0 && a.Report == "" {
		l.state.paper = l.sim.term.Print(a.Slip)
		if l.state.printed != "" {
			l.state.paper += "\n" + l.state.printed
		}
	}
	l.state.totals, l.state.balance = a.Totals, a.Balance
	switch {
	case a.Fault != tmaster.Says && a.Good():
		l.state.result, l.state.code = resultDone, int64(code)
		if a.Command.Operation == tmaster.IdentifyCard {
			l.state.rnk = "40817810"
		}
	default:
		l.fail(faultTerminal, int64(code), a.Text)
	}
}
