package mqtt

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"tillgate/internal/payment"
)

// Edge serves one destination. Make it with [New], run it once.
type Edge struct {
	o        Options
	url      *url.URL
	topics   topics
	intake   *intake
	contract string // SHA-256 of the AsyncAPI document

	// Used by Run's goroutine only.
	started       *payment.Event // this epoch's gateway.started
	sought        bool           // the outbox was searched for it
	sessions      []string       // own ones, newest last
	twinSeen      time.Time      // a foreign session was last heard; zero: no twin
	retainedAlert bool

	pumps sync.WaitGroup // of all connections; see session.pump
	mu    sync.Mutex
	state State
}

// State is how a destination is, for doctor and console.
type State struct {
	Destination string    `json:"destination"`
	Broker      string    `json:"broker"`
	Connected   bool      `json:"connected"` // and the way for events is proven
	Session     string    `json:"session,omitempty"`
	Since       time.Time `json:"since"`           // of the present connection, or of its loss
	Failures    int       `json:"failures"`        // attempts since the last connection
	Error       string    `json:"error,omitempty"` // why there is none
	Delivered   uint64    `json:"delivered"`       // newest event acknowledged by the broker since start; 0 if none
	Twin        bool      `json:"twin,omitempty"`
}

// New checks the options. Nothing is dialled before [Edge.Run].
func New(o Options) (*Edge, error) {
	u, err := o.prepare()
	if err != nil {
		return nil, err
	}
	doc, err := AsyncAPI()
	if err != nil {
		return nil, err
	}
	return &Edge{
		contract: fmt.Sprintf("%x", sha256.Sum256(doc)),
		o:        o, url: u, topics: topicsOf(o.Box),
		state: State{Destination: o.Destination, Broker: u.Redacted(), Since: time.Now(), Error: "not tried yet"},
	}, nil
}

// State is safe for concurrent use.
func (e *Edge) State() State {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.state
}

func (e *Edge) note(change func(*State)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.state)
}

// Run connects, serves and connects again until ctx ends; then it takes no
// more commands, delivers what the outbox still has (StopWithin at most),
// publishes status stopping, disconnects, and returns nil. Commands that were
// handed to the Gateway have returned by then.
func (e *Edge) Run(ctx context.Context) error {
	e.intake = newIntake(ctx, &e.o)
	defer e.pumps.Wait()
	defer e.intake.finish()
	pause := e.o.BackoffMin
	for {
		began := time.Now()
		proven, err := e.connection(ctx)
		if ctx.Err() != nil {
			e.note(func(s *State) {
				*s = State{Destination: s.Destination, Broker: s.Broker, Since: time.Now(), Error: "stopped", Delivered: s.Delivered}
			})
			return nil
		}
		e.note(func(s *State) {
			if s.Connected {
				s.Connected, s.Session, s.Since, s.Failures = false, "", time.Now(), 0
			}
			s.Failures++
			s.Error = err.Error()
		})
		if proven && time.Since(began) >= steady {
			pause = e.o.BackoffMin
		}
		e.o.Log.Warn("broker connection ended", "broker", e.url.Redacted(), "err", err, "retry_in", pause)
		select {
		case <-ctx.Done():
		case <-time.After(jitter(pause)):
		}
		pause = min(2*pause, e.o.BackoffMax)
	}
}

// steady is how long a connection must have lasted for the pauses to start
// again with the shortest.
const steady = 2 * time.Second

// jitter spreads the boxes of a shop that lost the same broker.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// connection makes one connection and serves it to its end. proven says that
// events could be delivered on it.
func (e *Edge) connection(ctx context.Context) (proven bool, err error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	e.findStarted()
	s, err := e.connect(ctx)
	if err != nil {
		return false, err
	}
	defer s.close()
	if err := s.subscribe(ctx); err != nil {
		return false, err
	}
	if err := s.prove(ctx); err != nil {
		return false, err
	}
	e.note(func(st *State) {
		st.Connected, st.Session, st.Since, st.Failures, st.Error = true, s.id, time.Now(), 0, ""
	})
	e.o.Log.Info("broker connected", "broker", e.url.Redacted(), "session", s.id)
	return true, s.serve(ctx)
}

// newName is a random client id or session: letters and digits only, at most
// 23 characters (MQTT 3.1.1, 3.1.3.1), no '.', blank, '*' or '>'.
func newName(prefix string) string {
	return prefix + strings.ToLower(crand.Text()[:20])
}

// maxSought is how many events the search for gateway.started looks at.
const maxSought = 4096

// findStarted looks for this epoch's gateway.started once, from the newest
// event back; an Edge is made when the gateway starts, so it is near.
func (e *Edge) findStarted() {
	if e.sought {
		return
	}
	epoch, last := e.o.Outbox.Epoch(), e.o.Outbox.LastSeq()
	const page = 256
	for to := last; to > 0 && last-to < maxSought; {
		from := max(to, page) - page + 1
		events, err := e.o.Outbox.Range(from, to, page)
		if err != nil {
			e.o.Log.Warn("outbox not readable", "err", err)
			return
		}
		i := slices.IndexFunc(events, func(ev payment.Event) bool { return ev.Type == payment.EventStarted && ev.Epoch == epoch })
		if i >= 0 {
			e.started = &events[i]
			break
		}
		if len(events) == 0 || events[0].Epoch != epoch {
			break
		}
		to = from - 1
	}
	e.sought = e.started != nil || last > 0
}

// proof is the message that must come back before any event is counted as
// delivered.
func (e *Edge) proof(session string) (topic string, payload []byte, err error) {
	if e.started == nil {
		return e.topics.event(probe), encodeProbe(e.o.Box, e.o.Outbox.Epoch(), session, time.Now()), nil
	}
	payload, err = encodeEvent(e.o.Box, *e.started)
	return e.topics.event(payment.EventStarted), payload, err
}

var errForbidden = errors.New("gateway.started was published and did not come back: the broker's ACL must let this user publish event/# and subscribe event/gateway.started and event/gateway.probe")

// prove publishes the proof and waits for its PUBACK and for itself. Brokers
// acknowledge what their ACL forbids; only what came back went through.
func (s *session) prove(ctx context.Context) error {
	topic, payload, err := s.e.proof(s.id)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.awaited = payload
	s.mu.Unlock()
	if err := s.awaitOr(ctx, s.publish(topic, 1, false, payload)); err != nil {
		return err
	}
	select {
	case <-s.proven:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(s.e.o.AckTimeout):
		return errForbidden
	}
}

// cameBack is told of every event that our own subscription delivers.
func (s *session) cameBack(payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.awaited != nil && bytes.Equal(payload, s.awaited) {
		s.awaited = nil
		close(s.proven)
	}
}
