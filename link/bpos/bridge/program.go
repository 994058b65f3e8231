package bridge

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// Program is a bridge program: what it says of itself, and how it loads its
// library.
type Program struct {
	Kind  string // linux, windows
	About string // one sentence for -help
	// Library is what -library is about, "" if there is no such flag.
	Library string
	Open    func(library string) (Library, error)

	// In and Out are the line. Errors and the log go to Err.
	In       io.Reader
	Out, Err io.Writer
}

// options of a bridge program.
type options struct {
	version bool
	library string
	listen  string
	allow   []netip.Prefix
}

// Run carries out the program with its arguments, without its name, and returns
// its exit status: 0, 1 after an error, 2 for wrong arguments.
//
// Without -listen it serves one connection on In and Out and ends with it. With
// -listen it takes connections on TCP, one at a time, and serves each by a process
// of its own, so that a library that crashes or hangs takes nothing along.
func (p Program) Run(args []string) int {
	o, err := p.options(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(p.Err, "%v; see -help\n", err)
		return 2
	case o.version:
		fmt.Fprintln(p.Out, p.version())
		return 0
	}
	log := slog.New(slog.NewTextHandler(p.Err, nil))
	if o.listen == "" {
		err = p.serve(o, log)
	} else {
		err = p.listen(o, log)
	}
	if err != nil {
		fmt.Fprintln(p.Err, err)
		return 1
	}
	return 0
}

func (p Program) options(args []string) (o options, err error) {
	f := flag.NewFlagSet("bridge", flag.ContinueOnError)
	f.SetOutput(io.Discard) // it would say an error too, and all of the help behind it
	f.Usage = func() {}
	f.BoolVar(&o.version, "version", false, "tell the version, and that of the line protocol")
	if p.Library != "" {
		f.StringVar(&o.library, "library", "", p.Library)
	}
	f.StringVar(&o.listen, "listen", "", "take connections on this TCP `address`, 127.0.0.1:7171, instead of standard input and output")
	allow := f.String("allow", "", "`networks` that may connect, 192.168.2.0/24,192.168.3.7/32; without it everybody who reaches the address")
	if err := f.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			p.help(f)
		}
		return o, err
	}
	for text := range strings.SplitSeq(*allow, ",") {
		if text == "" {
			continue
		}
		n, err := netip.ParsePrefix(text)
		if err != nil {
			return o, fmt.Errorf("-allow: %q is no network: 192.168.2.0/24 is one, and 192.168.3.7/32 a single machine", text)
		}
		o.allow = append(o.allow, n)
	}
	switch {
	case f.NArg() > 0:
		return o, errors.New("there are no arguments beside the flags")
	case len(o.allow) > 0 && o.listen == "":
		return o, errors.New("-allow goes with -listen")
	case p.Library != "" && o.library == "" && !o.version:
		return o, errors.New("-library is required")
	}
	return o, nil
}

func (p Program) help(f *flag.FlagSet) {
	fmt.Fprintf(p.Err, "%s\n\nWithout -listen it speaks its line protocol on standard input and output: docs/protocols/bpos.md.\n\n", p.About)
	f.SetOutput(p.Err)
	f.PrintDefaults()
}

// version is the one of the release, as far as the build knows it, and the one of
// the line protocol, which has to be the gateway's.
func (p Program) version() string {
	release := "of unknown release"
	if b, ok := debug.ReadBuildInfo(); ok && b.Main.Version != "" {
		release = b.Main.Version
	}
	return fmt.Sprintf("bridge %s %s, line protocol %d, %s/%s", p.Kind, release, Version, runtime.GOOS, runtime.GOARCH)
}

type stdio struct {
	io.Reader
	io.Writer
}

// serve is one connection. If the library is at work when it ends, nobody waits
// for it.
func (p Program) serve(o options, log *slog.Logger) error {
	h := Host{Kind: p.Kind, Log: log, Open: func() (Library, error) { return p.Open(o.library) }}
	return h.Serve(stdio{p.In, p.Out}, func() { os.Exit(3) })
}

// listen takes connections until it is interrupted.
func (p Program) listen(o options, log *slog.Logger) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	log.Info("the bridge listens", "address", l.Addr().String())
	var args []string
	if o.library != "" {
		args = []string{"-library", o.library}
	}
	return Listen(ctx, l, o.allow, func() *exec.Cmd { return exec.Command(self, args...) }, p.Err, log)
}

// Listen serves connections one after another, each by a process that command
// makes, which has the line on its standard input and output. Others are refused
// meanwhile. It returns nil when ctx has ended and the listener is closed.
func Listen(ctx context.Context, l net.Listener, allow []netip.Prefix, command func() *exec.Cmd, said io.Writer, log *slog.Logger) error {
	free := make(chan struct{}, 1)
	free <- struct{}{}
	for {
		c, err := l.Accept()
		if ctx.Err() != nil {
			<-free
			return nil
		}
		if err != nil {
			return err
		}
		if !allowed(allow, c.RemoteAddr()) {
			log.Warn("a connection is not allowed", "from", c.RemoteAddr().String())
			c.Close()
			continue
		}
		select {
		case <-free:
		default:
			turnAway(c)
			continue
		}
		go func() {
			defer func() { free <- struct{}{} }()
			log.Info("connected", "from", c.RemoteAddr().String())
			err := relay(ctx, c, command(), said)
			log.Info("disconnected", "from", c.RemoteAddr().String(), "err", err)
		}()
	}
}

func allowed(networks []netip.Prefix, from net.Addr) bool {
	a, err := netip.ParseAddrPort(from.String())
	for _, n := range networks {
		if err == nil && n.Contains(a.Addr().Unmap()) {
			return true
		}
	}
	return len(networks) == 0
}

// turnAway tells a second gateway that there is one already.
func turnAway(c net.Conn) {
	c.SetWriteDeadline(time.Now().Add(time.Second))
	a := faulty(refuse(FaultBusy, "another gateway is connected to this bridge"))
	if b, err := a.Line(); err == nil {
		c.Write(b)
	}
	c.Close()
}

// relay carries bytes between a connection and a process until either ends, and
// ends the other.
func relay(ctx context.Context, c net.Conn, cmd *exec.Cmd, said io.Writer) error {
	defer c.Close()
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = said
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { c.Close() })()
	gone := make(chan struct{})
	go func() {
		io.Copy(in, c)
		in.Close()
		timer := time.NewTimer(2 * time.Second)
		defer timer.Stop()
		select {
		case <-gone:
		case <-timer.C:
			cmd.Process.Kill()
		}
	}()
	io.Copy(c, out)
	c.Close()
	err = cmd.Wait()
	close(gone)
	return err
}
