package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tillgate/link"
)

// BenchmarkWrites is G3: what the real binary writes and flushes for a plain
// sale, as the kernel sees it, and what it writes while nothing happens. The
// writes of the same number of payments are counted twice and their difference
// taken, so that start and stop do not count.
func BenchmarkWrites(b *testing.B) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		b.Skip("strace is not installed: apt-get install strace")
	}
	const sales, idle = 50, 2 * time.Second
	var flushes, bytes, idleBytes float64
	runs := 0
	for b.Loop() {
		runs++
		k := newKiosk(b, newTerminal(b, link.SimulatorConfig{}), false)
		log := filepath.Join(k.dir, "strace")
		c := newController(b, k.site, kioskBox)
		b.Cleanup(func() { k.stopTraced(syscall.SIGKILL) })
		k.start(strace, "-f", "-qq", "-y", "-s0", "-o", log, "-e", "trace=fsync,fdatasync,sync_file_range,msync,pwrite64,pwritev")
		c.ready()
		k.pay(c)
		before := count(b, log)
		for range sales {
			k.pay(c)
		}
		after := count(b, log)
		time.Sleep(idle) // this is the measurement: nothing happens
		later := count(b, log)
		k.stopTraced(syscall.SIGTERM)
		c.client.Disconnect(50)
		flushes += float64(after.flushes-before.flushes) / sales
		bytes += float64(after.bytes-before.bytes) / sales
		idleBytes += float64(later.bytes - after.bytes)
	}
	b.ReportMetric(flushes/float64(runs), "G3-flushes/sale")
	b.ReportMetric(bytes/float64(runs), "G3-B/sale")
	b.ReportMetric(idleBytes/float64(runs), fmt.Sprintf("B/idle-%s", idle))
	b.ReportMetric(0, "ns/op")
}

// stopTraced ends the traced process, and with it strace.
func (k *kiosk) stopTraced(s syscall.Signal) {
	if k.cmd == nil {
		return
	}
	for _, pid := range children(k.cmd.Process.Pid) {
		_ = syscall.Kill(pid, s)
	}
	_ = k.cmd.Wait()
	k.cmd = nil
}

// traced is what strace has seen of the files of the journal.
type traced struct{ flushes, bytes int }

// written is the result of a write that strace prints: "... = 4096".
var written = regexp.MustCompile(`= (\d+)$`)

func count(b *testing.B, log string) (t traced) {
	b.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.Contains(line, "pwrite"):
			if m := written.FindStringSubmatch(line); m != nil {
				n, _ := strconv.Atoi(m[1])
				t.bytes += n
			}
		case strings.Contains(line, "sync("): // not a second time where it is resumed, and no signal
			t.flushes++
		}
	}
	return t
}

// BenchmarkMemory is G5: resident memory of the real binary with the history in
// its journal, after payments and one full export: without the embedded broker,
// with it (both processes together), and the binary that was built without it.
func BenchmarkMemory(b *testing.B) {
	for _, v := range []struct {
		name  string
		embed bool
		tags  string
	}{{"without", false, ""}, {"embedded", true, ""}, {"nobroker", false, "nobroker"}} {
		b.Run(fmt.Sprintf("%s/history=%d", v.name, history(b)), func(b *testing.B) {
			var started, exported, anonymous, child float64
			runs := 0.0
			for b.Loop() {
				runs++
				k := newKiosk(b, newTerminal(b, link.SimulatorConfig{}), v.embed)
				k.binary = build(b, v.tags)
				k.start()
				c := newController(b, k.site, kioskBox)
				c.ready()
				before, _ := resident(b, k.cmd.Process.Pid)
				for range 100 {
					k.pay(c)
				}
				if err := k.tool("journal", "export", "--csv", filepath.Join(k.dir, "all.csv")); err != nil {
					b.Fatal(err)
				}
				after, anon := resident(b, k.cmd.Process.Pid)
				started, exported, anonymous = started+before, exported+after, anonymous+anon
				for _, pid := range children(k.cmd.Process.Pid) {
					n, _ := resident(b, pid)
					child += n
				}
				c.client.Disconnect(50)
				k.end(syscall.SIGTERM)
			}
			b.ReportMetric(started/runs/1000, "started-MB")
			b.ReportMetric(exported/runs/1000, "exported-MB")
			b.ReportMetric(anonymous/runs/1000, "of-it-anonymous-MB")
			b.ReportMetric(child/runs/1000, "broker-MB")
			b.ReportMetric((exported+child)/runs/1000, "G5-MB")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkStart is G6: from exec until a subscriber has heard that the gateway
// is online, and that it sells, with the files in the page cache.
func BenchmarkStart(b *testing.B) {
	for _, embed := range []bool{false, true} {
		b.Run(fmt.Sprintf("embedded=%v/history=%d", embed, history(b)), func(b *testing.B) {
			k := newKiosk(b, newTerminal(b, link.SimulatorConfig{}), embed)
			k.start() // the first one makes what is missing, and warms the cache
			newController(b, k.site, kioskBox).ready()
			k.end(syscall.SIGTERM)
			var online, sells, bare sample
			for b.Loop() {
				var c *controller
				if !embed { // its broker is there before the gateway is
					c = newController(b, k.site, kioskBox)
					c.forget()
				}
				begin := k.start()
				if embed {
					c = newController(b, k.site, kioskBox)
				}
				until(b, "the gateway to sell", func() bool { return c.onlineSince().After(begin) && c.sellsSince().After(begin) })
				online.add(c.onlineSince().Sub(begin))
				sells.add(c.sellsSince().Sub(begin))
				c.client.Disconnect(0)
				k.end(syscall.SIGTERM)
				begin = time.Now()
				if err := exec.Command(k.binary, "version").Run(); err != nil {
					b.Fatal(err)
				}
				bare.add(time.Since(begin))
			}
			b.ReportMetric(millis(online.p(0.5)), "G6-p50-ms")
			b.ReportMetric(millis(online.p(1)), "G6-max-ms")
			b.ReportMetric(millis(sells.p(0.5)), "sells-p50-ms")
			b.ReportMetric(millis(bare.p(0.5)), "exec-floor-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkKill is G7: the real binary is killed with -9 while the customer
// pays, and started again. It reports how long after the terminal's first
// conclusive answer the event with the right outcome arrives. The answer comes
// either to the new process, or while no process is there; then it is the answer
// to the new one's question.
func BenchmarkKill(b *testing.B) {
	for _, down := range []bool{false, true} {
		b.Run(fmt.Sprintf("answered-while-down=%v/history=%d", down, history(b)), func(b *testing.B) {
			pace := 150 * time.Millisecond // three of them: longer than a start
			if down {
				pace = 5 * time.Millisecond
			}
			k := newKiosk(b, newTerminal(b, link.SimulatorConfig{Pace: pace}), false)
			c := newController(b, k.site, kioskBox)
			k.start()
			c.ready()
			k.pay(c)
			var event, whole sample
			for b.Loop() {
				e, w := k.killed(c, down)
				event.add(e)
				whole.add(w)
			}
			b.ReportMetric(millis(event.p(0.5)), "G7-p50-ms")
			b.ReportMetric(millis(event.p(1)), "G7-max-ms")
			b.ReportMetric(millis(whole.p(0.5)), "exec-to-event-p50-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// killed kills the gateway in one payment, and takes another one afterwards.
func (k *kiosk) killed(c *controller, down bool) (afterProof, afterExec time.Duration) {
	k.terminal.forget()
	id := k.begin(c)
	until(k.b, "the money command", func() bool { return !k.terminal.now().sale.IsZero() })
	c.forget()
	k.terminal.forget()
	k.end(syscall.SIGKILL)
	if down {
		until(k.b, "the terminal to have answered", func() bool { return !k.terminal.now().proof.IsZero() })
		k.terminal.forget()
	}
	begin := k.start()
	heard := c.final(id)
	proof := k.terminal.now().proof
	if proof.IsZero() || proof.After(heard) {
		k.b.Fatalf("the event of %s came without an answer of the terminal", id)
	}
	c.ready()
	k.pay(c)
	return heard.Sub(proof), heard.Sub(begin)
}

// BenchmarkSize is G10: the static binary, stripped.
func BenchmarkSize(b *testing.B) {
	for name, tags := range map[string]string{"embedded": "", "nobroker": "nobroker"} {
		b.Run(name, func(b *testing.B) {
			var size int64
			for b.Loop() {
				info, err := os.Stat(build(b, tags))
				if err != nil {
					b.Fatal(err)
				}
				size = info.Size()
			}
			b.ReportMetric(float64(size)/(1<<20), "G10-MiB")
			b.ReportMetric(0, "ns/op")
		})
	}
}
