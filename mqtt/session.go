package mqtt

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"tillgate/internal/payment"
)

// session is one connection to the broker, from CONNECT to its end.
type session struct {
	e      *Edge
	id     string // quoted by money commands
	topics topics
	log    *slog.Logger
	client paho.Client
	conn   atomic.Pointer[guard]

	ctx  context.Context // ends with the connection; the cause says why
	fail context.CancelCauseFunc
	wg   sync.WaitGroup

	closing                  atomic.Bool          // no more commands
	parcels                  chan *parcel         // for the pump
	replies                  chan outgoing        // bounded; a full one drops
	news                     chan message         // on our own retained topics
	poked                    chan struct{}        // retainedVerbs changed
	proven                   chan struct{}        // closed when the proof came back
	drained, finish, replied chan struct{}        // closed one after another when ctx ended
	retain                   map[string]string    // what lies on the broker, by topic; serve's own
	fresh                    map[string]time.Time // retained topics that may be repeated, and when they were published; serve's own
	disputed                 map[string]bool      // those of them that somebody else has written; serve's own

	mu            sync.Mutex
	awaited       []byte // the proof, until it came back
	retainedVerbs map[string]bool
}

// message is something on one of our own retained topics.
type message struct {
	topic    string
	payload  []byte
	retained bool
}

// maxNews bounds what waits for serve; the topics are our own and few, and
// what is lost of them is only a reminder.
const maxNews = 256

var errUnfinished = errors.New("the connection was closed")

// connect dials and waits for CONNACK. ctx cancels the attempt.
func (e *Edge) connect(ctx context.Context) (*session, error) {
	var password string
	if e.o.Password != nil {
		var err error
		if password, err = e.o.Password(); err != nil {
			return nil, fmt.Errorf("password of %s: %w", e.o.Destination, err)
		}
	}
	s := &session{
		e: e, id: newName(""), topics: e.topics, log: e.o.Log,
		parcels: make(chan *parcel, maxParcels),
		replies: make(chan outgoing, maxReplies), news: make(chan message, maxNews),
		poked: make(chan struct{}, 1), proven: make(chan struct{}),
		drained: make(chan struct{}), finish: make(chan struct{}), replied: make(chan struct{}),
		retain: map[string]string{}, fresh: map[string]time.Time{}, disputed: map[string]bool{}, retainedVerbs: map[string]bool{},
	}
	// The end of ctx lets the connection say goodbye, so it must not cut it.
	s.ctx, s.fail = context.WithCancelCause(context.WithoutCancel(ctx))
	e.sessions = append(e.sessions[max(0, len(e.sessions)-maxSessions+1):], s.id)

	o := paho.NewClientOptions().AddBroker(e.url.String())
	o.SetClientID(newName("tg")).SetUsername(e.o.Username).SetPassword(password)
	o.SetProtocolVersion(4).SetCleanSession(true).SetStore(paho.NewMemoryStore())
	o.SetAutoReconnect(false).SetConnectRetry(false).SetResumeSubs(false).SetOrderMatters(true)
	o.SetConnectTimeout(e.o.ConnectTimeout).SetWriteTimeout(e.o.AckTimeout)
	o.SetKeepAlive(e.o.KeepAlive).SetPingTimeout(e.o.AckTimeout)
	o.SetBinaryWill(s.topics.status(), []byte(StatusOffline), 1, true)
	o.SetConnectionLostHandler(func(_ paho.Client, err error) { s.fail(err) })
	o.SetDefaultPublishHandler(s.receive)
	o.SetCustomOpenConnectionFn(func(*url.URL, paho.ClientOptions) (net.Conn, error) { return s.open(ctx) })
	s.client = paho.NewClient(o)

	stop := context.AfterFunc(ctx, func() { s.fail(ctx.Err()); s.cut() })
	defer stop()
	token := s.client.Connect()
	token.Wait() // open, the handshake's deadline and cut bound it
	if err := token.Error(); err != nil {
		s.close()
		return nil, fmt.Errorf("connect to %s: %w", e.url.Redacted(), s.reason(err))
	}
	if ctx.Err() != nil {
		s.close()
		return nil, ctx.Err()
	}
	e.pumps.Go(s.pump)
	return s, nil
}

// reason prefers what the guard saw to what paho made of it.
func (s *session) reason(err error) error {
	if cause := context.Cause(s.ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w (%v)", err, cause)
	}
	return err
}

func (s *session) open(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, s.e.o.ConnectTimeout)
	defer cancel()
	c, err := dial(ctx, s.e.url, s.e.o.TLS)
	if err != nil {
		return nil, err
	}
	g := &guard{Conn: c, r: bufio.NewReaderSize(c, 16<<10), filters: len(s.topics.filters(s.e.o.Commands)), timeout: s.e.o.AckTimeout, failed: s.fail}
	s.conn.Store(g)
	if s.ctx.Err() != nil { // ctx ended between dialling and storing
		_ = g.Close()
	}
	return g, nil
}

func (s *session) cut() {
	if g := s.conn.Load(); g != nil {
		_ = g.Close()
	}
}

// quiesce is how long a DISCONNECT may take to leave, in milliseconds.
const quiesce = 250

// close ends the connection and everything that belongs to it.
func (s *session) close() {
	if s.ctx.Err() != nil {
		s.cut() // it is broken: nobody to say goodbye to
	}
	s.fail(errUnfinished)
	s.client.Disconnect(quiesce)
	s.cut()
	s.wg.Wait()
}

// subscribe asks for every filter at once and accepts nothing less.
func (s *session) subscribe(ctx context.Context) error {
	filters := s.topics.filters(s.e.o.Commands)
	token := s.client.SubscribeMultiple(filters, nil)
	if err := s.acknowledged(ctx, token, "subscription"); err != nil {
		return err
	}
	granted := token.(*paho.SubscribeToken).Result()
	var refused []string
	for f := range filters {
		if code, answered := granted[f]; !answered || code > 2 {
			refused = append(refused, f)
		}
	}
	if refused != nil {
		return fmt.Errorf("the broker refuses the subscription to %s", strings.Join(refused, ", "))
	}
	return nil
}

// receive is paho's handler: it hands over and returns.
func (s *session) receive(_ paho.Client, m paho.Message) {
	if verb, ok := s.commandVerb(m.Topic()); ok {
		if !s.e.o.Commands {
			return // never asked for: whoever runs that broker may not command
		}
		s.e.intake.take(s, verb, m.Retained(), m.Payload())
		return
	}
	if strings.HasPrefix(m.Topic(), s.topics.root+"event/") {
		if !m.Retained() {
			s.cameBack(m.Payload())
		}
		return
	}
	if len(m.Payload()) > MaxCommand {
		return
	}
	select {
	case s.news <- message{m.Topic(), bytes.Clone(m.Payload()), m.Retained()}:
	default:
	}
}

// start runs f; its error ends the connection.
func (s *session) start(f func() error) {
	s.wg.Go(func() {
		if err := f(); err != nil {
			s.fail(err)
		}
	})
}

// serve runs the connection until it breaks or ctx ends.
func (s *session) serve(ctx context.Context) error {
	s.alertRetained()
	if err := s.publishAll(); err != nil {
		return err
	}
	if s.e.o.Commands {
		s.e.o.Gateway.ControllerConnected()
	}
	s.start(s.sendReplies)
	s.start(func() error { defer close(s.drained); return s.drain(ctx) })
	err := s.watch(ctx)
	if err == nil {
		err = s.stop()
	}
	return err
}

// maxSessions is how many of its own sessions an edge remembers: what a slow
// broker still delivers of an earlier connection is no twin.
const maxSessions = 16

// The payload of status.
const (
	StatusOnline   = "online"
	StatusOffline  = "offline"  // the will: nobody said goodbye
	StatusStopping = "stopping" // the gateway shuts down, or has
)

func statusOf(st payment.Status) string {
	if st.Stopping {
		return StatusStopping
	}
	return StatusOnline
}
