package linktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"reflect"
	"strings"
	"sync"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link"
)

// NotifierSubject is the part of a protocol that tells by itself, under test.
type NotifierSubject struct {
	Driver link.Driver

	// Settings makes a usable profile, with keys; the simulator has the same.
	// Its signature covers every byte that matters.
	Settings func(t *testing.T) any
	// Stranger is the same profile with other keys.
	Stranger func(t *testing.T) any

	Operations []payment.Operation // that are notified
	Decline    string              // behaviour of a refused sale; "" if only successes are notified
	Void       string              // behaviour of a sale and, second, what takes it back; "" if that is not notified
	Spoiled    []string            // behaviours that nobody may believe

	CardData []string // texts the simulator sends that must not come out
}

// RunNotifier judges a notifier by its own simulator: what it believes, what it
// does not, and that it gives nothing away.
func RunNotifier(t *testing.T, s NotifierSubject) {
	t.Run("genuine", func(t *testing.T) { s.genuine(t) })
	t.Run("declined", func(t *testing.T) { s.declined(t) })
	t.Run("taken back", func(t *testing.T) { s.takenBack(t) })
	t.Run("told twice", func(t *testing.T) { s.toldTwice(t) })
	t.Run("spoiled", func(t *testing.T) { s.spoiled(t) })
	t.Run("other keys", func(t *testing.T) { s.otherKeys(t) })
	t.Run("changed", func(t *testing.T) { s.changed(t) })
	t.Run("rubbish", func(t *testing.T) { s.rubbish(t) })
	t.Run("at once", func(t *testing.T) { s.atOnce(t) })
	t.Run("answers", func(t *testing.T) { s.answers(t) })
}

func (s NotifierSubject) open(t *testing.T, settings any) link.Notifier {
	t.Helper()
	n, err := s.Driver.Notify.Open(link.NotifyConfig{Name: "suite", Currency: s.Driver.Currency, Settings: settings})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return n
}

func (s NotifierSubject) service(t *testing.T, settings any, script ...string) link.NotifySimulator {
	t.Helper()
	sim, err := s.Driver.Notify.Simulate(link.NotifySimulatorConfig{Settings: settings, Script: script, Currency: s.Driver.Currency})
	if err != nil {
		t.Fatalf("simulate %v: %v", script, err)
	}
	return sim
}

// story is a transaction of the suite.
func (s NotifierSubject) story(op payment.Operation) link.NotifyStory {
	st := link.NotifyStory{Operation: op, Name: "suite-0123456789", Amount: payment.Money{Minor: 123400, Currency: s.Driver.Currency}}
	if op == payment.Reconciliation {
		st.Settled = []payment.Settled{{Name: "suite-1", RRN: "000000000001"}, {Name: "suite-2", RRN: "000000000002"}}
	}
	return st
}

// maxPost bounds what the suite reads of one simulated body.
const maxPost = 1 << 20

// requests reads what a simulated service posts, as the listener does.
func requests(t *testing.T, sim link.NotifySimulator, story link.NotifyStory) (all []link.NotifyRequest) {
	t.Helper()
	posts, err := sim.Requests(story)
	if err != nil || len(posts) == 0 {
		t.Fatalf("%d requests: %v", len(posts), err)
	}
	for _, p := range posts {
		b, err := io.ReadAll(io.LimitReader(p.Body, maxPost))
		if err != nil {
			t.Fatal(err)
		}
		h := p.Header
		if h == nil {
			h = http.Header{}
		}
		all = append(all, link.NotifyRequest{Header: h, Body: b})
	}
	return all
}

// one decodes a request that tells exactly one thing.
func (s NotifierSubject) one(t *testing.T, n link.Notifier, r link.NotifyRequest) payment.Notice {
	t.Helper()
	body := bytes.Clone(r.Body)
	notices, err := n.Decode(r)
	if err != nil || len(notices) != 1 {
		t.Fatalf("%d notices: %v", len(notices), err)
	}
	if !bytes.Equal(body, r.Body) {
		t.Error("the body was changed")
	}
	notice := notices[0]
	for i := range r.Body { // what is kept must not lie in the listener's buffer
		r.Body[i] = 'x'
	}
	again := notice
	again.From = "suite"
	if err := again.Validate(); err != nil {
		t.Errorf("the gateway would refuse it: %v", err)
	}
	if notice.From != "" || notice.Payment != "" || notice.Match != "" {
		t.Errorf("it sets what is the gateway's: %+v", notice)
	}
	if notice.Outcome.Source != payment.SourceNotification {
		t.Errorf("source %q", notice.Outcome.Source)
	}
	s.silent(t, "a notice", notices)
	copy(r.Body, body)
	return notice
}

// silent looks for card data.
func (s NotifierSubject) silent(t *testing.T, what string, v any) {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	for _, card := range s.CardData {
		if strings.Contains(string(text), card) {
			t.Errorf("%s has card data of %d characters", what, len(card))
		}
	}
}

func (s NotifierSubject) genuine(t *testing.T) {
	settings := s.Settings(t)
	n, sim := s.open(t, settings), s.service(t, settings)
	keys := map[string]bool{}
	for _, op := range s.Operations {
		story := s.story(op)
		for range 3 {
			got := s.one(t, n, requests(t, sim, story)[0])
			if got.Operation != op || got.Outcome.Result != payment.Approved {
				t.Errorf("%s: %s %s", op, got.Operation, got.Outcome.Result)
			}
			if op != payment.Reconciliation && got.Outcome.Amount != story.Amount {
				t.Errorf("%s: amount %s, want %s", op, got.Outcome.Amount, story.Amount)
			}
			if op != payment.Reconciliation && (len(got.Names) == 0 || got.Names[0] != story.Name) {
				t.Errorf("%s: names %v, want %s first", op, got.Names, story.Name)
			}
			if op == payment.Reconciliation && !reflect.DeepEqual(got.Settled, story.Settled) {
				t.Errorf("settled %v, want %v", got.Settled, story.Settled)
			}
			if id := got.Transaction + "\x00" + got.Key; keys[id] {
				t.Errorf("%s: two transactions have one key", op)
			} else {
				keys[id] = true
			}
		}
	}
}

func (s NotifierSubject) declined(t *testing.T) {
	if s.Decline == "" {
		t.Skip("this service tells of successes only")
	}
	settings := s.Settings(t)
	n := s.open(t, settings)
	got := s.one(t, n, requests(t, s.service(t, settings, s.Decline), s.story(s.Operations[0]))[0])
	if got.Outcome.Result != payment.Declined {
		t.Errorf("%q is %s", s.Decline, got.Outcome.Result)
	}
}

func (s NotifierSubject) takenBack(t *testing.T) {
	if s.Void == "" {
		t.Skip("this service does not tell of what takes a sale back")
	}
	settings := s.Settings(t)
	n := s.open(t, settings)
	posted := requests(t, s.service(t, settings, s.Void), s.story(payment.Purchase))
	if len(posted) != 2 {
		t.Fatalf("%d requests, want two", len(posted))
	}
	sale, void := s.one(t, n, posted[0]), s.one(t, n, posted[1])
	if sale.Transaction != void.Transaction || sale.Key == void.Key {
		t.Error("a sale and its void are not two notices of one transaction")
	}
	o, _ := payment.Standing([]payment.Notice{sale, void})
	late, _ := payment.Standing([]payment.Notice{void, sale})
	if o.Result != payment.Reversed || late.Result != payment.Reversed {
		t.Errorf("together %s, in the other order %s", o.Result, late.Result)
	}
}

func (s NotifierSubject) toldTwice(t *testing.T) {
	settings := s.Settings(t)
	n := s.open(t, settings)
	r := requests(t, s.service(t, settings), s.story(s.Operations[0]))[0]
	if a, b := s.one(t, n, r), s.one(t, n, r); !reflect.DeepEqual(a, b) {
		t.Errorf("the same bytes say %+v, then %+v", a, b)
	}
	other := s.open(t, settings) // after a restart
	if a, b := s.one(t, n, r), s.one(t, other, r); a.Key != b.Key || a.Transaction != b.Transaction {
		t.Error("a restart changes the key")
	}
}

func (s NotifierSubject) spoiled(t *testing.T) {
	settings := s.Settings(t)
	n := s.open(t, settings)
	for _, behaviour := range s.Spoiled {
		sim := s.service(t, settings, behaviour)
		posts, err := sim.Requests(s.story(s.Operations[0]))
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range posts {
			if !p.Refused {
				t.Errorf("%s: the simulator calls it honest", behaviour)
			}
		}
		for _, r := range requests(t, s.service(t, settings, behaviour), s.story(s.Operations[0])) {
			notices, err := n.Decode(r)
			if err == nil || len(notices) > 0 {
				t.Errorf("%s: %d notices, %v", behaviour, len(notices), err)
				continue
			}
			s.silent(t, "an error", err.Error())
		}
	}
}

func (s NotifierSubject) otherKeys(t *testing.T) {
	n := s.open(t, s.Stranger(t))
	for _, op := range s.Operations {
		notices, err := n.Decode(requests(t, s.service(t, s.Settings(t)), s.story(op))[0])
		if err == nil || len(notices) > 0 || errors.Is(err, link.ErrUnreadable) {
			t.Errorf("%s with other keys: %d notices, %v", op, len(notices), err)
		}
	}
}

// changed spoils a genuine request at every byte, and cuts it everywhere.
func (s NotifierSubject) changed(t *testing.T) {
	settings := s.Settings(t)
	n := s.open(t, settings)
	r := requests(t, s.service(t, settings), s.story(s.Operations[0]))[0]
	want := s.one(t, n, r)
	check := func(what string, at int, body []byte) {
		notices, err := n.Decode(link.NotifyRequest{Header: r.Header, Body: body})
		if err == nil && (len(notices) != 1 || !reflect.DeepEqual(notices[0], want)) {
			t.Errorf("%s at %d: it is believed, and says something else", what, at)
		}
		if err != nil && errors.Is(err, link.ErrUnreadable) {
			t.Errorf("%s at %d: it is taken for genuine: %v", what, at, err)
		}
	}
	for i := range r.Body {
		for _, bit := range []byte{0x01, 0x20, 0x80} {
			body := bytes.Clone(r.Body)
			body[i] ^= bit
			check("a changed bit", i, body)
		}
		check("a cut", i, bytes.Clone(r.Body[:i]))
	}
	check("something behind", len(r.Body), append(bytes.Clone(r.Body), '{'))
}

func (s NotifierSubject) rubbish(t *testing.T) {
	n := s.open(t, s.Settings(t))
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		body := make([]byte, random.IntN(600))
		for j := range body {
			body[j] = byte(random.Uint32())
			if i%2 == 0 {
				body[j] = `{}[]":,data0123456789abcdef\`[int(body[j])%27]
			}
		}
		if notices, err := n.Decode(link.NotifyRequest{Header: http.Header{}, Body: body}); err == nil || len(notices) > 0 {
			t.Fatalf("rubbish is believed: %d notices", len(notices))
		}
	}
	for _, body := range [][]byte{nil, []byte("{"), bytes.Repeat([]byte("["), maxPost), bytes.Repeat([]byte(`{"data":`), maxPost/8)} {
		if notices, err := n.Decode(link.NotifyRequest{Body: body}); err == nil || len(notices) > 0 { // also without a header
			t.Errorf("rubbish of %d bytes is believed", len(body))
		}
	}
}

// atOnce decodes from several goroutines; the race detector looks on.
func (s NotifierSubject) atOnce(t *testing.T) {
	settings := s.Settings(t)
	n := s.open(t, settings)
	r := requests(t, s.service(t, settings), s.story(s.Operations[0]))[0]
	want := s.one(t, n, r)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 {
				mine := link.NotifyRequest{Header: r.Header.Clone(), Body: bytes.Clone(r.Body)}
				notices, err := n.Decode(mine)
				if err != nil || len(notices) != 1 || notices[0].Key != want.Key {
					t.Errorf("%d notices, %v", len(notices), err)
					return
				}
			}
		})
	}
	all.Wait()
}

func (s NotifierSubject) answers(t *testing.T) {
	n := s.Driver.Notify
	if n.Accepted.Status != http.StatusOK {
		t.Errorf("accepted is answered %d", n.Accepted.Status)
	}
	if n.Refused.Status < 400 || n.Refused.Status > 499 {
		t.Errorf("refused is answered %d", n.Refused.Status)
	}
	if !strings.HasPrefix(n.Path, "/") {
		t.Errorf("path %q", n.Path)
	}
}
