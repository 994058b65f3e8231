package mqtt

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tillgate/internal/payment"
)

// intake takes commands of one edge, over all its connections.
type intake struct {
	gateway Gateway
	front   string
	ctx     context.Context // of the edge: a lost connection cancels no command

	terminals *lanes // by terminal: a slow one holds up nobody else
	quick     *lanes // about a payment that runs: never behind a slow terminal
	aborts    *lanes // behind nothing but their own payment
	replays   *lanes

	mu     sync.Mutex
	queued map[payment.ID]queue
}

// queue is in which lane the commands are that make one payment, and how many the
// gateway has still to answer: more than one if the controller asked again.
type queue struct {
	terminal string
	length   int
}

func newIntake(ctx context.Context, o *Options) *intake {
	return &intake{
		gateway: o.Gateway, front: "mqtt:" + o.Destination, ctx: ctx,
		terminals: newLanes(maxLanes, maxWaiting), quick: newLanes(maxQuick, maxWaiting), aborts: newLanes(maxAborts, maxWaiting), replays: newLanes(1, maxReplays),
		queued: map[payment.ID]queue{},
	}
}

// finish takes no more commands and waits until those under way have returned.
func (in *intake) finish() {
	in.terminals.finish()
	in.quick.finish()
	in.aborts.finish()
	in.replays.finish()
}

// take handles one message on command/{verb}. It never blocks: paho's reader
// waits for it.
func (in *intake) take(s *session, verb string, retained bool, payload []byte) {
	if len(payload) == 0 && s.forgetRetained(verb) {
		return
	}
	arrived := time.Now()
	e, err := decode(verb, payload)
	if retained {
		s.sawRetained(verb)
		err = payment.Refuse(payment.ReasonRetained, "command/%s is a retained message, which is never a command; clear it with an empty retained message", payment.Excerpt(verb))
	} else if err == nil {
		err = s.checkSession(e)
	}
	if err == nil && s.closing.Load() {
		err = payment.Refuse(payment.ReasonStopping, "the gateway shuts down")
	}
	if err != nil {
		s.reply(e, payment.Refused(e.Command, err))
		return
	}
	e.Command.Front, e.Command.Client = in.front, e.Client
	if !in.submit(e, func() { in.run(s, e, arrived) }) {
		s.reply(e, payment.Refused(e.Command, payment.Refuse(payment.ReasonBusy, "more than %d commands are waiting", maxWaiting)))
	}
}

// submit finds the lane. A command about a payment goes behind the one that makes
// the payment until the gateway has answered that: an abort neither overtakes its
// purchase nor comes before the gateway knows it.
func (in *intake) submit(e Envelope, job func()) bool {
	if e.Verb == payment.VerbReplay {
		return in.replays.submit("", job)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	_, makes := e.Verb.Operation()
	switch q, waits := in.queued[e.ID]; {
	case makes && e.ID != "":
		return in.enqueue(e.ID, in.terminal(e.Terminal), job)
	case aboutTerminal(e.Verb):
		return in.terminals.submit(in.terminal(e.Terminal), job)
	case waits:
		return in.terminals.submit(q.terminal, job)
	case e.Verb == payment.VerbAbort:
		return in.aborts.submit(string(e.ID), job)
	}
	return in.quick.submit(string(e.ID), job)
}

// enqueue puts a command that makes a payment into its terminal's lane; in.mu is
// held.
func (in *intake) enqueue(id payment.ID, terminal string, job func()) bool {
	ok := in.terminals.submit(terminal, func() { defer in.dequeue(id); job() })
	if ok {
		in.queued[id] = queue{terminal, in.queued[id].length + 1}
	}
	return ok
}

func (in *intake) dequeue(id payment.ID) {
	in.mu.Lock()
	defer in.mu.Unlock()
	q := in.queued[id]
	if q.length--; q.length == 0 {
		delete(in.queued, id)
	} else {
		in.queued[id] = q
	}
}

// aboutTerminal says whether a verb is served by a terminal's lane in turn.
func aboutTerminal(v payment.Verb) bool {
	switch v {
	case payment.VerbDispense, payment.VerbCommit, payment.VerbRollback, payment.VerbAbort, payment.VerbLookup, payment.VerbResolve, payment.VerbUpdate:
		return false
	}
	return true
}

// terminal names the lane: the only terminal where none is given.
func (in *intake) terminal(name string) string {
	if name == "" {
		if ts := in.gateway.Status().Terminals; len(ts) == 1 {
			return ts[0].Name
		}
	}
	return name
}

// run starts a command whose turn has come.
func (in *intake) run(s *session, e Envelope, arrived time.Time) {
	if s.ctx.Err() != nil || in.ctx.Err() != nil {
		return // its session is over: nobody can hear the reply, the controller sends it again
	}
	if time.Since(arrived) > e.TTL.Duration() {
		s.reply(e, payment.Refused(e.Command, payment.Refuse(payment.ReasonStale, "the command waited longer than %d ms", e.TTL)))
		return
	}
	if e.Verb == payment.VerbReplay {
		s.replay(e)
		return
	}
	s.reply(e, in.gateway.Do(in.ctx, e.Command))
}

// checkSession refuses a money command of another connection's time.
func (s *session) checkSession(e Envelope) error {
	switch {
	case e.Session == s.id:
		return nil
	case e.Session != "":
		return payment.Refuse(payment.ReasonForeignSession, "the command quotes another session than info has now")
	case needsSession(e.Verb):
		return payment.Refuse(payment.ReasonStale, "a %s must quote the session that info has now", e.Verb)
	}
	return nil
}

// maxReplies is how many replies may wait for the broker. A controller whose
// reply is lost sends the same id again and is told then.
const maxReplies = 256

func (s *session) reply(e Envelope, r payment.Reply) {
	b, err := json.Marshal(Reply{Reply: r, RequestID: e.RequestID, Session: s.id})
	if err != nil {
		s.log.Error("reply not encoded", "verb", r.Verb, "err", err)
		return
	}
	select {
	case s.replies <- outgoing{s.topics.reply(e.Client), b}:
	default:
		s.log.Warn("reply dropped, the broker is too slow", "verb", r.Verb)
	}
}

type outgoing struct {
	topic   string
	payload []byte
}

// sendReplies publishes what reply leaves, one after another, until the
// connection is over or, once finish is closed, nothing is left.
func (s *session) sendReplies() error {
	defer close(s.replied)
	finish := s.finish
	for {
		var r outgoing
		select {
		case <-s.ctx.Done():
			return nil
		case r = <-s.replies:
		case <-finish:
			select {
			case r = <-s.replies:
			default:
				return nil
			}
		}
		if err := s.await(s.publish(r.topic, 1, false, r.payload)); err != nil {
			return err
		}
	}
}

// sawRetained and forgetRetained keep the verbs on which a retained message
// lies; the alert follows in serve. forgetRetained says that somebody cleared
// one, which is not a command either.
func (s *session) sawRetained(verb string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.retainedVerbs) < maxMembers {
		s.retainedVerbs[payment.Excerpt(verb)] = true
	}
	s.poke()
}

func (s *session) forgetRetained(verb string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.retainedVerbs[payment.Excerpt(verb)] {
		return false
	}
	delete(s.retainedVerbs, payment.Excerpt(verb))
	s.poke()
	return true
}

func (s *session) poke() {
	select {
	case s.poked <- struct{}{}:
	default:
	}
}

// alertRetained raises or clears the alert after what was seen.
func (s *session) alertRetained() {
	s.mu.Lock()
	verbs := slices.Sorted(maps.Keys(s.retainedVerbs))
	s.mu.Unlock()
	if len(verbs) > 0 {
		s.e.retainedAlert = true
		s.e.o.Gateway.Raise(payment.AlertRetained, "refused a retained message on command/"+strings.Join(verbs, ", command/"))
	} else if s.e.retainedAlert {
		s.e.retainedAlert = false
		s.e.o.Gateway.Clear(payment.AlertRetained)
	}
}

// commandVerb is the last level of a command's topic.
func (s *session) commandVerb(topic string) (string, bool) {
	return strings.CutPrefix(topic, s.topics.root+"command/")
}
