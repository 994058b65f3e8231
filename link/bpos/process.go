package bpos

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// maxSaid bounds what is logged of a bridge's own words, in lines.
const maxSaid = 100

// process is a bridge that runs here: its standard input and output are the
// line. It ends when its input does, and is killed if it does not.
type process struct {
	in, out *os.File // ours: what it reads, what it writes
	cmd     *exec.Cmd
	once    sync.Once
	exited  chan struct{}
}

// startBridge starts a bridge program with a library.
func startBridge(program, library string, log *slog.Logger) (link.Conn, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		theirIn.Close()
		in.Close()
		return nil, err
	}
	p := &process{in: in, out: out, exited: make(chan struct{})}
	p.cmd = exec.Command(program, "-library", library)
	p.cmd.Stdin, p.cmd.Stdout = theirIn, theirOut
	p.cmd.WaitDelay = time.Second // a grandchild may hold the pipe of its words
	said, words := io.Pipe()
	p.cmd.Stderr = words
	err = p.cmd.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		in.Close()
		out.Close()
		return nil, fmt.Errorf("start of the bridge: %w; `make bridge` builds it", err)
	}
	go p.wait(said, words, log)
	return p, nil
}

// wait reaps the process when it has ended, and logs what it said until then.
func (p *process) wait(said io.Reader, words io.Closer, log *slog.Logger) {
	defer close(p.exited)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		listen(said, log)
	}()
	err := p.cmd.Wait()
	words.Close()
	<-heard
	if err != nil {
		log.Warn("the bridge has ended", "err", err)
	}
}

// listen logs what a bridge says on its standard error, for a while.
func listen(r io.Reader, log *slog.Logger) {
	s := bufio.NewScanner(r)
	for n := 0; n < maxSaid && s.Scan(); n++ {
		log.Info("the bridge says", "text", payment.Clip(payment.MaskNumbers(s.Text()), 400))
	}
	io.Copy(io.Discard, r)
}

func (p *process) Read(b []byte) (int, error) { return p.out.Read(b) }

func (p *process) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p *process) SetReadDeadline(t time.Time) error { return p.out.SetReadDeadline(t) }

func (p *process) SetWriteDeadline(t time.Time) error { return p.in.SetWriteDeadline(t) }

// Close ends the process: it hears the end of its input, and has half a second.
func (p *process) Close() error {
	var err error
	p.once.Do(func() {
		err = errors.Join(p.in.Close(), p.out.Close())
		timer := time.NewTimer(500 * time.Millisecond)
		defer timer.Stop()
		select {
		case <-p.exited:
		case <-timer.C:
			err = errors.Join(err, p.cmd.Process.Kill())
		}
	})
	return err
}
