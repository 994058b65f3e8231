package bpos

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillgate/link"
)

// script makes a bridge of a few lines of shell.
func script(t *testing.T, lines ...string) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "bridge")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+strings.Join(lines, "\n")+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return program
}

// A process that the library leaves behind holds the bridge's standard error. The
// bridge is reaped all the same, and its words are heard.
func TestGrandchild(t *testing.T) {
	left := filepath.Join(t.TempDir(), "pid")
	program := script(t, "sleep 1000 </dev/null >/dev/null &", "echo $! >"+left, "echo it was card 4731171122229838 >&2")
	var log lockedBuffer
	conn, err := startBridge(program, "", slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		b, err := os.ReadFile(left)
		pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || pid < 2 {
			t.Fatalf("the process that was left behind is not known: %q, %v", b, err)
		}
		syscall.Kill(pid, syscall.SIGKILL)
	}()
	p := conn.(*process)
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		t.Error("the bridge has ended, and nobody has reaped it")
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
	if got := log.String(); !strings.Contains(got, "it was card") || strings.Contains(got, "47311711") {
		t.Errorf("the log has %s", got)
	}
}

// A bridge that does not hear the end of its input is killed.
func TestDeafBridge(t *testing.T) {
	conn, err := startBridge(script(t, "trap '' TERM INT", "while :; do sleep 1000 2>/dev/null; done"), "", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	<-conn.(*process).exited
}

// A bridge that dies, hangs or talks nonsense is a broken line: nothing was sent,
// and the error is of use.
func TestBadBridges(t *testing.T) {
	const hello = `read request; echo '{"id":1,"hello":1,"kind":"shell"}'`
	for name, c := range map[string]struct {
		lines []string
		want  string
	}{
		"ends at once":        {[]string{"exit 0"}, "the bridge has ended"},
		"ends after hello":    {[]string{hello}, "the bridge has ended"},
		"says nothing":        {[]string{"read request", "read forever"}, "no answer of the bridge within 1s"},
		"talks nonsense":      {[]string{"yes nonsense"}, "nonsense"},
		"repeats the request": {[]string{"cat"}, "no answer of the bridge within 1s"},
		"answers the future":  {[]string{hello, "read request", `echo '{"id":99,"code":0}'`, "read forever"}, "nonsense"},
		"is of another age":   {[]string{`echo '{"id":1,"error":"version","text":"install bridge and gateway of one release"}'`, "read forever"}, "one release"},
		"has no library":      {[]string{`echo '{"id":1,"error":"library","text":"load /x: no such file"}'`, "read forever"}, "load /x"},
	} {
		t.Run(name, func(t *testing.T) {
			s := defaults()
			s.Bridge, s.Library, s.QueryTimeout = script(t, c.lines...), "/nothing", time.Minute
			if strings.HasPrefix(c.want, "no answer") {
				s.QueryTimeout = time.Second
			}
			_, err := Open(t.Context(), link.Config{Name: "bad", Address: "tcp://127.0.0.1:1", Settings: s})
			if err == nil || link.Sent(err) || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}
