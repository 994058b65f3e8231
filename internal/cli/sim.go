package cli

import (
	"cmp"
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
	KeyFile  string        `name:"key-file" help:"File with the key of a terminal that has one, as of qfpay; made if it is not there. Default: beside the ledger, else in the temporary folder." placeholder:"FILE"`
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
	forget, err := s.key(driver)
	if err != nil {
		return err
	}
	defer forget()
	sim, err := driver.Simulate(link.SimulatorConfig{Ledger: s.Ledger, Script: s.Script, Currency: s.Currency, Pace: s.Pace, KeyFile: s.KeyFile, Log: log})
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
		s.advertise(a, driver, "tcp://"+l.Addr().String())
		return tcpCable(ctx, l, sim, log)
	}
	h, ok := sim.(http.Handler)
	if !ok {
		return &exit{exitUsage, fmt.Sprintf("the protocol %s has no web service: take --pty, --tcp ADDRESS or --usbip", driver.Name)}
	}
	l, err := net.Listen("tcp", s.HTTP)
	if err != nil {
		return err
	}
	s.advertise(a, driver, "http://"+l.Addr().String())
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
			s.advertise(a, driver, "serial://"+name)
			first = false
		}
	})
}

// key says where the terminal's key is, if the protocol has one, and forgets it
// at the end if nobody said where it shall stay.
func (s *simCmd) key(driver link.Driver) (forget func(), err error) {
	forget = func() {}
	switch {
	case driver.KeySetting == "" && s.KeyFile != "":
		return nil, &exit{exitUsage, fmt.Sprintf("the protocol %s has no key: leave --key-file out", driver.Name)}
	case driver.KeySetting == "":
		return forget, nil
	case s.KeyFile == "" && s.Ledger != "":
		s.KeyFile = s.Ledger + ".key"
	case s.KeyFile == "":
		dir, err := os.MkdirTemp("", "tillgate-sim-")
		if err != nil {
			return nil, err
		}
		forget = func() { os.RemoveAll(dir) }
		s.KeyFile = filepath.Join(dir, driver.Name+".key")
	}
	s.KeyFile, err = filepath.Abs(s.KeyFile)
	return forget, err
}

// advertise prints what to paste into a configuration.
func (s *simCmd) advertise(a *app, driver link.Driver, address string) {
	script := "approve"
	if len(s.Script) > 0 {
		script = strings.Join(s.Script, ", ")
	}
	lines := fmt.Sprintf("terminals:\n  - name: simulated\n    driver: %s\n    address: %s\n    currency: %s\n    max_amount: \"5000000\"\n", driver.Name, address, cmp.Or(s.Currency, driver.Currency))
	if driver.KeySetting != "" {
		lines += fmt.Sprintf("    profile:\n      %s: %q\n", driver.KeySetting, s.KeyFile)
	}
	fmt.Fprint(a.Out, lines) // at once: who waits for some has all
	fmt.Fprintf(a.Err, "A simulated %s terminal (%s). Paste the lines above into a configuration; Ctrl-C ends it.\n", driver.Name, script)
}
