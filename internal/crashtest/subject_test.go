package crashtest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos"
	"tillgate/link/drivers"
	"tillgate/link/ecrvn"
	"tillgate/link/privat"
	"tillgate/link/qfpay"
	"tillgate/link/ssi"
)

// subject is a driver under the crash matrix, on one of its wires. A new driver
// is one more of them; the stories, the breaks and the oracle are the same.
type subject struct {
	name     string
	driver   link.Driver
	currency string
	settings func() any // a profile under which a lookup can tell most
	address  string     // what the driver is told; whatever it is, each dial is a line to the simulator

	// positional: no id of ours travels, so that the ledger names no attempt. Its
	// entries are told apart by where they stand and by their amounts.
	positional bool

	// settled are behaviours after which the terminal can say in the end what
	// became of the payment. After those of doubtful nobody can but a person.
	settled, doubtful []string

	// lost has the bank approve without an answer, half with half of one; dead
	// ends before the bank is asked. "" is none.
	lost, half, dead string

	// longest is how long a payment can last until it is over, with the time for
	// which the terminal waits for a confirmation; 0 means 30 seconds.
	longest time.Duration

	// fulfil is how long goods may take; 0 means a minute. A protocol that wants
	// approvals confirmed may have less.
	fulfil time.Duration

	// profile is for the kills of the real binary: YAML in one line, with short
	// times. "" is no kills. $KEY in it is a file with key, the terminal's own.
	profile, key string
}

func subjects() []subject {
	return []subject{
		onECRVN(), onSSI("ssi", ""), onSSI("ssi-tcp", "tcp://terminal:3000"), onSSIWeb(), onSSIDocument(),
		onQFPay("qfpay", qfpay.WirePacket), onQFPay("qfpay-http", qfpay.WireHTTP), onQFPay("qfpay-tcp", qfpay.WireTCP), onPrivat(), onBPOS(),
	}
}

func onECRVN() subject {
	return subject{
		name: "ecrvn", driver: ecrvn.Driver(), currency: "VND",
		settings: func() any {
			s := ecrvn.Driver().Settings().(*ecrvn.Settings)
			s.SilentWhenBusy = true
			return s
		},
		settled: []string{
			"approve", "decline:51", "cancel", "cancel-charged", "charged:08", "charged:", "lost-answer", "half-answer", "garbage", "reboot", "reboot-before",
			"mute", "busy", "late-approval", "late-approval:2", "late-approval:3", "late-approval:5s", "late-approval:25s", "approve+echo", "approve+linebreaks",
		},
		doubtful: []string{"swapped", "batch-closed", "hand-sale", "hand-after", "lost-answer+no-inner-ids", "wrong-amount"},
		lost:     "lost-answer", half: "half-answer", dead: "reboot-before",
		profile: "{silent_when_busy: true, query_timeout: 1s}",
	}
}

func onSSI(name, address string) subject {
	return subject{
		name: name, address: address, driver: ssi.Driver(), currency: "UAH", settings: ssi.Driver().Settings,
		settled: []string{
			"approve", "decline:51", "cancel", "refuse", "lost-ack", "half-ack", "bad-lrc", "bad-json", "bad-length", "garbage", "reboot", "reboot-before",
			"mute", "batch-closed", "hand-after", "late-approval:5s", "late-approval:25s", "slow:5s+lost-ack", "approve+fragments", "lost-ack+odd-status",
		},
		doubtful: []string{"swapped", "hand-sale", "charged:FAILED", "charged:CONNECTION_TIMEOUT", "charged:E11", "lost-ack+v1.1.10", "wrong-amount"},
		lost:     "lost-ack", half: "half-ack", dead: "reboot-before",
		profile: "{request_timeout: 1s, poll: 250ms, gap: 0s, idle_gap: 200ms}",
	}
}

// onSSIWeb has the JSON over HTTP.
func onSSIWeb() subject {
	s := onSSI("ssi-http", "tcp://terminal:3001")
	s.settings = func() any {
		d := ssi.Driver().Settings().(*ssi.Settings)
		d.Wire = ssi.WireHTTP
		return d
	}
	s.profile = ""
	return s
}

// onSSIDocument has firmware of the document, to which no id of ours means
// anything, where nobody can sell on the keypad.
func onSSIDocument() subject {
	s := onSSI("ssi-1.1.10", "")
	s.settings = func() any {
		d := ssi.Driver().Settings().(*ssi.Settings)
		d.Keypad = ssi.KeypadLocked
		return d
	}
	old := func(behaviours []string, but ...string) (all []string) {
		for _, b := range behaviours {
			if !slices.Contains(but, b) && !strings.Contains(b, "v1.1.10") {
				all = append(all, b+"+v1.1.10")
			}
		}
		return all
	}
	s.settled, s.doubtful = old(s.settled, "hand-after"), old(s.doubtful, "hand-sale") // position is taken for proof: that is what locked means
	s.lost, s.half, s.dead, s.profile = s.lost+"+v1.1.10", s.half+"+v1.1.10", s.dead+"+v1.1.10", ""
	return s
}

func onQFPay(name, wire string) subject {
	s := subject{
		name: name, driver: qfpay.Driver(), currency: "HKD",
		settings: func() any {
			s := qfpay.Driver().Settings().(*qfpay.Settings)
			s.Wire = wire
			return s
		},
		settled: []string{
			"approve", "decline:1201", "cancel", "cancel-charged", "charged:6002", "charged:1143", "charged:", "lost-answer", "half-answer", "garbage", "reboot",
			"reboot-before", "mute", "busy", "late-approval", "late-approval:3", "late-approval:5s", "late-approval:25s", "approve+split:40+marks", "lost-answer+nameless", "hand-sale", "hand-after",
		},
		doubtful: []string{"foreign-query", "wrong-amount"},
		lost:     "lost-answer", half: "half-answer", dead: "reboot-before",
	}
	if wire == qfpay.WirePacket {
		s.settled = append(s.settled, "no-ack+lost-answer", "late-ack", "wrong-number+lost-answer", "approve+way:ack", "approve+way:second", "duplicate", "error:30")
		s.profile, s.key = "{key_file: $KEY, query_timeout: 1s, ack_timeout: 200ms, part_gap: 50ms}", "00112233445566778899AABBCCDDEEFF"
	}
	return s
}

func onPrivat() subject {
	return subject{
		name: "privat", driver: privat.Driver(), currency: "UAH", positional: true,
		settings: func() any {
			s := privat.Driver().Settings().(*privat.Settings)
			s.Keypad = privat.KeypadLocked
			return s
		},
		settled: []string{
			"approve", "decline:51", "cancel", "ended", "charged:", "charged:0068", "charged:1001", "lost-answer", "half-answer", "garbage", "reboot",
			"reboot-before", "mute", "busy", "late-approval", "late-approval:3", "late-approval:5s", "late-approval:25s", "lost-answer+typos", "approve+echo", "partial",
		},
		doubtful: []string{"swapped", "batch-closed", "wrong-amount"},
		lost:     "lost-answer", half: "half-answer", dead: "reboot-before",
		profile: "{keypad: locked, pause: 0s, query_timeout: 1s}",
	}
}

// onBPOS has the simulator behind the line of a bridge. What is not confirmed the
// terminal takes back: the scripts cut between result and Confirm (confirm-lost),
// and between Confirm and its answer (confirm-mute).
func onBPOS() subject {
	return subject{
		name: "bpos", driver: bpos.Driver(), currency: "UAH", positional: true, fulfil: 10 * time.Second, longest: time.Minute,
		settings: func() any {
			s := bpos.Driver().Settings().(*bpos.Settings)
			s.Keypad, s.ConfirmWait = bpos.KeypadLocked, 40*time.Second
			return s
		},
		settled: []string{
			"approve", "decline:51", "cancel", "ended", "ended:1001", "charged:", "charged:68", "charged:1001", "charged:1004", "taken-back", "taken-back:1001", "lost-answer",
			"half-answer", "garbage", "reboot", "reboot-before", "mute", "busy", "confirm-lost", "confirm-mute", "signature", "partial",
			"late-approval", "late-approval:3", "late-approval:5s", "late-approval:25s",
		},
		doubtful: []string{"swapped", "batch-closed", "wrong-amount"},
		lost:     "lost-answer", half: "half-answer", dead: "reboot-before",
		profile: "{keypad: locked, confirm_wait: 31s, query_timeout: 1s, poll: 50ms}",
	}
}

func (s subject) has(op payment.Operation) bool { return slices.Contains(s.driver.Operations, op) }

func (s subject) money(minor int64) payment.Money {
	return payment.Money{Minor: minor, Currency: s.currency}
}

func (s subject) lasts() time.Duration {
	if s.longest == 0 {
		return 30 * time.Second
	}
	return s.longest
}

func (s subject) within() time.Duration {
	if s.fulfil == 0 {
		return time.Minute
	}
	return s.fulfil
}

// scene is a story with what the terminal does about each money command of it.
type scene struct {
	story  story
	script []string
}

func (sc scene) String() string { return sc.story.name + " " + strings.Join(sc.script, ",") }

func (s subject) scenes() []scene {
	var out []scene
	for _, behaviour := range s.doubtful {
		out = append(out, scene{doubtStory, []string{behaviour, "approve"}})
	}
	for _, behaviour := range s.settled {
		out = append(out, scene{saleStory, []string{behaviour, "approve"}})
	}
	for _, st := range []story{vendStory, rollbackStory, deadlineStory, reverseStory} {
		out = append(out, scene{st, []string{"approve"}})
		if s.lost != "" {
			out = append(out, scene{st, []string{s.lost, "approve"}})
		}
	}
	for _, more := range []struct {
		story     story
		behaviour string
	}{{rollbackStory, s.lost}, {rollbackStory, s.dead}, {reverseStory, s.half}} {
		if more.behaviour != "" {
			out = append(out, scene{more.story, []string{"approve", more.behaviour, "approve"}})
		}
	}
	return out
}

// Every subject is a driver of the list with scripts that its simulator knows,
// and every driver with a simulator is a subject.
func TestSubjects(t *testing.T) {
	missing := map[string]bool{}
	for _, d := range drivers.All() {
		missing[d.Name] = d.Simulate != nil
	}
	for _, s := range subjects() {
		delete(missing, s.driver.Name)
		for _, sc := range s.scenes() {
			sim, err := s.driver.Simulate(link.SimulatorConfig{Script: sc.script, Currency: s.currency})
			if err != nil {
				t.Errorf("%s: %s: %v", s.name, sc, err)
				continue
			}
			sim.Close()
		}
	}
	for name, has := range missing {
		if has {
			t.Errorf("driver %s has a simulator and no row among the subjects", name)
		}
	}
}
