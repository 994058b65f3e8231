package cli_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"tillgate/internal/cli"
	"tillgate/internal/control"
	"tillgate/internal/loopback"
	"tillgate/internal/payment"
	"tillgate/link/drivers"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"tillgate": func() {
		all := drivers.All()
		os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, cli.Parts{Drivers: all, Version: cli.VersionOf(all, "", "")}))
	}})
}

// TestScripts runs the command line as a person would, in testdata/script,
// with every part real: broker, simulated terminal on its line, journal.
//
//	status N command...    the command ends with exit status N
//	ready SOCKET           waits until the gateway on SOCKET sells
//	sells SOCKET NAME...   waits until each of these terminals sells
//	alerted SOCKET CODE    waits until there is this alert
//	listening ADDRESS      waits until somebody listens
//	health SOCKET FILE     waits until the broker is connected, writes the health
//	event TYPE SOCKET      waits until the journal has an event of this type
//	asking SOCKET ID       waits until the terminal has the payment and asks for a card
//	await FILE TEXT        waits until the file has the text
//	linked NAME            waits until the link leads somewhere
//	envsubst FILE...       replaces $WORK, $PORT ... in files
//
// $PORT, $PORT2 and $PORT3 are free TCP ports on loopback.
func TestScripts(t *testing.T) {
	var ports loopback.Ports
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			for _, name := range []string{"PORT", "PORT2", "PORT3"} {
				free, err := ports.Free()
				if err != nil {
					return err
				}
				_, port, _ := net.SplitHostPort(free)
				e.Setenv(name, port)
			}
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("TILLGATE_CONFIG", "")
			e.Setenv("GORACE", raceExit)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status": status, "ready": ready, "asking": asking, "event": event, "health": health, "sells": sells, "alerted": alerted, "listening": listening, "await": await, "linked": linked, "envsubst": envsubst,
		},
	})
}

func status(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: status N command...")
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		e, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = e.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit status is %d, want %d", got, want)
	}
}

// raceExit spares each of the many short processes the second that a program
// with the race detector sleeps before it ends.
const raceExit = "atexit_sleep_ms=0"

// patience is how long a script waits for what has to happen.
const patience = 60 * time.Second

func until(ts *testscript.TestScript, what string, done func() (bool, string)) {
	last := ""
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		ok, found := done()
		if ok {
			return
		}
		last = found
	}
	ts.Fatalf("waited for %s: %s", what, last)
}

func ready(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "a gateway that sells", func() (bool, string) {
		c, err := control.Dial(ts.MkAbs(args[0]))
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		s, err := c.Status(context.Background())
		return err == nil && s.Sellable, fmt.Sprint(s, err)
	})
}

func sells(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "terminals that sell", func() (bool, string) {
		c, err := control.Dial(ts.MkAbs(args[0]))
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		s, err := c.Status(context.Background())
		n := 0
		for _, t := range s.Terminals {
			if t.Sellable && slices.Contains(args[1:], t.Name) {
				n++
			}
		}
		return n == len(args)-1, fmt.Sprint(s, err)
	})
}

func alerted(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "alert "+args[1], func() (bool, string) {
		c, err := control.Dial(ts.MkAbs(args[0]))
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		s, err := c.Status(context.Background())
		return slices.ContainsFunc(s.Alerts, func(a payment.Alert) bool { return string(a.Code) == args[1] }), fmt.Sprint(s, err)
	})
}

func listening(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "somebody on "+args[0], func() (bool, string) {
		c, err := net.Dial("tcp", args[0])
		if err == nil {
			c.Close()
		}
		return err == nil, fmt.Sprint(err)
	})
}

func asking(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "payment "+args[1], func() (bool, string) {
		c, err := control.Dial(ts.MkAbs(args[0]))
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		s, err := c.Status(context.Background())
		return slices.ContainsFunc(s.Terminals, func(t payment.TerminalStatus) bool {
			return t.Payment == payment.ID(args[1]) && t.Stage == payment.StageWaitingCard
		}), fmt.Sprint(s, err)
	})
}

func linked(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, args[0], func() (bool, string) {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err == nil, fmt.Sprint(err)
	})
}

func health(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "a broker", func() (bool, string) {
		c, err := control.Dial(ts.MkAbs(args[0]))
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		h, err := c.Health(context.Background())
		b, _ := json.Marshal(h) // strings and booleans
		ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
		return err == nil && h.Destinations["local"], fmt.Sprint(h, err)
	})
}

func event(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, "event "+args[0], func() (bool, string) {
		c, err := control.Dial(ts.MkAbs(args[1]))
		if err != nil {
			return false, err.Error()
		}
		defer c.Close()
		var seen []string
		for e, err := range c.Events(context.Background(), 1, false) {
			if err != nil {
				return false, err.Error()
			}
			seen = append(seen, string(e.Type))
		}
		return slices.Contains(seen, args[0]), fmt.Sprint(seen)
	})
}

func await(ts *testscript.TestScript, _ bool, args []string) {
	until(ts, args[1]+" in "+args[0], func() (bool, string) {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		return strings.Contains(string(b), args[1]), fmt.Sprintf("%s %v", b, err)
	})
}

// envsubst replaces $WORK, $PORT ... in files.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o644))
	}
}
