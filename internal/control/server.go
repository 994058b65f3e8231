package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

// Options says what a [Server] serves.
type Options struct {
	Path      string // of the socket, required; at most 100 bytes
	Gateway   Gateway
	Journal   Journal
	Terminals []Terminal
	Version   Version
	Updates   Updates      // nil: there are none
	Log       *slog.Logger // nil discards
}

// Server is the socket of a running gateway.
type Server struct {
	o        Options
	listener net.Listener
	stopping chan struct{} // closed when the streams shall end
}

// Listen makes the socket. A file that a crash left behind is replaced, but
// only if nobody answers there.
func Listen(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := vacant(o.Path); err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	// The socket gets its mode under another name: from the moment it has its
	// own name nobody but owner and group can connect.
	making := o.Path + ".new"
	if err := os.Remove(making); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: making, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("control socket: %w", err)
	}
	l.SetUnlinkOnClose(false)
	err = os.Chmod(making, 0o660)
	if err == nil {
		err = os.Rename(making, o.Path)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("control socket: %w", err)
	}
	return &Server{o: o, listener: l, stopping: make(chan struct{})}, nil
}

// vacant makes sure that path is free, or a socket that nobody listens on.
func vacant(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return fmt.Errorf("%s is there and is not a socket: move it away", path)
	}
	c, err := net.DialTimeout("unix", path, 2*time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("another gateway answers on %s: stop it first, or choose another socket", path)
	}
	if refused(err) {
		return nil
	}
	return fmt.Errorf("%s: %w", path, err)
}

// Serve answers until ctx ends, then ends the streams, gives running requests
// a moment, and removes the socket.
func (s *Server) Serve(ctx context.Context) error {
	h := &http.Server{
		Handler:           s.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ConnContext:       withPeer,
		ErrorLog:          slog.NewLogLogger(s.o.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(s.listener) }()
	var err error
	select {
	case err = <-ended:
	case <-ctx.Done():
		close(s.stopping)
		wait, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if h.Shutdown(wait) != nil {
			h.Close()
		}
		<-ended
	}
	if rerr := os.Remove(s.o.Path); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
		s.o.Log.Warn("control socket stays behind", "path", s.o.Path, "err", rerr)
	}
	return err
}

// discard reads what is left of a refused body, a bounded amount.
func discard(r io.Reader) { _, _ = io.CopyN(io.Discard, r, MaxCommand) }
