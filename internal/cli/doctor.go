package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"tillgate/internal/config"
	"tillgate/internal/control"
	"tillgate/internal/payment"
)

type doctorCmd struct {
	JSON  bool `name:"json" help:"Print the findings as JSON, one a line."`
	Probe bool `help:"Try other speeds and protocols on serial ports that do not answer. It takes minutes, and the gateway must not run."`
}

func (doctorCmd) Help() string {
	return `Every check says what was tried, what was found and what to do next. It
changes nothing; a terminal that the running gateway holds is asked through
the gateway. Exit status 0 if nothing is bad.

    sudo tillgate doctor --config /etc/tillgate/tillgate.yaml`
}

// verdict is how bad a finding is.
type verdict string

const (
	good    verdict = "ok"
	warning verdict = "warning"
	bad     verdict = "bad"
	skipped verdict = "skipped"
)

// Finding is the result of one check.
type finding struct {
	Check string  `json:"check"`
	Level verdict `json:"level"`
	Tried string  `json:"tried"`
	Found string  `json:"found"`
	Next  string  `json:"next,omitempty"`
}

func (d *doctorCmd) Run(a *app) error {
	n := 0
	say := func(f finding) {
		if f.Level == bad {
			n++
		}
		if d.JSON {
			_ = asJSON(a.Out, f) // the exit status tells the rest
			return
		}
		f.print(a.Out)
	}
	a.examine(say, d.Probe)
	if n > 0 {
		return &exit{exitError, plural(n, "check") + " found something bad"}
	}
	return nil
}

// examine makes every check, from the ground up. The running gateway's own
// configuration is the file; without one, what can be asked is the gateway.
func (a *app) examine(say func(finding), probe bool) {
	checkClock(say)
	c, configured := a.checkConfig(say)
	if configured {
		checkData(say, c.Data)
	}
	client := a.checkSocket(say)
	running := map[string]payment.TerminalStatus{}
	if client != nil {
		defer client.Close()
		running = a.checkGateway(say, client)
	}
	if !configured {
		return
	}
	checkPower(say, c.PowerFail)
	checkPorts(say, c)
	for _, t := range c.Terminals {
		a.checkTerminal(say, c, t, running, probe)
	}
	a.checkBrokers(say, c, client)
	checkNotify(say, c, client != nil)
}

func checkClock(say func(finding)) {
	f := finding{Check: "clock", Level: good, Tried: "ask the kernel whether the clock is synchronised", Found: "it is: " + time.Now().Format(time.RFC3339)}
	if !synchronised() {
		f.Level, f.Found = warning, "it is not: "+time.Now().Format(time.RFC3339)
		f.Next = "payments work, their times are marked and old journal files are kept; set up systemd-timesyncd or chrony"
	}
	say(f)
}

func (a *app) checkConfig(say func(finding)) (config.Config, bool) {
	f := finding{Check: "configuration", Level: good, Tried: "read " + a.table.Config}
	c, err := config.Load(a.table.Config, a.drivers)
	problems, known := errors.AsType[config.Problems](err)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Level, f.Found, f.Next = skipped, "there is none", "make one with `tillgate config example`; the demo needs none"
	case known:
		f.Level, f.Found = bad, fmt.Sprintf("%s, the first: %s", plural(len(problems), "problem"), problems[0])
		f.Next = "tillgate config check " + a.table.Config
	case err != nil:
		f.Level, f.Found, f.Next = bad, err.Error(), "run doctor as a user who may read it, or with sudo"
	case len(c.Absent) > 0:
		f.Level, f.Found = bad, c.Absent[0].String()
		f.Next = "put it there; the gateway runs meanwhile, and this terminal does not sell"
	default:
		f.Found = fmt.Sprintf("good: box %s, %s", c.Box, plural(len(c.Terminals), "terminal"))
	}
	say(f)
	return c, err == nil
}

// Below these the journal may soon have no room for its next file.
const (
	leastFree   = 64 << 20
	leastInodes = 100
)

func checkData(say func(finding), dir string) {
	f := finding{Check: "data folder", Level: good, Tried: "look at " + dir}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		f.Level, f.Found, f.Next = warning, "it is not there yet", "it is made at the first start, if the gateway's user may"
	case err != nil:
		f.Level, f.Found, f.Next = bad, err.Error(), "run doctor as the gateway's user, or with sudo"
	case !info.IsDir():
		f.Level, f.Found, f.Next = bad, "it is no folder", "move it away, or name another one in the configuration"
	case unix.Access(dir, unix.W_OK) != nil:
		f.Level, f.Found = warning, fmt.Sprintf("this user (uid %d) may not write there", os.Getuid())
		f.Next = "that is right if the gateway runs as another user"
	default:
		f.Found = "it is there and can be written"
	}
	say(f)

	var st unix.Statfs_t
	for unix.Statfs(dir, &st) != nil && dir != "/" {
		dir = filepath.Dir(dir)
	}
	free := int64(st.Bavail) * int64(st.Bsize) //nolint:unconvert // its type differs between platforms
	f = finding{Check: "disk space", Level: good, Tried: "ask the file system of " + dir, Found: fmt.Sprintf("%d MiB free", free>>20)}
	switch {
	case uint32(st.Type) == unix.TMPFS_MAGIC || uint32(st.Type) == unix.RAMFS_MAGIC:
		f.Level, f.Found, f.Next = bad, "it is a memory file system: a power cut takes the journal with it", "name a folder on a disk as data"
	case free < leastFree || st.Files > 0 && st.Ffree < leastInodes:
		f.Level, f.Next = bad, "make room: without it nothing can be journalled, and nothing is sold"
	}
	say(f)
}

func (a *app) checkSocket(say func(finding)) *control.Client {
	paths := a.sockets()
	f := finding{Check: "control socket", Level: good, Tried: "connect to " + strings.Join(paths, " and ")}
	c, err := a.dial()
	if err != nil {
		f.Level, f.Found = bad, err.Error()
		if errors.Is(err, control.ErrNotRunning) || strings.Contains(err.Error(), "no gateway is running") {
			f.Level, f.Found, f.Next = warning, "no gateway is running", "start it with `tillgate run` or `tillgate demo`"
		}
		say(f)
		return nil
	}
	f.Found = "a gateway answers on " + c.Path()
	say(f)
	return c
}

func (a *app) checkGateway(say func(finding), c *control.Client) map[string]payment.TerminalStatus {
	found := map[string]payment.TerminalStatus{}
	f := finding{Check: "gateway", Level: good, Tried: "ask the running gateway how it is"}
	s, err := c.Status(a.ctx)
	if err != nil {
		f.Level, f.Found, f.Next = bad, err.Error(), "look at its log"
		say(f)
		return found
	}
	f.Found = "it sells"
	if !s.Sellable {
		f.Level, f.Found, f.Next = bad, "it does not sell: "+join(s.Reasons), "tillgate status"
	}
	if v, err := c.Version(a.ctx); err == nil && short(v) != short(a.version) {
		f.Found += fmt.Sprintf("; it is version %s and this program %s", short(v), short(a.version))
	}
	say(f)
	for _, al := range s.Alerts {
		next := "tillgate status"
		if len(al.IDs) > 0 {
			next = fmt.Sprintf("tillgate journal show %s", al.IDs[0])
		}
		say(finding{"alert " + string(al.Code), bad, "ask the running gateway", al.Text, next})
	}
	for _, t := range s.Terminals {
		found[t.Name] = t
		f := running(t)
		if t.Link == payment.LinkOnline {
			a.advise(&f, c, t.Name)
		}
		say(f)
	}
	return found
}

func (a *app) checkBrokers(say func(finding), c config.Config, client *control.Client) {
	var connected map[string]bool
	if client != nil {
		if h, err := client.Health(a.ctx); err == nil {
			connected = h.Destinations
		}
	}
	check := func(name, title, url string) {
		f := reach(a.ctx, title, url)
		if is, known := connected[name]; known && !is && f.Level == good {
			f.Level, f.Found = bad, "somebody listens, and the gateway is not connected"
			f.Next = "another program on this port, the login, or rights at the broker: the gateway's log says which"
		}
		say(f)
	}
	if c.Local() && client != nil {
		check(local, "embedded broker", "mqtt://"+c.MQTT.Broker.Address)
	}
	for _, d := range c.MQTT.Destinations {
		check(d.Name, "broker "+d.Name, d.URL)
	}
}

// reach connects to a broker's port, and no further: a login is the gateway's.
func reach(ctx context.Context, check, url string) finding {
	scheme, host, _ := strings.Cut(url, "://")
	host, _, _ = strings.Cut(host, "/")
	if _, _, err := net.SplitHostPort(host); err != nil {
		port := "1883"
		if scheme != "mqtt" && scheme != "tcp" {
			port = "8883"
		}
		host = net.JoinHostPort(strings.Trim(host, "[]"), port)
	}
	f := finding{Check: check, Level: good, Tried: "connect to " + host, Found: "somebody listens"}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		f.Level, f.Found, f.Next = bad, err.Error(), "is the broker on, and does the network let this box through? Events wait in the journal meanwhile"
		return f
	}
	c.Close()
	return f
}
