package cli

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"tillgate/link"
)

type simCmd struct {
	Driver string `arg:"" help:"Protocol of the terminal: ${drivers}."`
	PTY    bool   `name:"pty" xor:"line" help:"On a pseudo-terminal, as an RS232 port."`
	TCP    string `name:"tcp" xor:"line" help:"On a TCP port." placeholder:"ADDRESS"`
	HTTP   string `name:"http" xor:"line" help:"As a web service, where the protocol has one." placeholder:"ADDRESS"`
	simUSB
	Link     string        `help:"With --pty: name of the link to the device. Default: a new one in the temporary folder." placeholder:"PATH"`
	Script   []string      `help:"What happens to each money command, the last one stays: approve, decline:51, lost-answer ... See the protocol's page in docs." placeholder:"BEHAVIOUR,..."`
	Ledger   string        `help:"File that keeps the simulated bank's ledger. Default: memory." placeholder:"FILE"`
	Currency string        `help:"Currency of the terminal. Default: the usual one of the protocol." placeholder:"CODE"`
	Pace     time.Duration `default:"1s" help:"How long the customer takes at each stage." placeholder:"TIME"`
	Verbose  bool          `short:"v" help:"Tell more."`

	Tell tellFlags `embed:"" group:"A protocol that only tells"`
}

func (simCmd) Help() string {
	return `It serves until Ctrl-C. The lines for the configuration are printed first.

    tillgate sim ecrvn --pty
    tillgate sim ecrvn --http 127.0.0.1:8080 --script approve,decline:51,lost-answer
    tillgate sim ecrvn --pty --ledger bank.json --pace 200ms
    tillgate sim qfpay --usbip --usb-as bulk
    sudo tillgate sim ecrvn --usbip --attach

With --usbip the kernel sees a USB device and gives it its own driver, or
libusb. Only root may plug one in: either this program does it (--attach), or
it stays an ordinary user's and 'sudo usbip attach' does.

A protocol that only tells, such as zengi, is simulated by its sender: it
posts to the listener of the configuration, with the keys that are named
there, says what was answered, and ends. Exit status 1 if something genuine
was refused, or something forged taken.

    tillgate sim zengi --config tillgate.yaml --payment A1 --amount 123456
    tillgate sim zengi --config tillgate.yaml --script void-first,wrong-sign,approve+replay:3`
}

func (s *simCmd) Run(a *app) error {
	driver, err := a.driver(s.Driver)
	if err != nil {
		return err
	}
	if driver.Notifies() {
		return s.tell(a, driver)
	}
	if driver.Simulate == nil {
		return fmt.Errorf("the driver %s has no simulator", driver.Name)
	}
	if !s.PTY && s.TCP == "" && s.HTTP == "" && !s.USBIP {
		return &exit{exitUsage, "say on what the terminal shall be found: --pty, --tcp ADDRESS, --http ADDRESS or --usbip"}
	}
	level := slog.LevelInfo
	if s.Verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(a.Err, &slog.HandlerOptions{Level: level}))
	sim, err := driver.Simulate(link.SimulatorConfig{Ledger: s.Ledger, Script: s.Script, Currency: s.Currency, Pace: s.Pace, Log: log})
	if err != nil {
		return err
	}
	defer sim.Close()
	ctx, stop := signal.NotifyContext(a.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	switch {
	case s.PTY:
		return s.onPTY(ctx, a, driver, sim, log)
	case s.USBIP:
		return s.onUSB(ctx, a, driver, sim, log)
	case s.TCP != "":
		l, err := net.Listen("tcp", s.TCP)
		if err != nil {
			return err
		}
		s.advertise(a, driver.Currency, "tcp://"+l.Addr().String())
		return tcpCable(ctx, l, sim, log)
	}
	h, ok := sim.(http.Handler)
	if !ok {
		return fmt.Errorf("the protocol %s has no web service", driver.Name)
	}
	l, err := net.Listen("tcp", s.HTTP)
	if err != nil {
		return err
	}
	s.advertise(a, driver.Currency, "http://"+l.Addr().String())
	return webCable(ctx, l, h)
}

func (s *simCmd) onPTY(ctx context.Context, a *app, driver link.Driver, sim link.Simulator, log *slog.Logger) error {
	name := s.Link
	if name == "" {
		dir, err := os.MkdirTemp("", "tillgate-sim-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		name = filepath.Join(dir, "terminal")
	}
	name, err := filepath.Abs(name)
	if err != nil {
		return err
	}
	first := true
	return ptyCable(ctx, name, sim, log, func(device string) {
		log.Debug("plugged in", "device", device)
		if first {
			s.advertise(a, driver.Currency, "serial://"+name)
			first = false
		}
	})
}

// advertise prints what to paste into a configuration.
func (s *simCmd) advertise(a *app, usual, address string) {
	currency := s.Currency
	if currency == "" {
		currency = usual
	}
	script := "approve"
	if len(s.Script) > 0 {
		script = strings.Join(s.Script, ", ")
	}
	fmt.Fprintf(a.Out, "terminals:\n  - name: simulated\n    driver: %s\n    address: %s\n    currency: %s\n    max_amount: \"5000000\"\n", s.Driver, address, currency)
	fmt.Fprintf(a.Err, "A simulated %s terminal (%s). Paste the lines above into a configuration; Ctrl-C ends it.\n", s.Driver, script)
}
