package rig

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestRig(t *testing.T) {
	want := os.Getenv("RIG")
	if want == "" {
		t.Skip("RIG is not set: `make rig` boots one machine, `make rig-all` all of them")
	}
	for i, m := range machines {
		if want != "all" && want != m.name && (want != "quick" || i > 0) {
			continue
		}
		t.Run(m.name, func(t *testing.T) { m.test(t, want) })
	}
}

func (m machine) test(t *testing.T, want string) {
	moments := os.Getenv("RIG_MOMENTS")
	if want == "all" {
		moments = "all"
	}
	scenes := "RIG_MOMENTS=" + moments + " /bin/scenes.test -test.v -test.parallel 16 -test.timeout 30m"
	// Two machines, for hosts with two processors: QEMU emulates with one each.
	plans := [][]string{{scenes + " -test.run ^TestWires$"}, {"/bin/usbhid.test -test.v", scenes + " -test.skip ^TestWires$"}}
	if only := os.Getenv("RIG_ONLY"); only != "" { // a regular expression of scenes
		plans = [][]string{{scenes + " -test.run " + only}}
	}
	k := m.fetch(t)
	begun := time.Now()
	initramfs := m.initramfs(t, k, plans)
	t.Logf("built in %.0fs", time.Since(begun).Seconds())
	for i, commands := range plans {
		t.Run(fmt.Sprintf("plan %d", i), func(t *testing.T) {
			t.Parallel()
			m.follow(t, k, initramfs, i, len(commands))
		})
	}
}

// follow boots a machine that does what one plan says.
func (m machine) follow(t *testing.T, k kernel, initramfs string, plan, commands int) {
	begun := time.Now()
	var up, passed int
	m.run(t, k, initramfs, plan, func(line string) {
		t.Log(line)
		switch {
		case line == "rig: the machine is up":
			up++
			t.Logf("up after %.1fs", time.Since(begun).Seconds())
		case strings.HasPrefix(line, "rig: ") && strings.Contains(line, ": passed after "):
			passed++
		case strings.Contains(line, "--- SKIP"):
			t.Errorf("in the machine nothing may be skipped: %s", line)
		}
	})
	if up != 1 || passed != commands {
		t.Errorf("the machine came up %d times, and %d of %d commands passed", up, passed, commands)
	}
	t.Logf("the machine ran for %.0fs", time.Since(begun).Seconds())
}
