package qfpay

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/simulate"
)

// Simulator is a terminal of this protocol with the QFPay behind it. On one
// byte stream it speaks packets, HTTP or TCP, as it is spoken to
// ([Simulator.Serve]), and it is a web service ([Simulator.ServeHTTP]). Each
// money command takes the next behaviour of its script, the last one stays; they
// are listed in docs/protocols/qfpay.md.
//
// The terminal outlives its connections, and with a ledger file its process: a
// payment that has begun goes on when the cable is out, and what it has to say
// goes to the cable that is plugged in when it is done. While it serves a
// customer it answers questions and can be stopped, and hears no other money
// command. All methods are safe for concurrent use.
type Simulator struct {
	number   int // of the terminal, from its name
	pace     time.Duration
	log      *slog.Logger
	profiles []*profile // the readings of its key
	power    simulate.Power

	mu      sync.Mutex
	script  simulate.Script[behaviour]
	mood    behaviour     // of the last money command; before any, of the first to come
	serving chan struct{} // of the customer being served, nil: none; closed by function 5001
	later   *charge       // a payment whose approval is still to come
	asks    int           // and how many questions it waits for
	state   state
	file    string
	cable   *simPort // where packets go: the newest connection that speaks them
}

// charge is a payment on its way to the bank.
type charge struct {
	req   request
	minor int64
}

// NewSimulator makes a terminal. The currency "" is HKD.
func NewSimulator(c link.SimulatorConfig) (*Simulator, error) {
	c, script, err := simulate.Prepare(c, "HKD", grammar())
	if err != nil {
		return nil, fmt.Errorf("simulator qfpay: %w", err)
	}
	if _, ok := payment.Exponent(c.Currency); !ok {
		return nil, fmt.Errorf("simulator qfpay: currency %q is not in ISO 4217", c.Currency)
	}
	s := &Simulator{
		number: simulate.Number(c.Name, 100_000), pace: c.Pace, log: c.Log, script: script, mood: script.Peek(), file: c.Ledger,
		state: state{Bank: simulate.Bank{Currency: c.Currency}},
	}
	if err := simulate.Load(c.Ledger, &s.state); err != nil {
		return nil, fmt.Errorf("simulator qfpay: ledger: %w", err)
	}
	key, err := simKey(c.KeyFile, s.mood.key)
	if err == nil {
		s.profiles, err = readings(key)
	}
	if err != nil {
		return nil, fmt.Errorf("simulator qfpay: %w", err)
	}
	return s, nil
}

// simKey is the key of a terminal: the script's, else that of the file, else the
// printed one. A file that is not there is made, with the script's key or a new one.
func simKey(file, scripted string) (posKey, error) {
	if file == "" {
		return posKey{cmp.Or(scripted, defaultKey)}, nil
	}
	fresh := make([]byte, keyLength/2)
	rand.Read(fresh)
	made := cmp.Or(scripted, hex.EncodeToString(fresh))
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if scripted != "" {
			return posKey{scripted}, nil
		}
		return readKey(file)
	}
	if err != nil {
		return posKey{}, err
	}
	_, err = f.WriteString(made + "\n")
	return posKey{made}, errors.Join(err, f.Close())
}

// readings are the ways in which a key can be meant.
func readings(k posKey) (all []*profile, err error) {
	for _, reading := range []string{KeyASCII, KeyHex} {
		settings := defaults()
		settings.Key = reading
		p, err := newProfile(settings, k)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
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

// reply is what the terminal does about a request.
type reply struct {
	respcd string
	data   []map[string]string
	text   string
	mute   bool // it says nothing
	half   bool // and stops in the middle
	noise  bool // or says something that is no answer
	hangUp bool // the connection ends afterwards
}

// money says whether a request takes a behaviour of the script.
func (r request) money() bool {
	f := r.content.get("func_type")
	return f == "1001" || f == "1002"
}

// mute is what nobody hears an answer to.
var mute = reply{mute: true}

// open reads a request with every reading of the key.
func (s *Simulator) open(b []byte) (r request, p *profile, err error) {
	s.mu.Lock()
	profiles := s.profiles
	s.mu.Unlock()
	for _, p = range profiles {
		if r, err = p.parseRequest(b); err == nil {
			return r, p, nil
		}
	}
	return r, profiles[0], err
}

// run carries a request out, however long it takes. ok is false if the terminal
// lost its power meanwhile.
func (s *Simulator) run(r request, p *profile) (rep reply, ok bool) {
	if !r.genuine(p.key) {
		return reply{respcd: "4003", text: "pos-key mismatch"}, true
	}
	if s.isLoggedOut(r) {
		return reply{respcd: "4007", text: "not logged in"}, true
	}
	if !r.money() {
		return s.at(func() (reply, error) { return s.service(r) })
	}
	s.mu.Lock()
	if s.serving != nil {
		s.mu.Unlock()
		return mute, true
	}
	s.mood = s.script.Next()
	stopped := make(chan struct{})
	s.serving = stopped
	wait := s.mood.slow + 3*s.pace
	s.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	carry := s.money
	select {
	case <-timer.C:
	case <-stopped:
		carry = func(request) (reply, error) { return reply{respcd: "6001", text: "cancelled"}, nil }
	case <-s.power.Done():
		return mute, false
	}
	return s.at(func() (reply, error) {
		s.serving = nil
		return carry(r)
	})
}

// isLoggedOut says whether a request finds nobody logged in. A money command
// takes the next behaviour all the same.
func (s *Simulator) isLoggedOut(r request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.mood.loggedOut
	if out && r.money() {
		s.mood = s.script.Next()
	}
	return out
}

// next takes the next behaviour for a money command that is not carried out.
func (s *Simulator) next() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mood = s.script.Next()
}

// at does something to the terminal's state, and makes it durable before
// anybody hears of it.
func (s *Simulator) at(f func() (reply, error)) (reply, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	rep, err := f()
	if err != nil {
		s.log.Error("simulated terminal stops: the ledger cannot be written", "err", err)
		s.power.Cut()
		return mute, false
	}
	return rep, s.power.On()
}
