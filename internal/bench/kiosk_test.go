package bench

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillgate/internal/loopback"
	"tillgate/internal/payment"
)

// build makes the binary as a release is made (.ci/static), but without libusb,
// and returns its path. Set TILLGATE_BINARY to measure one that is there instead,
// where no tag is asked for.
func build(b *testing.B, tag string) string {
	b.Helper()
	if given := os.Getenv("TILLGATE_BINARY"); given != "" && tag == "" {
		return given
	}
	path := filepath.Join(b.TempDir(), "tillgate")
	args := []string{"build", "-trimpath", "-tags", "netgo,osusergo,nethttpomithttp2," + tag, "-ldflags", "-s -w", "-o", path}
	if tag == "nobroker" {
		args = append(args, "-gcflags=all=-l", "-gcflags=crypto/...=")
	}
	cmd := exec.Command("go", append(args, "tillgate")...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, out)
	}
	return path
}

// kiosk is the real binary with a terminal on a pty, and a controller at its
// broker.
type kiosk struct {
	b        *testing.B
	site     site
	dir      string
	binary   string
	config   string
	terminal *terminal
	cmd      *exec.Cmd
	log      *os.File
	n        int
}

const kioskBox = "kiosk"

// newKiosk prepares one; with embed it has its own broker, otherwise the site's.
func newKiosk(b *testing.B, t *terminal, embed bool) *kiosk {
	b.Helper()
	dir := b.TempDir()
	k := &kiosk{b: b, dir: dir, terminal: t, binary: build(b, ""), config: filepath.Join(dir, "tillgate.yaml")}
	secret := filepath.Join(dir, "password")
	var mqtt string
	if embed {
		free, err := loopback.Free()
		if err != nil {
			b.Fatal(err)
		}
		k.site = site{name: "embedded", address: free, customer: user{"kiosk", "sesame"}}
		mqtt = fmt.Sprintf("  broker: {address: %q, password_file: %q}\n", k.site.address, secret)
	} else {
		if k.site = newSite(b, kioskBox); k.site.name == "embedded" {
			b.Skip("mosquitto is not installed, and a gateway without an embedded broker needs one: apt-get install mosquitto")
		}
		mqtt = fmt.Sprintf("  destinations: [{name: %s, url: \"tcp://%s\", commands: true}]\n", local, k.site.address)
	}
	yaml := fmt.Sprintf(`box: %s
data: %[2]s/data
runtime: %[2]s/run
socket: %[2]s/run/s
max_segments: %d
log: {level: warn}
mqtt:
%sterminals:
  - name: front
    driver: ecrvn
    address: %s
    currency: VND
    max_amount: "5000000"
    profile: {silent_when_busy: true, query_timeout: 1s}
`, kioskBox, dir, maxSegments, mqtt, t.port)
	for path, text := range map[string]string{k.config: yaml, secret: "sesame\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	journal := journalDir(b, history(b))
	if err := os.Mkdir(filepath.Join(dir, "data"), 0o750); err != nil {
		b.Fatal(err)
	}
	if exists(journal) {
		if err := os.Rename(journal, filepath.Join(dir, "data", "journal")); err != nil {
			b.Fatal(err)
		}
	}
	var err error
	if k.log, err = os.Create(filepath.Join(dir, "log")); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		k.end(syscall.SIGKILL)
		k.log.Close()
		if b.Failed() {
			text, _ := os.ReadFile(k.log.Name())
			b.Logf("log of the gateway, its end:\n%s", text[max(0, len(text)-8000):])
		}
	})
	return k
}

// start executes the binary, through a wrapper if one is given.
func (k *kiosk) start(wrapper ...string) time.Time {
	k.b.Helper()
	args := append(wrapper, k.binary, "run", k.config)
	k.cmd = exec.Command(args[0], args[1:]...)
	k.cmd.Stdout, k.cmd.Stderr = k.log, k.log
	begin := time.Now()
	if err := k.cmd.Start(); err != nil {
		k.b.Fatal(err)
	}
	return begin
}

func (k *kiosk) end(s syscall.Signal) {
	if k.cmd != nil {
		_ = k.cmd.Process.Signal(s)
		_ = k.cmd.Wait()
		k.cmd = nil
	}
}

// tool runs the binary's command line against the running gateway.
func (k *kiosk) tool(args ...string) error {
	cmd := exec.Command(k.binary, append([]string{"--config", k.config}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("tillgate %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// begin has a purchase accepted. After a payment the lane needs a moment to be
// ready for the next; a refusal leaves no trace.
func (k *kiosk) begin(c *controller) payment.ID {
	k.b.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; {
		k.n++
		id := payment.ID(fmt.Sprintf("kiosk-%d", k.n))
		c.pay(id)
		var reply string
		until(k.b, "a reply", func() bool { reply = c.reply(id); return reply != "" })
		if strings.HasPrefix(reply, string(payment.ReplyAccepted)) {
			return id
		}
		if time.Now().After(deadline) {
			k.b.Fatalf("%s is %s", id, reply)
		}
		time.Sleep(time.Millisecond)
	}
}

// pay takes a whole payment.
func (k *kiosk) pay(c *controller) { k.b.Helper(); c.final(k.begin(c)) }

// children of a process: each of its threads may have started some.
func children(pid int) (all []int) {
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range lists {
		text, _ := os.ReadFile(path) // a thread that has ended has none
		for _, f := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(f); err == nil {
				all = append(all, n)
			}
		}
	}
	return all
}

// resident is a process's memory in kB: all of it, and the part that no file
// backs, which the kernel cannot take back.
func resident(b *testing.B, pid int) (all, anonymous float64) {
	b.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		fields := strings.Fields(s.Text())
		if len(fields) < 2 {
			continue
		}
		n, _ := strconv.ParseFloat(fields[1], 64)
		switch fields[0] {
		case "VmRSS:":
			all = n
		case "RssAnon:":
			anonymous = n
		}
	}
	return all, anonymous
}
