package config

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"tillgate/link"
)

// maxSocket leaves room in sun_path (108 bytes, unix(7)) for the suffix under
// which a socket is made.
const maxSocket = 100

// check notes everything that is wrong with values that could be read, and
// fills what they mean.
func (b *book) check(c *Config, drivers []link.Driver) {
	b.name("box", c.Box)
	b.absolute("data", c.Data)
	b.absolute("runtime", c.Runtime)
	if c.Socket == "" {
		c.Socket = filepath.Join(c.Runtime, "tillgate.sock")
	}
	b.absolute("socket", c.Socket)
	if len(c.Socket) > maxSocket {
		b.add("socket", "%s is longer than the %d bytes that a Unix socket's name can have", quote(c.Socket), maxSocket)
	}
	b.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	b.oneOf("log.format", c.Log.Format, "text", "json")
	b.oneOf("clock", c.Clock, "auto", "synced", "unsynced")
	b.duration("retention", c.Retention, days(1), days(3660))
	b.duration("id_window", c.IDWindow, Duration(time.Hour), c.Retention)
	if !b.has("segment_size") && (c.SegmentSize < 1<<20 || c.SegmentSize > 1<<30) {
		b.add("segment_size", "must be between 1MiB and 1GiB")
	}
	if !b.has("max_segments") && (c.MaxSegments < 2 || c.MaxSegments > 4096) {
		b.add("max_segments", "must be between 2 and 4096")
	}
	b.checkMQTT(c)
	b.checkTerminals(c, drivers)
	b.checkNotify(c, drivers)
}

func (b *book) checkMQTT(c *Config) {
	b.hostPort("mqtt.broker.address", c.MQTT.Broker.Address)
	if c.MQTT.Broker.Username == "" {
		b.add("mqtt.broker.username", "may not be empty: the embedded broker always asks for a user")
	}
	if most := 8; len(c.MQTT.Destinations) > most {
		b.add("mqtt.destinations", "has more than %d entries", most)
	}
	seen := map[string]int{}
	if c.Local() {
		seen["local"] = -1
	}
	for i := range c.MQTT.Destinations {
		d := &c.MQTT.Destinations[i]
		at := fmt.Sprintf("mqtt.destinations[%d]", i)
		b.name(at+".name", d.Name)
		if first, twice := seen[d.Name]; twice && d.Name != "" {
			if first < 0 {
				b.add(at+".name", "local is the embedded broker's own name: choose another one, or set mqtt.broker.enabled: false")
			} else {
				b.add(at+".name", "is the name of mqtt.destinations[%d] too", first)
			}
		}
		seen[d.Name] = i
		b.checkURL(at+".url", d.URL)
		if d.PasswordFile != "" && d.Username == "" {
			b.add(at+".password_file", "needs a username")
		}
		if (d.TLS.Cert == "") != (d.TLS.Key == "") {
			b.add(at+".tls", "cert_file and key_file belong together")
		}
	}
	if !c.Local() && len(c.MQTT.Destinations) == 0 {
		b.add("mqtt.broker.enabled", "is false and there is no destination: nobody could send a command or hear of a payment")
	}
}

// checkURL never quotes the URL, since somebody may have put a password in it.
func (b *book) checkURL(path, raw string) {
	if raw == "" {
		b.add(path, "is required, like mqtt://host:1883")
		return
	}
	u, err := url.Parse(raw)
	schemes := []string{"mqtt", "mqtts", "tcp", "tls", "ssl"}
	switch {
	case err != nil || u.Host == "":
		b.add(path, "is not a URL like mqtt://host:1883")
	case u.User != nil:
		b.add(path, "has a user in it: use username and password_file; %v", errSecret)
	case !slices.Contains(schemes, u.Scheme):
		b.add(path, "has the unknown scheme %s%s", quote(u.Scheme), suggest(u.Scheme, schemes))
	}
}

func (b *book) name(path, name string) {
	switch {
	case b.has(path):
	case name == "":
		b.add(path, "is required: letters, digits, '-' and '_'")
	case !validName(name):
		b.add(path, "%s: only letters, digits, '-' and '_' are allowed, 64 at most, since it becomes a level of MQTT topics", quote(name))
	}
}

func validName(s string) bool {
	for _, c := range []byte(s) {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '_') {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 64
}

func (b *book) absolute(path, name string) {
	if !b.has(path) && !filepath.IsAbs(name) {
		b.add(path, "%s must begin with a slash", quote(name))
	}
}

func (b *book) oneOf(path, value string, among ...string) {
	if !b.has(path) && !slices.Contains(among, value) {
		b.add(path, "%s is not one of %v%s", quote(value), among, suggest(value, among))
	}
}

func (b *book) duration(path string, d, least, most Duration) {
	if !b.has(path) && (d < least || d > most) {
		b.add(path, "must be between %v and %v", least, most)
	}
}

func (b *book) hostPort(path, address string) {
	if b.has(path) {
		return
	}
	host, port, err := net.SplitHostPort(address)
	if n, perr := strconv.ParseUint(port, 10, 16); err != nil || perr != nil || n == 0 || host == "" {
		b.add(path, "%s is not host and port, like 127.0.0.1:1883", quote(address))
	}
}
