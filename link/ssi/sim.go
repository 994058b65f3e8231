package ssi

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// Simulator is a terminal of this protocol with its bank. It speaks on byte
// streams ([Simulator.Serve]), in frames or as a web service, and as an
// [net/http.Handler]. Each money command, reconciliation, Balance and Echo takes
// the next behaviour of its script, the last one stays; they are listed in
// docs/protocols/ssi.md.
//
// The terminal outlives its connections, and with a ledger file its process:
// an operation that has begun goes on when the cable is out, and its result
// stays in the buffer. All methods are safe for concurrent use.
type Simulator struct {
	number int // of the terminal, from its name
	pace   time.Duration
	log    *slog.Logger
	power  simulate.Power

	mu      sync.Mutex
	script  simulate.Script[behaviour]
	mood    behaviour // of the last command that took one; before any, of the first to come
	status  string    // S00 and so on
	state   state
	file    string
	stop    chan struct{} // closed to end the operation that is running; nil if there is none
	step    *command      // a purchase whose first step is done
	booting bool          // nobody is at the line
	printed []string      // what came out of the printer
	starts  []string      // the restarts that were asked for and made
}

// command is a request as the simulated terminal reads it.
type command struct {
	Method string        `json:"method"`
	Step   string        `json:"step"`
	Params requestParams `json:"params"`
}

// NewSimulator makes a terminal. "" is UAH.
func NewSimulator(c link.SimulatorConfig) (*Simulator, error) {
	c, script, err := simulate.Prepare(c, "UAH", grammar())
	if err != nil {
		return nil, fmt.Errorf("simulator ssi: %w", err)
	}
	if _, ok := payment.CurrencyNumber(c.Currency); !ok {
		return nil, fmt.Errorf("simulator ssi: currency %q is not in ISO 4217", c.Currency)
	}
	s := &Simulator{
		number: simulate.Number(c.Name, 1_000_000), pace: c.Pace, log: c.Log, script: script, mood: script.Peek(), status: statusIdle, file: c.Ledger,
		state: state{Bank: simulate.Bank{Currency: c.Currency}, Batch: 1},
	}
	if err := simulate.Load(c.Ledger, &s.state); err != nil {
		return nil, fmt.Errorf("simulator ssi: ledger: %w", err)
	}
	s.state.Full = s.state.Full || s.mood.z
	return s, nil
}

// Ledger lists what the bank did, oldest first.
func (s *Simulator) Ledger() []link.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state.Ledger()
}

// Close stops the terminal as a power cut would, and waits for what it started.
func (s *Simulator) Close() error {
	s.power.Off()
	return nil
}

// fault stops a terminal whose ledger cannot be written. mu is held.
func (s *Simulator) fault(err error) {
	if err != nil {
		s.log.Error("simulated terminal stops: the ledger cannot be written", "err", err)
		s.power.Cut()
	}
}

// reply is what the terminal does about a request.
type reply struct {
	say    map[string]any // nil: says nothing
	fault  string         // how the message is broken: an outcome's name, or ""
	hangUp bool           // the connection ends afterwards
}

// hear carries one message out.
func (s *Simulator) hear(c command) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.power.On() || s.booting {
		return reply{hangUp: true}
	}
	switch c.Method { // in any status
	case mGetStatus:
		return s.tellStatus()
	case mPingDevice:
		return ok(c.Method, map[string]any{})
	case mInterrupt:
		return s.interrupt()
	case mRestart, mRestartPaymentApp:
		return s.restart(c)
	case mPurchase:
		if s.step != nil && c.Step == "2" {
			return s.secondStep(c)
		}
	}
	if !over(s.status) && (s.status != statusFirstStep || c.Method != mGetLastResult) {
		return refuse(c.Method, "E06")
	}
	switch c.Method {
	case mPurchase, mCashBack, mRefund, mCash, mDeposit, mPreauth, mSalePreauth, mVoid, mPartialVoid, mVoidPreauth, mBalance, mEcho, mZReport:
		return s.begin(c)
	case mXReport:
		return s.makeReport(c)
	case mGetLastResult:
		return s.tellResult(c.Method, s.state.Last)
	case mGetResultByUid:
		return s.tellByUID(c)
	case mGetLastReport:
		return s.tellReport()
	case mGetTerminalInfo:
		return s.tellInfo()
	case mGetLastReceipt, mGetLastReportReceipt:
		return s.tellReceipt(c)
	case mGetMerchantList:
		return s.tellMerchants()
	case mPrintXml, mPrintPdfUrl:
		return s.print(c)
	}
	return refuse(c.Method, "E05")
}

// begin takes the next behaviour and does what the script says.
func (s *Simulator) begin(c command) reply {
	s.mood = s.script.Next()
	b := s.mood
	full := s.state.Full
	s.state.Full = full || b.z
	switch b.outcome {
	case "mute":
		return reply{}
	case "reboot-before":
		return reply{hangUp: true}
	}
	if code, key := s.wrong(c, full); code != "" {
		rep := refuse(c.Method, code)
		if key != "" {
			rep.say["params"] = map[string]any{"errorParams": key, "errorDetails": "wrong value of " + key}
		}
		return rep
	}
	switch b.outcome {
	case "refuse":
		return refuse(c.Method, b.arg)
	case "lost-refusal":
		return reply{}
	case "hand-sale":
		s.fault(s.handSale(c.minor()))
		return reply{}
	case "late-approval":
		s.approveLater(c)
		return reply{}
	}
	if c.Step == "1" {
		return s.firstStep(c)
	}
	if b.slow == 0 && s.pace == 0 && !b.stuck {
		s.fault(s.carryOut(c))
	} else {
		s.start(c, b.slow)
	}
	return s.acknowledge(c.Method)
}

// acknowledge accepts a command, in the way the script breaks it.
func (s *Simulator) acknowledge(method string) reply {
	rep := ok(method, map[string]any{})
	switch s.mood.outcome {
	case "lost-ack", "swapped", "batch-closed", "hand-after":
		return reply{}
	case "reboot":
		return reply{hangUp: true}
	case "half-ack", "bad-lrc", "bad-json", "bad-length", "garbage":
		rep.fault = s.mood.outcome
	}
	return rep
}

// wrong is the code with which the terminal refuses a request, or "", and the
// key that it names. full: the batch has to be closed first.
func (s *Simulator) wrong(c command, full bool) (code, key string) {
	p := c.Params
	void := c.Method == mVoid || c.Method == mPartialVoid || c.Method == mVoidPreauth
	if full && !void && c.Method != mZReport {
		return "E15", ""
	}
	if void {
		if p.InvoiceNum == "" {
			return "E04", "invoiceNum"
		}
		if c.Method == mPartialVoid && !amount(p.TransAmount) {
			return "E09", "transAmount"
		}
		return "", ""
	}
	if code, key := s.wrongMerchant(c); code != "" || c.Method == mZReport || c.Method == mEcho {
		return code, key
	}
	number, _ := payment.CurrencyNumber(s.state.Currency)
	switch {
	case p.TransCurrency != number:
		return "E09", "transCurrency"
	case c.Method == mBalance:
		return "", ""
	case !amount(p.TransAmount):
		return "E09", "transAmount"
	case c.Method == mRefund && p.RRN == "", c.Method == mSalePreauth && p.RRN == "":
		return "E04", "rrn"
	case c.Method == mSalePreauth && !amount(p.EndAmount):
		return "E09", "endAmount"
	case c.Method == mCashBack && !amount(p.CashAmount):
		return "E09", "cashAmount"
	}
	return "", ""
}

// wrongMerchant checks for whom a command is.
func (s *Simulator) wrongMerchant(c command) (code, key string) {
	b, p := s.mood, c.Params
	report := c.Method == mZReport || c.Method == mXReport
	switch {
	case p.MerchantID == "" && len(b.merchants) > 1 && !report:
		return "E04", "merchantId"
	case p.MerchantID != "" && !b.hasMerchant(p.MerchantID):
		return "E07", ""
	case p.TerminalID == "" && len(b.tids) > 1 && !report:
		return "E04", "terminalId"
	case p.TerminalID != "" && !b.hasTID(p.TerminalID):
		return "E09", "terminalId"
	}
	return "", ""
}

// amount says whether s is an amount as the document wants it (4.3.2).
func amount(s string) bool { return minorOf(s) > 0 && s[0] != '0' }

func minorOf(s string) int64 {
	n, err := payment.ParseMinor(s)
	if err != nil {
		return 0
	}
	return n
}

// minor is the amount of a command, or 0: that of the end of a completion.
func (c command) minor() int64 {
	if c.Method == mSalePreauth {
		return minorOf(c.Params.EndAmount)
	}
	return minorOf(c.Params.TransAmount)
}
