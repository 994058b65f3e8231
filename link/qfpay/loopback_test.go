package qfpay

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// served is a simulator behind a real socket of this machine, or for packets
// over TCP behind one as a serial server has it, and the way to it.
func served(t *testing.T, wire string, script ...string) (*Simulator, link.Config) {
	t.Helper()
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	script[0] += "+key:" + ownKey
	sim, err := NewSimulator(link.SimulatorConfig{Script: script})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { sim.Close() })
	s := defaults()
	s.KeyFile = write("key", []byte(ownKey+"\n"))
	c := link.Config{Name: "t", Currency: "HKD", Settings: s}
	if wire == "http" || wire == "https" {
		server := httptest.NewUnstartedServer(sim)
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		if wire == "https" {
			ca, cert := authority(t)
			s.CAFile, s.ServerName = write("ca", ca), "terminal.test"
			server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
			server.StartTLS()
		} else {
			server.Start()
		}
		t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
		c.Address = server.URL
		return sim, c
	}
	if wire == "packets" {
		s.Wire = WirePacket
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go sim.Serve(context.Background(), conn)
		}
	}()
	c.Address = "tcp://" + l.Addr().String()
	c.Dial = func(ctx context.Context) (link.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		return conn, nil
	}
	return sim, c
}

// TestLoopback sells over real sockets, in real time: what is said, what is lost
// with the connection and found by a question, an abort, a refund and a print.
func TestLoopback(t *testing.T) {
	for _, wire := range []string{"packets", "tcp", "http", "https"} {
		t.Run(wire, func(t *testing.T) {
			t.Parallel()
			sim, c := served(t, wire, "approve", "decline", "cancel", "half-answer", "reboot", "slow:10m", "approve")
			term := opened(t, c)
			w := &world{t: t}
			var sale payment.Outcome
			for _, want := range []payment.Result{payment.Approved, payment.Declined, payment.Cancelled} {
				tx := w.purchase(1010)
				o, err := w.sell(term, tx)
				if err != nil || o.Result != want {
					t.Fatalf("got %+v, %v, want %s", o, err, want)
				}
				if want == payment.Approved {
					sale = o
				}
			}
			for _, lost := range []string{"half-answer", "reboot"} {
				tx := w.purchase(500)
				if o, err := w.sell(term, tx); err == nil || !link.Sent(err) {
					t.Errorf("%s: got %+v, %v", lost, o, err)
				}
				term.Close()
				term = opened(t, c)
				if o, err := term.Lookup(t.Context(), tx, time.Second); err != nil || o.Result != payment.Approved || o.Amount != hkd(500) {
					t.Errorf("%s: lookup got %+v, %v", lost, o, err)
				}
			}
			stop := make(chan struct{})
			o, err := term.Execute(t.Context(), w.purchase(700), link.Dialogue{
				Abort: stop, Progress: func(payment.Stage, payment.VendorCode) { close(stop) },
			})
			if err != nil || o.Result != payment.Cancelled {
				t.Errorf("aborted: got %+v, %v", o, err)
			}
			if o, err := w.sell(term, w.refund(sale, 1010)); err != nil || o.Result != payment.Approved {
				t.Errorf("refund: got %+v, %v", o, err)
			}
			for _, p := range []link.Printout{{Kind: payment.PrintReceipt, Of: sale.Reference}, {Kind: payment.PrintTotals}} {
				if _, err := term.Print(t.Context(), p); err != nil {
					t.Errorf("print %s: %v", p.Kind, err)
				}
			}
			if l := sim.Ledger(); len(l) != 3 || !l[0].Reversed {
				t.Errorf("ledger: %+v", l)
			}
			term.Close()
		})
	}
}

func opened(t *testing.T, c link.Config) *terminal {
	t.Helper()
	term, err := Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { term.Close() })
	return term.(*terminal)
}
