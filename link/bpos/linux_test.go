package bpos

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// built are the Linux bridge and the stand-in for the vendor's library.
type built struct{ program, library string }

// buildBridge builds the real bridge program, and with the C compiler a shared
// library with the vendor's exported names.
func buildBridge(t *testing.T) built {
	t.Helper()
	if _, err := exec.LookPath("gcc"); err != nil || runtime.GOOS != "linux" {
		t.Skip("NOT RUN: the bridge to the vendor's library needs Linux and gcc: install gcc and libc6-dev")
	}
	if testing.Short() {
		t.Skip("it builds a program with cgo")
	}
	dir := t.TempDir()
	b := built{filepath.Join(dir, "bridge"), filepath.Join(dir, "libBPOSLib.so")}
	for _, c := range [][]string{
		{"gcc", "-Wall", "-Werror", "-shared", "-fPIC", "-o", b.library, "bridge/linux/testdata/standin.c"},
		{"go", "build", "-tags", "bposlib", "-o", b.program, "./bridge/linux"},
	} {
		cmd := exec.Command(c[0], c[1:]...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOFLAGS=-buildvcs=false")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", c, err, out)
		}
	}
	return b
}

// behind serves the stand-in's wire with a simulated terminal, and returns the
// address.
func behind(t *testing.T, sim *Simulator, network, address string) string {
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				lib := sim.Library()
				for in := bufio.NewScanner(c); in.Scan(); {
					fmt.Fprintln(c, obey(lib, in.Text()))
				}
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// obey carries one line of the stand-in out: see standin.c.
func obey(lib bridge.Library, line string) string {
	fields := strings.Split(line, "\t")
	name := fields[0]
	if name == "IssueName" {
		name = "IssuerName"
	}
	if m, ok := bridge.FindMethod(name); ok {
		args := make([]any, len(m.Args))
		for i, a := range m.Args {
			switch f := fields[i+1]; a.Kind {
			case bridge.Text:
				b, _ := hex.DecodeString(f)
				args[i] = bridge.Decode1251(b)
			case bridge.Bool:
				args[i] = f != "0"
			default:
				n, _ := strconv.ParseInt(f, 10, 64)
				args[i] = n
			}
		}
		code, err := lib.Call(name, args)
		if err != nil {
			code = 16
		}
		return strconv.Itoa(code)
	}
	switch v, _ := lib.Get(name); v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case string:
		b, _ := bridge.Encode1251(v)
		return "0\t" + hex.EncodeToString(b)
	case []byte:
		return strconv.Itoa(len(v)) + "\t" + hex.EncodeToString(v)
	}
	return "0"
}

// TestLinuxBridge proves the bridge over the stand-in: the driver starts the real
// program, which loads a real shared library and calls its C functions.
func TestLinuxBridge(t *testing.T) {
	b := buildBridge(t)
	sim, err := NewSimulator(link.SimulatorConfig{Script: []string{"approve", "decline:51", "approve", "slow:2s", "approve"}, Pace: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	address := behind(t, sim, "tcp", "127.0.0.1:0")
	settings := func() *Settings {
		s := defaults()
		s.Bridge, s.Library, s.Keypad, s.Poll = b.program, b.library, KeypadLocked, 50*time.Millisecond
		return s
	}
	open := func(address string, s *Settings) (*terminal, error) {
		term, err := Open(t.Context(), link.Config{Name: "linux", Address: address, Settings: s})
		if err != nil {
			return nil, err
		}
		t.Cleanup(func() { term.Close() })
		return term.(*terminal), nil
	}
	mustOpen := func(t *testing.T) *terminal {
		t.Helper()
		term, err := open("tcp://"+address, settings())
		if err != nil {
			t.Fatal(err)
		}
		return term
	}
	t.Run("sales", func(t *testing.T) {
		term := mustOpen(t)
		if term.kind != "linux" || term.library != "stand-in" {
			t.Errorf("got bridge %q with library %q", term.kind, term.library)
		}
		for i, want := range []payment.Result{payment.Approved, payment.Declined, payment.Approved} {
			tx := sale(fmt.Sprint("L", i), 12345+int64(i))
			o, err := sellAndConfirm(t, term, &tx)
			if err != nil || o.Result != want {
				t.Fatalf("sale %d: got %+v, %v", i, o, err)
			}
			if len(o.Receipt) == 0 || want == payment.Approved && (o.Receipt[0] != "ОПЛАТА" || o.Amount != tx.Amount || o.Reference.RRN == "" || o.Card.PAN.Last4() != "9838") {
				t.Errorf("sale %d: got %+v", i, o)
			}
		}
	})
	t.Run("serial", func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "tty")
		behind(t, sim, "unix", socket)
		term, err := open("serial://"+socket+"?baud=9600", settings())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := term.Diagnose(t.Context()); err != nil {
			t.Error(err)
		}
		if _, err := open("serial://"+socket+"?parity=even", settings()); err == nil || !strings.Contains(err.Error(), "parity") {
			t.Errorf("with parity: got %v", err)
		}
	})
	t.Run("no terminal", func(t *testing.T) {
		if _, err := open("serial:///dev/nothing-here", settings()); err == nil || link.Sent(err) || !strings.Contains(err.Error(), "cannot open") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("no library", func(t *testing.T) {
		for _, file := range []string{"/nothing/libBPOSLib.so", b.program, "/dev/null"} {
			s := settings()
			s.Library = file
			if _, err := open("tcp://"+address, s); err == nil || link.Sent(err) || !strings.Contains(err.Error(), "load "+file) {
				t.Errorf("%s: got %v", file, err)
			}
		}
		s := settings()
		s.Bridge = "/nothing/bridge"
		if _, err := open("tcp://"+address, s); err == nil || !strings.Contains(err.Error(), "make bridge") {
			t.Errorf("without a program: got %v", err)
		}
	})
	t.Run("the library prints", func(t *testing.T) {
		term := mustOpen(t)
		if err := term.done(t.Context(), "SetScreen", 668); err == nil || !strings.Contains(err.Error(), "terminal says") {
			t.Errorf("got %v, want the terminal's own refusal", err)
		}
	})
	for name, number := range map[string]int{"the library crashes": 666, "the library hangs": 667} {
		t.Run(name, func(t *testing.T) {
			before := running(t, b.program)
			term := mustOpen(t)
			ours := slices.DeleteFunc(running(t, b.program), func(pid string) bool { return slices.Contains(before, pid) })
			if len(ours) != 1 {
				t.Fatalf("%d bridges were started", len(ours))
			}
			term.settings.QueryTimeout = time.Second // once it runs: a start may take its time
			if _, err := term.ask(t.Context(), "SetScreen", number); err == nil {
				t.Error("a library that is gone answers")
			} else if _, ok := errors.AsType[*link.Error](err); !ok {
				t.Errorf("got %v, want an error of the link", err)
			}
			tx := sale("C", 777)
			if o, err := term.Execute(t.Context(), tx, link.Dialogue{}); err == nil || link.Sent(err) {
				t.Errorf("a sale after it: got %+v, %v", o, err)
			}
			term.Close()
			until(t, func() bool { return !slices.Contains(running(t, b.program), ours[0]) })
			again := mustOpen(t)
			if _, err := again.Diagnose(t.Context()); err != nil {
				t.Errorf("a new bridge: %v", err)
			}
		})
	}
	t.Run("killed in a sale", func(t *testing.T) { killInSale(t, sim, open, "tcp://"+address, settings()) })
	t.Run("every method and property", func(t *testing.T) { everyCall(t, b, address) })
	t.Run("as a service", func(t *testing.T) { listening(t, b, address) })
}

// running lists the processes that run a program. One that has ended and was not
// reaped does not.
func running(t *testing.T, program string) (pids []string) {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range all {
		if exe, err := os.Readlink(filepath.Join(dir, "exe")); err == nil && exe == program {
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}

// killInSale lets the bridge die while the customer pays: the sale is in doubt,
// and the terminal takes it back, since nobody confirms it.
func killInSale(t *testing.T, sim *Simulator, open func(string, *Settings) (*terminal, error), address string, s *Settings) {
	term, err := open(address, s)
	if err != nil {
		t.Fatal(err)
	}
	tx := sale("K", 54321)
	if tx.Baseline, err = term.Baseline(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	var once bool
	o, err := term.Execute(t.Context(), tx, link.Dialogue{Progress: func(st payment.Stage, _ payment.VendorCode) {
		if st != payment.StageWaitingCard && !once { // the card is read
			once = true
			term.Close()
		}
	}})
	if err == nil || !link.Sent(err) {
		t.Errorf("got %+v, %v, want doubt", o, err)
	}
	until(t, func() bool { return !sim.term.Status().Working })
	again, err := open(address, s)
	if err != nil {
		t.Fatal(err)
	}
	if o, err := again.Lookup(t.Context(), tx, time.Millisecond); !errors.Is(err, link.ErrInProgress) {
		t.Errorf("at once: got %+v, %v", o, err)
	}
	next := sale("N", 11) // any operation makes the terminal give up waiting
	if o, err := sellAndConfirm(t, again, &next); err != nil || o.Result != payment.Approved {
		t.Fatalf("next: got %+v, %v", o, err)
	}
	if o, err := again.Lookup(t.Context(), tx, time.Hour); err != nil || o.Result != payment.Reversed {
		t.Errorf("later: got %+v, %v", o, err)
	}
}

// everyCall calls every method and reads every property that the bridge has, over
// the C interface.
func everyCall(t *testing.T, b built, address string) {
	conn, err := startBridge(b.program, b.library, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := bridge.NewClient(conn)
	defer c.Close()
	if _, err := c.Hello(t.Context(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	host, port, _ := net.SplitHostPort(address)
	values := map[bridge.Kind]any{bridge.Byte: 1, bridge.Number: 1, bridge.Bool: true, bridge.Text: "Слово"}
	call := func(m bridge.Method, args ...any) {
		code, _, err := c.Call(t.Context(), 10*time.Second, m.Name, args...)
		refused := ""
		if r, ok := errors.AsType[*bridge.Refusal](err); ok {
			refused = string(r.Fault)
		}
		switch {
		case m.Refused != "" && refused != "refused", m.Refused == "" && m.NoC && refused != "absent":
			t.Errorf("%s: got %d, %v", m.Name, code, err)
		case m.Refused == "" && !m.NoC && err != nil:
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	tcp, _ := bridge.FindMethod("CommOpenTCP")
	call(tcp, host, port)
	for _, m := range bridge.Methods() {
		var args []any
		for _, a := range m.Args {
			args = append(args, values[a.Kind])
		}
		switch m.Name {
		case "CommOpenTCP", "CommClose", "CommOpen":
			continue
		case "useLogging":
			args[0] = 0
		case "SelectApp", "Balance", "Deposit", "CashAdvance", "IdentifyCard":
			for i := range args {
				if args[i] == "Слово" {
					args[i] = "980"
				}
			}
		}
		call(m, args...)
		until(t, func() bool {
			v, err := c.Get(t.Context(), 10*time.Second, "LastResult")
			return err != nil || v.Number("LastResult") != resultWorking
		})
	}
	for _, p := range bridge.Properties() {
		v, err := c.Get(t.Context(), 10*time.Second, p.Name)
		switch {
		case p.Refused != "" && (err == nil || !strings.Contains(err.Error(), "refused")):
			t.Errorf("%s: got %v, %v", p.Name, v, err)
		case p.Refused == "" && (err != nil || (v[p.Name] == nil) != p.NoC):
			t.Errorf("%s: got %v, %v", p.Name, v, err)
		}
	}
	closing, _ := bridge.FindMethod("CommClose")
	call(closing)
}

// listening runs the bridge as it would run on another machine: each connection
// has a process of its own, and there is one at a time.
func listening(t *testing.T, b built, address string) {
	cmd := exec.Command(b.program, "-library", b.library, "-listen", "127.0.0.1:0", "-allow", "127.0.0.0/8")
	var said lockedBuffer
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cmd.Process.Signal(os.Interrupt)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the bridge ended with %v: %s", err, said.String())
		}
	}()
	var at string
	until(t, func() bool {
		_, rest, ok := strings.Cut(said.String(), "address=")
		at, _, _ = strings.Cut(rest, "\n")
		return ok && at != ""
	})
	dial := func(ctx context.Context) (link.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "tcp", at) }
	s := defaults()
	s.Port, s.Keypad = address, KeypadLocked
	open := func() (link.Terminal, error) {
		return Open(t.Context(), link.Config{Name: "remote", Address: "tcp://" + at, Dial: dial, Settings: s})
	}
	term, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := open(); err == nil || !strings.Contains(err.Error(), "another gateway") {
		t.Errorf("a second gateway: got %v", err)
	}
	tx := sale("R", 4242)
	if o, err := sellAndConfirm(t, term.(*terminal), &tx); err != nil || o.Result != payment.Approved {
		t.Errorf("got %+v, %v", o, err)
	}
	term.(*terminal).ask(t.Context(), "SetScreen", 666)
	term.Close()
	until(t, func() bool { // the one before has to be gone first
		again, err := open()
		if err == nil {
			again.Close()
		}
		return err == nil
	})
}

// lockedBuffer is written by a process and read by the test.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
