package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/cli"
	"tillgate/link"
	"tillgate/link/drivers"
	"tillgate/link/linktest"
)

// wire is a pseudo-terminal with a simulated terminal behind it that talks at one
// speed. A line at another speed carries other bytes than were sent: here every
// one comes back as noise.
func wire(t *testing.T, driver string, baud uint32) (port string) {
	t.Helper()
	theirs, port := linktest.NewPTY(t)
	all := drivers.All()
	sim, err := all[slices.IndexFunc(all, func(d link.Driver) bool { return d.Name == driver })].Simulate(link.SimulatorConfig{Name: "t"})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	near, far := net.Pipe()
	var ends sync.WaitGroup
	ends.Go(func() { _ = sim.Serve(ctx, far) })
	ends.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := theirs.Read(b)
			if errors.Is(err, unix.EIO) { // nobody has the port open
				time.Sleep(time.Millisecond)
				continue
			}
			if err != nil {
				return
			}
			to := io.Writer(near)
			if speed(theirs) != baud {
				to = theirs
				for i := range b[:n] {
					b[i] = b[i]<<1 | 0x81
				}
			}
			if _, err := to.Write(b[:n]); err != nil {
				return
			}
		}
	})
	ends.Go(func() {
		b := make([]byte, 4096)
		for {
			n, err := near.Read(b)
			if err != nil {
				return
			}
			if _, err := theirs.Write(b[:n]); err != nil {
				return
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		near.Close()
		far.Close()
		theirs.Close()
		sim.Close()
		ends.Wait()
	})
	return port
}

// speed is what the port's owner has set.
func speed(theirs *os.File) (baud uint32) {
	c, err := theirs.SyscallConn()
	if err != nil {
		return 0
	}
	_ = c.Control(func(fd uintptr) {
		if mode, err := unix.IoctlGetTermios(int(fd), unix.TCGETS2); err == nil {
			baud = mode.Ospeed
		}
	})
	return baud
}

type finding struct{ Check, Level, Tried, Found, Next string }

// settingsOf writes the configuration of a box with one terminal, and returns what
// doctor is started with.
func settingsOf(t *testing.T, driver, address string) []string {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "tillgate.yaml")
	text := "box: kiosk-1\ndata: " + dir + "\nruntime: " + dir + "\nterminals:\n" +
		"  - {name: front, driver: " + driver + ", address: \"" + address + "\", currency: UAH, max_amount: \"1000\"}\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return []string{"doctor", "--json", "--config", file, "--socket", filepath.Join(dir, "none")}
}

// findings are what doctor says, by check.
func findings(t *testing.T, out string) map[string]finding {
	t.Helper()
	found := map[string]finding{}
	for line := range strings.Lines(out) {
		var f finding
		if err := json.Unmarshal([]byte(line), &f); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		found[f.Check] = f
	}
	return found
}

func doctor(t *testing.T, driver, address string, more ...string) map[string]finding {
	t.Helper()
	var out, errs bytes.Buffer
	all := drivers.All()
	cli.Main(t.Context(), append(settingsOf(t, driver, address), more...), cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, cli.Parts{Drivers: all, Version: cli.VersionOf(all, "", "")})
	return findings(t, out.String())
}

func (f finding) is(t *testing.T, level, found, next string) {
	t.Helper()
	if f.Level != level || !strings.Contains(f.Found, found) || !strings.Contains(f.Next, next) {
		t.Errorf("got %+v, want %s: %s -> %s", f, level, found, next)
	}
}

// A port that is there is open, mute, at another speed, or has another protocol
// behind it, and doctor tells which.
func TestDoctorOfALine(t *testing.T) {
	t.Run("in order", func(t *testing.T) {
		t.Parallel()
		port := wire(t, "ssi", 9600)
		f := doctor(t, "ssi", port)
		f["port of front"].is(t, "ok", "it is /dev/pts/", "")
		f["terminal front"].is(t, "ok", "it answers: ", "")
		if want := "open " + port + " at 9600 8N1"; !strings.HasPrefix(f["terminal front"].Tried, want) {
			t.Errorf("tried %q, want %q", f["terminal front"].Tried, want)
		}
	})
	t.Run("mute", func(t *testing.T) {
		t.Parallel()
		_, port := linktest.NewPTY(t)
		doctor(t, "ecrvn", port)["terminal front"].is(t, "bad", "the line is there and mute: ", "Has the bank enabled the link to a cash register (ECR)?")
	})
	t.Run("speed", func(t *testing.T) {
		t.Parallel()
		f := doctor(t, "ssi", wire(t, "ssi", 9600)+"?baud=115200", "--probe")
		f["terminal front"].is(t, "bad", "that is what a wrong speed looks like", "compare baud")
		f["probe of front"].is(t, "warning", "it answers to ssi at 9600 8N1", "write driver: ssi and address: /dev/pts/")
	})
	t.Run("protocol", func(t *testing.T) {
		t.Parallel()
		if testing.Short() {
			t.Skip("it waits half a minute for answers to other protocols")
		}
		f := doctor(t, "ecrvn", wire(t, "ssi", 9600), "--probe")
		f["terminal front"].is(t, "bad", "", "")
		f["probe of front"].is(t, "warning", "it answers to ssi at 9600 8N1", "write driver: ssi and address: /dev/pts/")
	})
	t.Run("taken", func(t *testing.T) {
		t.Parallel()
		port := wire(t, "ssi", 9600)
		fd, err := unix.Open(port, unix.O_RDWR|unix.O_NOCTTY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if err := unix.Flock(fd, unix.LOCK_EX); err != nil {
			t.Fatal(err)
		}
		doctor(t, "ssi", port)["terminal front"].is(t, "bad", "the port is in use by this process", "")
	})
}

// A user who may not open the port is told so, and which group may.
func TestDoctorWithoutRights(t *testing.T) {
	_, port := linktest.NewPTY(t)
	if err := os.Chmod(port, 0); err != nil {
		t.Fatal(err)
	}
	args := settingsOf(t, "ssi", port)
	// A program of its own, since root may open everything: where another user
	// finds it.
	program, err := exec.LookPath("tillgate")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(filepath.Dir(args[3]), "tillgate")
	if err := errors.Join(os.WriteFile(copied, b, 0o755), os.Chmod(filepath.Dir(copied), 0o755), os.Chmod(filepath.Dir(filepath.Dir(copied)), 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(copied, args...)
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	cmd.Dir = "/"
	out, err := cmd.Output()
	if e, ok := errors.AsType[*exec.ExitError](err); !ok || e.ExitCode() != 1 {
		t.Fatalf("doctor ends with %v: %s", err, out)
	}
	findings(t, string(out))["port of front"].is(t, "bad", port+" is there, and this user (uid ", "add the gateway's user to the group of the device")
}
