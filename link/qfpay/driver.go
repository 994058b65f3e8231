package qfpay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// Driver is this protocol, for the list of drivers.
func Driver() link.Driver {
	return link.Driver{
		Name:       "qfpay",
		Title:      "QFPay (Haojin) by packets, HTTP or TCP",
		Operations: []payment.Operation{payment.Purchase, payment.Refund, payment.Lookup, payment.Diagnosis, payment.Abort, payment.Print},
		Preserving: []payment.Operation{payment.Lookup, payment.Diagnosis},
		CanAbort:   true,
		Line:       "baud=9600", // chapter 9.2: 9600 8N1
		Settings:   func() any { return defaults() },
		Check:      check,
		Open:       Open,
		Explain:    Explain,
		Currency:   "HKD",
		Simulate:   func(c link.SimulatorConfig) (link.Simulator, error) { return NewSimulator(c) },
		KeySetting: "key_file",
		Notify:     notifyDriver(),
	}
}

// terminal is one open connection. One goroutine owns it.
type terminal struct {
	line      line
	wire      string
	settings  *Settings
	simulated bool
	profile   atomic.Pointer[profile] // the line's pump reads it too
	currency  string
	longest   time.Duration
	log       *slog.Logger

	// strays are answers that name an attempt and came while something else was
	// asked. They wait for a lookup of it, or for the next Execute.
	strays []answer

	// owed: a money command of this connection has had no answer yet, so that an
	// answer that names nobody can be its.
	owed bool

	last payment.Reference // of the last transaction that was answered to Execute
}

var (
	_ link.Terminal  = (*terminal)(nil)
	_ link.Baseliner = (*terminal)(nil)
	_ link.Diagnoser = (*terminal)(nil)
	_ link.Printer   = (*terminal)(nil)
)

// Open connects, and asks for a payment that does not exist to make sure that a
// terminal answers which knows our POS-KEY. One whose app nobody is logged in to
// is opened too: Diagnose says so. An address that begins with http://
// or https:// is a web service; everything else is opened with c.Dial.
func Open(ctx context.Context, c link.Config) (link.Terminal, error) {
	return open(ctx, c, stream.DialHost)
}

func open(ctx context.Context, c link.Config, dial dialWeb) (link.Terminal, error) {
	c, s, err := link.Prepare(c, "HKD", defaults)
	if err != nil {
		return nil, err
	}
	t := &terminal{settings: s, currency: c.Currency, longest: c.Longest, log: c.Log}
	t.simulated = simulated(c.Address)
	err = t.reload()
	if err == nil {
		err = t.connect(ctx, c, dial)
	}
	if err != nil {
		return nil, &link.Error{Op: "open", Err: err}
	}
	if _, err := t.ask(ctx, t.settings.query(s.LookupBy, newQuery()), func(h heard) bool { return h.answer.names() != "" }); err != nil && !loggedOut(err) {
		t.Close()
		return nil, hint(err, c.Address)
	}
	return t, nil
}

// hint adds what may keep a serial line silent: an address with another speed than
// chapter 9.2's.
func hint(err error, address string) error {
	if e, ok := errors.AsType[*link.Error](err); ok && strings.Contains(address, "baud=") && !strings.Contains(address, "baud=9600") && (errors.Is(err, errNoAck) || errors.Is(err, stream.ErrSilent)) {
		return &link.Error{Op: e.Op, Sent: e.Sent, Err: fmt.Errorf("%w; QFPay's terminals talk at 9600 baud, and the address says otherwise", e.Err)}
	}
	return err
}

func (t *terminal) connect(ctx context.Context, c link.Config, dial dialWeb) (err error) {
	t.wire = t.settings.wireOf(c.Address)
	if t.wire != WirePacket {
		t.line, err = newSingle(c, t.wire, &t.profile, dial, t.log)
		return err
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return err
	}
	t.line = newSerial(conn, &t.profile, t.log)
	return nil
}

// wireOf says how an address is spoken to.
func (s *Settings) wireOf(address string) string {
	scheme, _, _ := strings.Cut(address, ":")
	switch {
	case s.Wire != WireAuto:
		return s.Wire
	case scheme == "tcp":
		return WireTCP
	case scheme == "http" || scheme == "https":
		return WireHTTP
	}
	return WirePacket
}

// reload reads the key again: one that was refreshed on the terminal is put into
// its file and works without a restart.
func (t *terminal) reload() error {
	p, err := load(t.settings, t.simulated)
	if err != nil {
		return err
	}
	if old := t.profile.Load(); old == nil || old.key != p.key {
		t.profile.Store(p)
	}
	return nil
}

// newQuery is an id that no payment has: attempts have capital letters only.
func newQuery() string { return "q" + strings.ToLower(rand.Text()[:19]) }

// Close ends the connection and wakes a running Execute.
func (t *terminal) Close() error { return t.line.Close() }

// Execute sends the request of tx once and reads until the terminal answers.
// When d.Abort is closed it sends function 5001 and reads on.
func (t *terminal) Execute(ctx context.Context, tx payment.Transaction, d link.Dialogue) (payment.Outcome, error) {
	op := string(tx.Operation)
	req, err := t.request(tx)
	if err == nil {
		err = t.reload()
	}
	if err != nil {
		return payment.Outcome{}, &link.Error{Op: op, Err: err}
	}
	t.hand(d)
	var ours answer
	sent, err := t.line.exchange(ctx, call{
		content: req,
		within:  t.longest,
		abort:   d.Abort,
		wrote:   func() { d.Report(firstStage(tx.Operation), payment.VendorCode{}) },
		take: func(h heard) bool {
			if t.answers(h, tx) {
				ours = h.answer
				return true
			}
			if o, ok := t.stray(h.answer, tx.Attempt); ok {
				d.Stray(o)
			}
			return false
		},
	})
	if r, ok := errors.AsType[rejected](err); ok && r.certain() {
		c := packetErrors[r.code]
		return payment.Outcome{Result: payment.Failed, Source: payment.SourceAnswer, Condition: c.condition, Text: c.text,
			Vendor: payment.VendorCode{Code: fmt.Sprintf("0x%02x", r.code), Text: c.text}}, nil
	}
	if err != nil {
		t.owed = t.owed || sent
		return payment.Outcome{}, &link.Error{Op: op, Sent: sent, Err: unreadable(err)}
	}
	return t.conclude(ctx, tx, ours)
}

// conclude says what the answer to tx means.
func (t *terminal) conclude(ctx context.Context, tx payment.Transaction, a answer) (payment.Outcome, error) {
	c := judge(a)
	var r record
	if len(a.records) == 1 {
		r = a.records[0]
	}
	if c.decision == done && tx.Operation == payment.Refund {
		if orig := firstOf(r.get("orig_syssn"), r.get("origssn")); orig != "" && orig != tx.Original.Receipt {
			c = code{decision: doubtful, text: "the answer names another original"}
		}
	}
	switch c.decision {
	case done, notDone:
		o := t.outcome(c, a, r, payment.SourceAnswer)
		t.last = o.Reference
		return o, nil
	case gaveUp:
		return t.verify(ctx, tx, a, c)
	}
	err := fmt.Errorf("the answer does not say whether it was done: %s", c.text)
	return payment.Outcome{}, &link.Error{Op: string(tx.Operation), Sent: true, Err: c.answered(a, err)}
}

// answered keeps with an error what the terminal said.
func (c code) answered(a answer, err error) error {
	return &link.Answered{Condition: c.condition, Vendor: payment.VendorCode{Code: a.respcd, Text: a.message}, Err: err}
}

// unreadable marks an error about bytes that came and are no answer.
func unreadable(err error) error {
	if errors.Is(err, errCipher) || errors.Is(err, errAnswer) {
		return &link.Answered{Condition: payment.CondMessageFormat, Err: err}
	}
	return err
}

// firstStage is all that is known of the progress: the protocol tells none.
func firstStage(op payment.Operation) payment.Stage {
	if op == payment.Purchase {
		return payment.StageWaitingCard
	}
	return payment.StageHost
}

// request writes tx down in the terminal's language.
func (t *terminal) request(tx payment.Transaction) (content, error) {
	if err := check(t.settings, tx.Request); err != nil {
		return nil, err
	}
	switch {
	case tx.Amount.Currency != t.currency:
		return nil, fmt.Errorf("the terminal takes %s", t.currency)
	case tx.Operation == payment.Refund:
		return t.settings.refund(tx.Original.Receipt, tx.Amount), nil
	case tx.Operation != payment.Purchase:
		return nil, errors.New("the protocol has none of this kind")
	case tx.Attempt == "" || !carried(tx.Attempt):
		return nil, errors.New("the attempt has no id that can be sent")
	}
	return t.settings.trade(tx.Attempt, tx.Amount), nil
}

// names is the attempt that an answer is about, "" if it does not say.
func (a answer) names() string {
	if len(a.records) == 1 {
		return a.records[0].get("out_trade_no")
	}
	return ""
}

// answers says whether an answer is the one to tx. One that names nobody is
// believed if it came as the answer to this request, or if nobody else can be
// meant.
func (t *terminal) answers(h heard, tx payment.Transaction) bool {
	a := h.answer
	if tx.Operation == payment.Purchase && a.names() != "" {
		return a.names() == tx.Attempt
	}
	if h.ours {
		return true
	}
	if h.late || t.owed || h.cancelling && len(a.records) == 0 && a.respcd != "6001" {
		return false
	}
	if a.respcd == "6000" && len(a.records) == 0 {
		return false // the answer to a question that nobody waits for any more
	}
	if tx.Operation == payment.Refund && len(a.records) == 1 {
		return a.records[0].get("orig_syssn") == tx.Original.Receipt
	}
	return true
}

// stray is an answer that names another attempt, as evidence for that one.
func (t *terminal) stray(a answer, ours string) (payment.Outcome, bool) {
	name := a.names()
	c := judge(a)
	if name == "" || name == ours || c.decision != done && c.decision != notDone || !attempt(name) {
		return payment.Outcome{}, false
	}
	o := t.outcome(c, a, a.records[0], payment.SourceAnswer)
	o.Attempt = name
	return o, true
}

// attempt says whether a name can be one of our attempts, which are base 32.
func attempt(name string) bool {
	return strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// hand reports what came in for other attempts while nobody could be told.
func (t *terminal) hand(d link.Dialogue) {
	t.collect()
	for _, a := range t.strays {
		if o, ok := t.stray(a, ""); ok {
			d.Stray(o)
		}
	}
	t.strays = nil
}

// collect takes in late answers; the oldest go when there are too many.
func (t *terminal) collect() {
	for _, a := range t.line.waiting() {
		t.keep(a)
	}
}

func (t *terminal) keep(a answer) {
	if a.names() == "" {
		return
	}
	if len(t.strays) == maxWaiting {
		t.log.Warn("late answer dropped, too many wait")
		t.strays = t.strays[1:]
	}
	t.strays = append(t.strays, a)
}
