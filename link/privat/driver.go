package privat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// Driver is this protocol, for the list of drivers.
func Driver() link.Driver {
	return link.Driver{
		Name:     "privat",
		Title:    "PrivatBank ECR JSON over TCP, USB or RS232",
		Currency: "UAH",
		Operations: []payment.Operation{
			payment.Purchase, payment.Refund, payment.Reversal, payment.Preauthorization, payment.Completion, payment.ServicePayment,
			payment.Balance, payment.Reconciliation, payment.Lookup, payment.Diagnosis, payment.Print,
		},
		Cashback:   true,
		Merchants:  true,
		Preserving: []payment.Operation{payment.Lookup, payment.Diagnosis, payment.Print},
		CanAbort:   true,
		Settings:   func() any { return defaults() },
		Check:      check,
		Open:       Open,
		Explain:    Explain,
		Simulate:   func(c link.SimulatorConfig) (link.Simulator, error) { return NewSimulator(c) },
	}
}

// terminal is one open connection. One goroutine owns it.
type terminal struct {
	line     *stream.Stream[answer]
	settings *Settings
	currency string
	longest  time.Duration
	log      *slog.Logger
	identity string        // as the terminal last told it
	patience time.Duration // with a question that is asked again if need be; 0: as the profile says

	// unanswered is a money command that was sent on this connection and given
	// up. The terminal answers each, in the order in which it took them.
	unanswered struct{ attempt, method string }

	last answer // that ended a command on this connection

	// strays are answers to money commands that came while something else was
	// asked. They wait for a Lookup, or for the next Execute.
	strays []stray

	// seen are the receipts of the open batch that came with answers on this
	// connection, and whose they are.
	seen map[string]string

	// full is the last receipt when the terminal said that its log takes no more;
	// nil: it has not.
	full *mark

	// waited says that the terminal has stood there waiting for a key.
	waited bool
}

// stray is an answer whose command was given up: on this connection, then its
// attempt is known, or on an earlier one.
type stray struct {
	answer
	attempt string
}

var (
	_ link.Terminal      = (*terminal)(nil)
	_ link.Baseliner     = (*terminal)(nil)
	_ link.Diagnoser     = (*terminal)(nil)
	_ link.HostDiagnoser = (*terminal)(nil)
	_ link.Printer       = (*terminal)(nil)
)

// Close ends the connection and wakes a running Execute.
func (t *terminal) Close() error { return t.line.Close() }

// The answers of a terminal that are none. The connection is in order.
var (
	errBusy          = errors.New("the terminal is busy")
	errUnknownMethod = errors.New("the terminal does not know this method")
)

// ask sends a question and waits for its answer. Answers to money commands that
// come meanwhile are kept. bytes is what is sent, nil for the request itself.
//
// A question that was not answered in time costs the connection, so that a late
// answer to it is not taken for the answer to another.
func (t *terminal) ask(ctx context.Context, r request, bytes []byte) (answer, error) {
	within := t.settings.QueryTimeout
	if t.patience > 0 {
		within = min(within, t.patience)
	}
	return t.askWithin(ctx, r, bytes, within)
}

func (t *terminal) askWithin(ctx context.Context, r request, bytes []byte, within time.Duration) (answer, error) {
	t.collect()
	if bytes == nil {
		bytes = r.frame()
	}
	op := r.method
	if r.method == methodService {
		op = r.get("msgType")
	}
	var got answer
	var refused error
	sent, err := t.line.Write(ctx, bytes, stream.WriteTimeout)
	if err == nil {
		err = t.line.Wait(ctx, within, func(a answer) bool {
			switch {
			case moves(a.method):
				t.keep(a)
				return false
			case a.method == methodService && a.msgType == msgNotImplemented:
				refused = errUnknownMethod
			case a.method == methodService && a.msgType == msgBusy && r.method != methodService:
				refused = errBusy
			case a.method == r.method && (r.method != methodService || a.msgType == r.get("msgType")):
				got = a
			default:
				return false
			}
			return true
		})
	}
	switch {
	case err != nil:
		return answer{}, &link.Error{Op: op, Sent: sent, Err: err}
	case refused != nil:
		return answer{}, fmt.Errorf("%s: %w", op, refused)
	}
	return got, nil
}

// collect takes in what came while nobody waited.
func (t *terminal) collect() {
	for _, a := range t.line.Late() {
		if moves(a.method) {
			t.keep(a)
		}
	}
}

// keep remembers an answer to a money command that nobody waits for; the oldest
// go when there are too many.
func (t *terminal) keep(a answer) {
	s := stray{answer: a, attempt: t.owner(a)}
	if s.attempt == "" && t.unanswered.method == a.method {
		s.attempt = t.unanswered.attempt
		t.unanswered.attempt, t.unanswered.method = "", ""
	}
	if len(t.strays) == maxLate {
		t.log.Warn("late answer dropped, too many wait")
		t.strays = t.strays[1:]
	}
	t.strays = append(t.strays, s)
}

// hand reports what came in for earlier attempts while nobody could be told.
func (t *terminal) hand(d link.Dialogue) {
	t.collect()
	for _, s := range t.strays {
		t.tell(d, s)
	}
	t.strays = nil
}

// tell reports an answer that is not the one to the command of d.
func (t *terminal) tell(d link.Dialogue, s stray) {
	if s.attempt == "" {
		t.log.Warn("answer to an earlier command that was not looked up", "method", payment.Word(s.method), "code", payment.Word(s.code))
		return
	}
	o := t.outcome(s.answer, judge(s.answer), payment.SourceAnswer)
	o.Attempt = s.attempt
	t.claim(s.answer, s.attempt)
	d.Stray(o)
}

// owner is the attempt whose receipt came with an answer to a sale, or "" if the
// receipt is new. A sale has a receipt of its own; what takes a payment back can
// have the number and the RRN of that payment.
func (t *terminal) owner(a answer) string {
	if !sells(a.method) || a.rrn == "" {
		return ""
	}
	return t.seen[a.key()]
}

// repeated says whether the answer to the command of tx is one that was heard
// before: word for word, or with the receipt of another attempt, or with the last
// receipt of before the command.
func (t *terminal) repeated(a answer, tx payment.Transaction) bool {
	if owner := t.owner(a); owner != "" && owner != tx.Attempt || a.receipt != "" && reflect.DeepEqual(a, t.last) {
		return true
	}
	before := readMark(tx.Baseline.Fingerprint)
	return sells(a.method) && a.rrn != "" && a.rrn == before.RRN && sameNumber(a.invoice, before.Invoice)
}

// claim remembers whose a receipt is.
func (t *terminal) claim(a answer, attempt string) {
	if k := a.key(); k != "" {
		t.seen[k] = attempt
	}
}

// key names a receipt of a terminal, or is "" if it has no number.
func (a answer) key() string {
	if a.invoice == "" && a.rrn == "" {
		return ""
	}
	return trimZeros(a.invoice) + "/" + a.rrn + "/" + a.txnType
}
