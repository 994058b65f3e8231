package qfpay

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/linktest"
)

func subject(t *testing.T) linktest.Subject {
	hkd := func(minor int64) payment.Money { return payment.Money{Minor: minor, Currency: "HKD"} }
	p := testProfile(t, nil)
	sealed := p.sealer.seal([]byte(`{"respcd":"6000","data":""}`))
	return linktest.Subject{
		Driver:   Driver(),
		Currency: "HKD",
		ByID:     true,
		Settings: func() any {
			s := defaults()
			s.Syntax, s.Key, s.PartSize = SyntaxJSON, KeyHex, 100
			return s
		},
		Approve: "approve", Decline: "decline:1201", Cancel: "cancel", Slow: "slow:20s", SlowDecline: "slow:20s+decline:1201",
		Charged: []string{
			"lost-answer", "half-answer", "garbage", "reboot", "cancel-charged", "charged:4005", "charged:6002", "charged:9999", "charged:nothing",
			"charged:1136", "charged:1142", "charged:1143", "charged:1145", "charged:1181", "charged:1102", "charged:1204", "charged:1298", "charged:08", "charged:",
			"no-ack+lost-answer", "wrong-number+lost-answer", "late-ack+lost-answer", "lost-answer+way:ack", "lost-answer+way:second", "lost-answer+plain", "lost-answer+list",
			"lost-answer+split:7+marks", "lost-answer+duplicate", "slow:20s+lost-answer", "lost-answer+nameless", "hand-after",
		},
		Dead:    []string{"mute", "reboot-before", "busy", "error:30", "hand-sale"},
		Late:    []string{"late-approval", "late-approval:2", "late-approval:5", "late-approval:90s"},
		Foreign: []string{"foreign-query"},
		Junk: [][]byte{
			[]byte("/n/n/n/n"), []byte("/n\x01\x10\x05\xff\xff\xff\xf4"), []byte("/n\x01\x20\x05\x00\x0b\x00\x00/n"), []byte("/n\x01\x10\x05\x00\x0c\x00\x01{/n"),
			packet{kindRequest, 3, len(sealed), sealed}.append(nil), packet{kindRequest, 3, 6, []byte("abc")}.append(nil), packet{kind: kindError, number: 99}.append(nil), // its number may be the request's
		},
		Uncarried: map[string]payment.Request{
			"no amount": {ID: "x", Operation: payment.Purchase}, "thirteen digits": {ID: "x", Operation: payment.Purchase, Amount: hkd(payment.MaxMinor + 1)},
			"refund of nothing": {ID: "x", Operation: payment.Refund, Amount: hkd(1)},
			"refund of a quote": {ID: "x", Operation: payment.Refund, Amount: hkd(1), Original: payment.Reference{Payment: "p", Receipt: "1'2"}},
			"reversal":          {ID: "x", Operation: payment.Reversal, Original: payment.Reference{Payment: "p", Receipt: "1"}},
		},
		Valid: [][]byte{
			packet{kindRequest, 3, len(sealed), sealed}.append(nil), packet{kindAnswer, 3, 0, nil}.append(nil), packet{kind: errSplit, number: 4}.append(nil),
			p.render(function(funcCancel)), []byte(`{"respcd":"6001","data":"","respmsg":"","resperr":"user cancel"}`),
			[]byte("POST /api/pos/cancel_request HTTP/1.1\r\nHost: x\r\n\r\n" + string(quoted(string(p.render(function(funcCancel)))))),
		},
		Invalid: [][]byte{
			sealed[:len(sealed)-4], []byte("/n\x01\x10\x05\xff\xff\xff\xf4/n"), []byte(`{"respcd":""}`), []byte(`{"content":{"func_type":1},"digest":""}`),
			[]byte("HTTP/1.1 200 OK\r\n"), packet{kindRequest, 3, 6, []byte("abc")}.append(nil),
		},
	}
}

func TestConformance(t *testing.T) { linktest.Run(t, subject(t)) }

// TestConformanceTCP and TestConformanceHTTP: the same over the wires that have
// a connection for each request.
func TestConformanceTCP(t *testing.T) { linktest.Run(t, apart(subject(t), WireTCP)) }

func TestConformanceHTTP(t *testing.T) { linktest.Run(t, apart(subject(t), WireHTTP)) }

func apart(s linktest.Subject, wire string) linktest.Subject {
	own := s.Driver.Settings
	s.Driver.Settings = func() any {
		d := own().(*Settings)
		d.Wire = wire
		return d
	}
	s.Settings = func() any {
		d := s.Driver.Settings().(*Settings)
		d.Syntax, d.Envelope, d.DigestOver, d.LookupBy = SyntaxJSON, EnvelopeContent, DigestSealed, ByOrderID
		return d
	}
	var charged []string
	for _, name := range s.Charged {
		if !strings.Contains(name, "-ack") && !strings.Contains(name, "wrong-number") {
			charged = append(charged, name)
		}
	}
	s.Apart = true
	s.Charged, s.Dead = charged, []string{"mute", "reboot-before", "busy", "hand-sale"}
	return s
}

// TestConformanceHTTPS: the same through TLS, with an authority of the
// terminal's own and a key that is not the printed one. A handshake has
// thousands of bytes; with CRASH=all in the environment it is broken at each.
func TestConformanceHTTPS(t *testing.T) {
	s := secure(t, apart(subject(t), WireHTTP))
	if s.Stride = 97; os.Getenv("CRASH") == "all" {
		s.Stride = 1
	}
	linktest.Run(t, s)
}

// secure puts TLS between a driver and its simulator.
func secure(t *testing.T, s linktest.Subject) linktest.Subject {
	const key = "00112233445566778899aabbccddeeff"
	ca, cert := authority(t)
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	keyFile, caFile := file("key", []byte(key+"\n")), file("ca.pem", ca)
	profile := func(of func() any) func() any {
		return func() any {
			d := of().(*Settings)
			d.KeyFile, d.CAFile, d.ServerName = keyFile, caFile, "terminal.test"
			return d
		}
	}
	s.Settings, s.Driver.Settings = profile(s.Settings), profile(s.Driver.Settings)
	s.Driver.Open = func(ctx context.Context, c link.Config) (link.Terminal, error) {
		c.Address = "https://terminal.test"
		return open(ctx, c, func(host string) func(context.Context) (link.Conn, error) {
			if host != "terminal.test:9001" {
				t.Errorf("%s is dialled", host)
			}
			return c.Dial
		})
	}
	s.Driver.Simulate = func(c link.SimulatorConfig) (link.Simulator, error) {
		c.Script = append([]string{c.Script[0] + "+key:" + key}, c.Script[1:]...)
		sim, err := NewSimulator(c)
		return tlsSimulator{sim, &tls.Config{Certificates: []tls.Certificate{cert}}}, err
	}
	return s
}

// tlsSimulator is a simulator that is spoken to through TLS.
type tlsSimulator struct {
	*Simulator
	config *tls.Config
}

func (s tlsSimulator) Serve(ctx context.Context, c link.Conn) error {
	return s.Simulator.Serve(ctx, secured{tls.Server(socket{c}, s.config), c})
}

// secured is closed without TLS's farewell: that waits for a peer which does not
// read.
type secured struct {
	*tls.Conn
	raw link.Conn
}

func (s secured) Close() error { return s.raw.Close() }

// socket lets TLS run over any line.
type socket struct{ link.Conn }

func (socket) LocalAddr() net.Addr  { return nil }
func (socket) RemoteAddr() net.Addr { return nil }

func (s socket) SetDeadline(t time.Time) error {
	return errors.Join(s.SetReadDeadline(t), s.SetWriteDeadline(t))
}
