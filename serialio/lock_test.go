package serialio

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// program is this program's name as the kernel keeps it.
func program(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestSecondProcessIsRefused(t *testing.T) {
	master, name := newPTY(t)
	p := open(t, Options{Path: name, Baud: 9600})
	out, err := secondProcess(t, name).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("in use: open %s: the port is in use by process %d (%s)", name, os.Getpid(), program(t))
	if !strings.HasPrefix(string(out), want) {
		t.Errorf("second process says %q, want %q", out, want)
	}
	// It was refused before it touched the line.
	if err := verify(onlyDescriptor(t, name), Options{Path: name, Baud: 9600}.withDefaults()); err != nil {
		t.Errorf("after the refusal: %v", err)
	}
	master.Write([]byte("ok"))
	if got := readFull(t, p, 2); string(got) != "ok" {
		t.Errorf("read %q", got)
	}
	if _, err := Open(Options{Path: name}); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), "this process: another terminal of its configuration") {
		t.Errorf("second open in this process gave %v, want ErrInUse by this process", err)
	}
}

func TestKilledHolderGivesThePortBack(t *testing.T) {
	_, name := newPTY(t)
	cmd := secondProcess(t, name)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(stdout).ReadString('\n'); line != "open\n" {
		t.Fatalf("second process says %q, %v", line, err)
	}
	_, err = Open(Options{Path: name})
	if want := fmt.Sprintf("process %d (%s)", cmd.Process.Pid, program(t)); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), want) {
		t.Errorf("open gave %v, want ErrInUse by %s", err, want)
	}
	cmd.Process.Kill()
	cmd.Wait()
	open(t, Options{Path: name})
}

// The library opens the port without close-on-exec. A child that got such a
// descriptor would keep the port, and its ttyUSB number, for its whole life.
func TestChildrenDoNotInheritThePort(t *testing.T) {
	_, name := newPTY(t)
	stop := make(chan struct{})
	var opener sync.WaitGroup
	opener.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			p, err := Open(Options{Path: name})
			if err != nil {
				t.Error(err)
				return
			}
			p.Close()
		}
	})
	for range 30 {
		out, err := exec.Command("ls", "-l", "/proc/self/fd").Output()
		if err != nil || strings.Contains(string(out), "-> "+name+"\n") {
			t.Errorf("child was born with %s, %v", out, err)
		}
	}
	close(stop)
	opener.Wait()
}
