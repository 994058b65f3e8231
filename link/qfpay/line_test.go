package qfpay

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/stream"
)

// peer is the other end of a stream, by hand.
func peer(t *testing.T) (*serial, net.Conn) {
	t.Helper()
	ours, theirs := net.Pipe()
	var p atomic.Pointer[profile]
	p.Store(testProfile(t, nil))
	return newSerial(ours, &p, slog.New(slog.DiscardHandler)), theirs
}

func read(t *testing.T, c net.Conn) packet {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(time.Minute))
	b := make([]byte, maxPacket)
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	p, _, v := parse(b[:n])
	if v != isPacket {
		t.Fatalf("got %q", b[:n])
	}
	return p
}

// TestGap: a part that comes after half a second is refused, and so is what does
// not fit; what comes whole is taken.
func TestGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := peer(t)
		defer s.Close()
		text := []byte(`{"respcd":"6000","data":{"out_trade_no":"A1","respcd":"0000"}}`)
		parts := split(nil, kindRequest, 5, text, 40)
		first := parts[:40+overhead]
		c.Write(first)
		time.Sleep(600 * time.Millisecond)
		c.Write(parts[40+overhead:])
		if p := read(t, c); p.kind != errSplit || p.number != 5 {
			t.Errorf("a late part: got %+v", p)
		}
		c.Write(first[:20]) // and a packet that stops in the middle
		time.Sleep(600 * time.Millisecond)
		c.Write(split(nil, kindRequest, 6, text, 40)[:40+overhead])
		time.Sleep(400 * time.Millisecond)
		c.Write(split(nil, kindRequest, 6, text, 40)[40+overhead:])
		if p := read(t, c); p.kind != kindAnswer || p.number != 6 {
			t.Errorf("in time: got %+v", p)
		}
		for _, tt := range []struct {
			text string
			want byte
		}{{"", errContent}, {"hello", errDecrypt}, {"{}", errContent}} {
			c.Write(packet{kindRequest, 7, len(tt.text), []byte(tt.text)}.append(nil))
			if p := read(t, c); p.kind != tt.want || p.number != 7 {
				t.Errorf("%q: got %+v, want type %#x", tt.text, p, tt.want)
			}
		}
		broken := packet{kindRequest, 8, 3, []byte("abc")}.append(nil)
		broken[len(broken)-1] = 'x'
		c.Write(broken)
		if p := read(t, c); p.kind != errFormat || p.number != 8 {
			t.Errorf("a broken packet: got %+v", p)
		}
		if got := s.waiting(); len(got) != 1 || got[0].names() != "A1" {
			t.Errorf("delivered: %+v", got)
		}
	})
}

// TestNumbers: requests are numbered in a circle without 0.
func TestNumbers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := peer(t)
		defer s.Close()
		last := byte(0)
		for i := range 300 {
			done := make(chan error)
			go func() {
				_, err := s.exchange(context.Background(), call{content: function(funcQuery), within: time.Second, take: func(h heard) bool { return h.ours }})
				done <- err
			}()
			p := read(t, c)
			if i > 0 && p.number != last%maxNumber+1 || p.number == 0 || p.number > maxNumber {
				t.Fatalf("after %d comes %d", last, p.number)
			}
			last = p.number
			text := []byte(`{"respcd":"6000"}`)
			c.Write(packet{kindAnswer, last%maxNumber + 1, len(text), text}.append(nil)) // somebody else's number
			c.Write(packet{kindAnswer, last, len(text), text}.append(nil))
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestStopIsRepeated: the wish that the terminal may stop is sent again until it
// has answered the request, with a number of its own each time.
func TestStopIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, c := peer(t)
		defer s.Close()
		stop, done := make(chan struct{}), make(chan error)
		close(stop)
		go func() {
			_, err := s.exchange(context.Background(), call{content: function(funcTrade), within: time.Minute, abort: stop, take: func(h heard) bool { return h.ours }})
			done <- err
		}()
		request := read(t, c)
		c.Write(packet{kind: kindAnswer, number: request.number}.append(nil))
		seen := map[byte]bool{request.number: true}
		began := time.Now()
		for range 3 {
			p := read(t, c)
			r, err := s.profile.Load().parseRequest(p.data)
			if err != nil || r.content.get("func_type") != "5001" || seen[p.number] {
				t.Errorf("got %+v, %v", r, err)
			}
			seen[p.number] = true
			text := []byte(`{"respcd":"6000"}`)
			c.Write(packet{kindAnswer, p.number, len(text), text}.append(nil)) // there is nothing to stop
		}
		if d := time.Since(began); d != 2*stopEvery {
			t.Errorf("three wishes take %v", d)
		}
		text := []byte(`{"respcd":"6001"}`)
		c.Write(packet{kindAnswer, request.number, len(text), text}.append(nil))
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// TestStopOvertakes: on wires with a connection for each request the wish can
// come before the request.
func TestStopOvertakes(t *testing.T) {
	for _, wire := range []string{WireTCP, WireHTTP} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, func(s *Settings) { s.Wire = wire }, "slow:10m", "approve")
			defer w.sim.Close()
			term := w.mustOpen()
			defer term.Close()
			slow := true
			w.wrap = func(c link.Conn) link.Conn { // what is written takes two seconds, on the first connection
				if !slow {
					return c
				}
				slow = false
				near, far := net.Pipe()
				go func() {
					defer c.Close()
					buf := make([]byte, 1<<16)
					n, err := far.Read(buf)
					time.Sleep(2 * time.Second)
					if err == nil {
						c.Write(buf[:n])
						go io.Copy(io.Discard, far)
						io.Copy(far, c)
					}
					far.Close()
				}()
				return near
			}
			stop := make(chan struct{})
			began := time.Now()
			o, err := term.Execute(context.Background(), w.purchase(100), link.Dialogue{Abort: stop, Progress: func(payment.Stage, payment.VendorCode) { close(stop) }})
			if d := time.Since(began); err != nil || o.Result != payment.Cancelled || d > 20*time.Second || slow {
				t.Errorf("%s after %v: got %+v, %v", wire, d, o, err)
			}
		})
	}
}

// TestSilentPort: a serial line on which nobody answers is told what most often
// is wrong with it.
func TestSilentPort(t *testing.T) {
	for address, hinted := range map[string]bool{
		"/dev/ttyUSB0": false, "serial:///dev/ttyUSB0?baud=115200": true, "uart:///dev/ttyAMA0?stop=2&baud=19200": true, "usb:067b:2303": false, "serial:///dev/ttyUSB0?baud=9600": false, "tcp://127.0.0.1:4001": false,
	} {
		synctest.Test(t, func(t *testing.T) {
			s := defaults()
			s.Wire, s.KeyFile = WirePacket, filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(s.KeyFile, []byte(ownKey), 0o600); err != nil {
				t.Fatal(err)
			}
			dial := func(context.Context) (link.Conn, error) {
				ours, theirs := net.Pipe()
				go io.Copy(io.Discard, theirs)
				return ours, nil
			}
			_, err := Open(context.Background(), link.Config{Address: address, Settings: s, Dial: dial})
			if !errors.Is(err, errNoAck) || strings.Contains(err.Error(), "9600 baud, and the address says otherwise") != hinted {
				t.Errorf("%s: got %v", address, err)
			}
		})
	}
}

func TestSettings(t *testing.T) {
	if err := defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for field, edit := range map[string]func(*Settings){
		"key_file": func(s *Settings) { s.KeyFile = "key" }, "key": func(s *Settings) { s.Key = "aes" }, "envelope": func(s *Settings) { s.Envelope = "" },
		"syntax": func(s *Settings) { s.Syntax = "xml" }, "digest_over": func(s *Settings) { s.DigestOver = DigestSealed }, "wire": func(s *Settings) { s.Wire = "usb" },
		"model": func(s *Settings) { s.Model = "a930" }, "channel": func(s *Settings) { s.Channel = "cash" }, "camera": func(s *Settings) { s.Camera = "top" },
		"scan_type": func(s *Settings) { s.ScanType = "scan" }, "wait_card_timeout": func(s *Settings) { s.WaitCardTimeout = time.Millisecond },
		"payment_timeout": func(s *Settings) { s.Channel, s.PaymentTimeout = "payme", 121*time.Second }, "answer_amount": func(s *Settings) { s.AnswerAmount = "" },
		"lookup_by": func(s *Settings) { s.LookupBy = "syssn" }, "idle_code": func(s *Settings) { s.IdleCode = "60" }, "part_size": func(s *Settings) { s.PartSize = maxPart + 1 },
		"ack_timeout": func(s *Settings) { s.AckTimeout = 0 }, "part_gap": func(s *Settings) { s.PartGap = time.Minute }, "query_timeout": func(s *Settings) { s.QueryTimeout = -1 },
		"ca_file": func(s *Settings) { s.CAFile = "ca.pem" }, "absent_codes": func(s *Settings) { s.AbsentCodes = []string{"1136", "0000"} },
	} {
		s := defaults()
		edit(s)
		v, _ := errors.AsType[payment.Invalid](s.Validate())
		if len(v) != 1 || v[0].Field != field {
			t.Errorf("%s: got %v", field, v)
		}
	}
}

func TestAnswerAmount(t *testing.T) {
	for _, tt := range []struct {
		unit, text, currency string
		want                 payment.Money
	}{
		{AmountMinor, "1010", "HKD", hkd(1010)}, {AmountMinor, "1010", "344", hkd(1010)}, {AmountMinor, "1010", "", hkd(1010)}, {AmountMinor, "1010", "hkd", hkd(1010)},
		{AmountMinor, "10.1", "HKD", payment.Money{}}, {AmountMinor, "1010", "CNY", payment.Money{}}, {AmountMinor, "1010", "156", payment.Money{}},
		{AmountMinor, "", "HKD", payment.Money{}}, {AmountMinor, "-5", "HKD", payment.Money{}},
		{AmountMajor, "10.1", "HKD", hkd(1010)}, {AmountMajor, "1010", "HKD", hkd(101000)}, {AmountMajor, "1e3", "HKD", payment.Money{}},
	} {
		term := &terminal{settings: defaults(), currency: "HKD"}
		term.settings.AnswerAmount = tt.unit
		if got := term.money(record{text: map[string]string{"txcurrcd": tt.currency}}, tt.text); got != tt.want {
			t.Errorf("%+v: got %v", tt, got)
		}
	}
}

// TestTakenBack: a payment that was approved and has been taken back since is
// neither paid nor unpaid.
func TestTakenBack(t *testing.T) {
	in(t, nil, []string{"approve"}, func(w *world, term *terminal) {
		tx := w.purchase(1000)
		sale, err := w.sell(term, tx)
		if err != nil {
			t.Fatal(err)
		}
		if o, err := w.sell(term, w.refund(sale, 1000)); err != nil || o.Result != payment.Approved {
			t.Fatalf("got %+v, %v", o, err)
		}
		if o, err := term.Lookup(context.Background(), tx, link.DefaultLongest+1); !errors.Is(err, link.ErrUnproven) {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

func TestPrint(t *testing.T) {
	for _, wire := range []string{WirePacket, WireTCP, WireHTTP} {
		in(t, func(s *Settings) { s.Wire = wire }, []string{"approve"}, func(w *world, term *terminal) {
			sale, err := w.sell(term, w.purchase(1000))
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				what link.Printout
				ok   bool
			}{
				{link.Printout{Kind: payment.PrintReceipt, Of: sale.Reference}, true},
				{link.Printout{Kind: payment.PrintTotals}, true},
				{link.Printout{Kind: payment.PrintReceipt, Of: payment.Reference{Receipt: "1"}}, false},
				{link.Printout{Kind: payment.PrintReceipt}, false},
				{link.Printout{Kind: payment.PrintJournal}, false},
			} {
				if _, err := term.Print(context.Background(), c.what); (err == nil) != c.ok {
					t.Errorf("%s: %+v: %v", wire, c.what, err)
				}
			}
		})
	}
}

// TestSingle: what a terminal can do wrong on a connection of its own. Whatever
// it is, something was sent, and the next question is answered.
func TestSingle(t *testing.T) {
	sealed := string(testProfile(t, nil).sealer.seal([]byte(`{"respcd":"6000"}`)))
	for name, tt := range map[string]struct {
		wire, say string
		good      bool
	}{
		"tcp": {WireTCP, sealed, true}, "tcp, plain": {WireTCP, `{"respcd":"6000"}`, true}, "tcp, truncated": {WireTCP, sealed[:len(sealed)-3], false},
		"tcp, nothing": {WireTCP, "", false}, "tcp, too long": {WireTCP, strings.Repeat("A", maxBody+1), false},
		"http": {WireHTTP, "HTTP/1.1 200 OK\r\n\r\n" + sealed, true}, "http, quoted": {WireHTTP, "HTTP/1.1 200 OK\r\n\r\n\"" + sealed + "\"", true},
		"http, redirect": {WireHTTP, "HTTP/1.1 302 Found\r\nLocation: http://x/\r\n\r\n", false}, "http, error": {WireHTTP, "HTTP/1.1 500 No\r\n\r\n" + sealed, false},
		"http, too long": {WireHTTP, "HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat(" ", maxBody+1), false}, "http, no HTTP": {WireHTTP, sealed, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var p atomic.Pointer[profile]
			p.Store(testProfile(t, nil))
			dial := func(context.Context) (link.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					defer theirs.Close()
					b := make([]byte, 1<<16)
					if _, err := theirs.Read(b); err == nil {
						io.Copy(theirs, strings.NewReader(tt.say))
					}
				}()
				return ours, nil
			}
			s, err := newSingle(link.Config{Dial: dial}, tt.wire, &p, stream.DialHost, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			sent, err := s.exchange(context.Background(), call{content: function(funcCancel), within: time.Minute, take: func(heard) bool { return true }})
			if (err == nil) != tt.good || !sent {
				t.Errorf("%s: got sent %v, %v", name, sent, err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	s := defaults()
	p, err := newProfile(s, posKey{defaultKey})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"respcd":"6000","data":"[{\"respcd\":\"0000\",\"cardno\":\"4720111122225184\"}]"}`), false)
	f.Add([]byte("{content:{amt=10.1,channel='wx',func_type=1001}, digest:'ADA9E6F7E3F7739FD78BBCDC9DC9E87B'}"), true)
	f.Add([]byte("{content:{a=1}, digest:'}"), true) // one quote for both ends
	f.Add([]byte(`{"content":"{func_type: 3002}","digest":"79fd145311d54d03e4e685d50f15dd7f"}`), true)
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		if seal {
			sealed := p.sealer.seal(b)
			if plain, err := p.sealer.open(sealed); err != nil || !bytes.Equal(plain, b) {
				t.Fatalf("sealed and opened: got %q, %v", plain, err)
			}
			b = sealed
		}
		if a, err := p.read(b); err == nil {
			if a.respcd == "" || len(a.records) > maxRecords {
				t.Errorf("got %+v", a)
			}
			judge(a)
		}
		if r, err := p.parseRequest(b); err == nil {
			q := request{}
			if err := q.pairs(string(r.content.pairs())); err == nil && len(q.content) == 0 && len(r.content) > 0 {
				t.Errorf("%s is read as nothing", r.content.pairs())
			}
		}
		Explain(io.Discard, b)
	})
}
