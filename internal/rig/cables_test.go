package rig

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// cable joins two ports of a machine. Either end is a socket of QEMU:
//
//	near port ─ QEMU ─ socket ─ this test ─ socket ─ QEMU ─ far port
//
// A pulled plug is a near socket that goes away. To a UART that is silence; a
// USB adapter of QEMU unplugs itself with it.
type cable struct {
	t         *testing.T
	ctx       context.Context // ends with the machine
	name      string
	near, far string                           // paths of QEMU's sockets
	tell      func(format string, args ...any) // the machine

	mu    sync.Mutex
	ends  [2]net.Conn // near and far; near is nil while the plug is out
	moved int         // bytes, both ways
	left  int         // bytes until the plug is pulled; below 0: it stays
	after time.Duration
	armed int // how often; a timer of an earlier time pulls nothing
}

// dial waits for QEMU to make a socket.
func dial(ctx context.Context, path string) (net.Conn, error) {
	for ; ; time.Sleep(5 * time.Millisecond) {
		c, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
		if err == nil || ctx.Err() != nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
			return c, err
		}
	}
}

// plug puts the plug in, if it is out.
func (c *cable) plug() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, path := range []string{c.near, c.far} {
		if c.ends[i] != nil {
			continue
		}
		end, err := dial(c.ctx, path)
		if err != nil {
			return err
		}
		c.ends[i] = end
		go c.carry(end, 1-i)
	}
	return nil
}

// carry moves what one end says to the other, until the end is closed.
func (c *cable) carry(from net.Conn, to int) {
	b := make([]byte, 4096)
	for {
		n, err := from.Read(b)
		if err != nil {
			return
		}
		c.move(b[:n], from, to)
	}
}

// move passes bytes on. What is behind the byte at which the plug is pulled, or
// comes while it is out, is lost.
func (c *cable) move(b []byte, from net.Conn, to int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends[to] == nil || c.ends[1-to] != from {
		return
	}
	due := c.left >= 0 && len(b) > c.left
	if due && c.after == 0 {
		b = b[:c.left]
	}
	c.moved += len(b)
	if len(b) > 0 {
		if _, err := c.ends[to].Write(b); err != nil && !errors.Is(err, syscall.EPIPE) {
			c.t.Errorf("cable %s: %v", c.name, err)
		}
	}
	switch {
	case due && c.after == 0:
		c.sever()
	case due:
		armed := c.armed
		c.left = -1
		time.AfterFunc(c.after, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if armed == c.armed {
				c.sever()
			}
		})
	case c.left >= 0:
		c.left -= len(b)
	}
}

// arm has the plug pulled before the next byte but n, or so long after it.
func (c *cable) arm(n int, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest()
	c.left, c.after = n, after
}

// rest is called with the lock held.
func (c *cable) rest() {
	c.left = -1
	c.armed++
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sever()
}

// sever is called with the lock held.
func (c *cable) sever() {
	c.rest()
	if c.ends[0] == nil {
		return
	}
	c.ends[0].Close()
	c.ends[0] = nil
	c.tell("out %s", c.name)
}

// off ends a cable of a machine that is off.
func (c *cable) off() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rest()
	for i, end := range c.ends {
		if end != nil {
			end.Close()
		}
		c.ends[i] = nil
	}
}

// obey does what a scene says over the hand's port: a word, a cable, numbers.
// The answers are in internal/rig/scenes.
//
//	plug CABLE            in CABLE
//	arm CABLE N MS        armed CABLE      and "out CABLE" when it is done; N < 0: not at all
//	pull CABLE            "out CABLE", unless it is out
//	count CABLE           count CABLE N
func obey(line string, cables map[string]*cable) error {
	f := strings.Fields(line)
	if len(f) < 2 || cables[f[1]] == nil {
		return fmt.Errorf("the machine asks for %q", line)
	}
	c := cables[f[1]]
	switch {
	case f[0] == "plug":
		err := c.plug()
		c.tell("in %s", c.name)
		return err
	case f[0] == "pull":
		c.pull()
	case f[0] == "count":
		c.mu.Lock()
		n := c.moved
		c.mu.Unlock()
		c.tell("count %s %d", c.name, n)
	case f[0] == "arm" && len(f) == 4:
		n, err1 := strconv.Atoi(f[2])
		ms, err2 := strconv.Atoi(f[3])
		if err := errors.Join(err1, err2); err != nil {
			return err
		}
		c.arm(n, time.Duration(ms)*time.Millisecond)
		c.tell("armed %s", c.name)
	default:
		return fmt.Errorf("the machine asks for %q", line)
	}
	return nil
}

// serveCables plugs in the machine's cables and obeys its scenes, until the
// machine is off. dir has QEMU's sockets.
func serveCables(ctx context.Context, t *testing.T, dir string) {
	hand, err := dial(ctx, filepath.Join(dir, "hand"))
	if err != nil {
		t.Errorf("the machine's port for our orders: %v", err)
		return
	}
	defer hand.Close()
	var mu sync.Mutex
	tell := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Fprintf(hand, format+"\n", args...); err != nil {
			t.Errorf("tell the machine: %v", err)
		}
	}
	cables := map[string]*cable{}
	for _, name := range []string{"uart", "ftdi"} {
		c := &cable{t: t, ctx: ctx, name: name, near: filepath.Join(dir, name+"-near"), far: filepath.Join(dir, name+"-far"), tell: tell, left: -1}
		if err := c.plug(); err != nil {
			t.Errorf("cable %s: %v", name, err)
			return
		}
		cables[name] = c
		defer c.off()
	}
	lines := bufio.NewScanner(hand)
	for lines.Scan() {
		if err := obey(lines.Text(), cables); err != nil {
			t.Errorf("cables: %v", err)
		}
	}
	if err := lines.Err(); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the machine's port for our orders: %v", err)
	}
}
