package broker

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Limits of the embedded broker. They are small on purpose: it serves one
// kiosk.
const (
	MaxPayload     = 300_000 // bytes of a packet's payload; a longer one ends the client's connection
	MaxConnections = 64
	maxPending     = 4 << 20  // bytes that wait for one slow client
	maxMessages    = 16 << 20 // bytes of QoS 1 messages that wait for subscribers; the oldest go
	maxAge         = time.Hour
	maxRetained    = 4 << 20         // bytes of retained messages; the oldest go
	maxSessions    = 1 << 20         // bytes of session records
	maxStore       = 32 << 20        // all streams together, on disk in memory
	ackWait        = 3 * time.Second // then a message without PUBACK comes again
	maxConfig      = 64 << 10        // bytes of a Config on stdin
)

// User may connect, and publish and subscribe to what its MQTT topic filters
// allow. Deny wins.
type User struct {
	Name      string   `json:"name"`
	Password  string   `json:"password"`
	Publish   []string `json:"publish"`
	Deny      []string `json:"deny,omitempty"` // of publishing
	Subscribe []string `json:"subscribe"`
}

// Config is what the child reads from stdin, as one line of JSON. Secrets
// travel here and never in arguments or the environment.
type Config struct {
	Host     string `json:"host"` // "" is 127.0.0.1
	Port     int    `json:"port"` // 0 takes a free one
	StoreDir string `json:"store_dir"`
	Users    []User `json:"users"`
}

// ready is the child's line on stdout.
type ready struct {
	Port int `json:"port"`
}

// GatewayUser is what the gateway itself needs on the topics of its box.
func GatewayUser(box, password string) User {
	own := "tillgate/v1/" + box + "/#"
	return User{Name: "gateway", Password: password, Publish: []string{own}, Deny: []string{"tillgate/v1/" + box + "/command/#"}, Subscribe: []string{own}}
}

// KioskUser is the controller on the same box: it commands and hears everything.
func KioskUser(box, password string) User {
	return User{Name: "kiosk", Password: password, Publish: []string{"tillgate/v1/" + box + "/command/+"}, Subscribe: []string{"tillgate/#"}}
}

func readConfig(r io.Reader) (Config, error) {
	var c Config
	d := json.NewDecoder(io.LimitReader(r, maxConfig))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, fmt.Errorf("broker configuration on stdin: %w", err)
	}
	return c, c.check()
}

func (c Config) check() error {
	if c.StoreDir == "" {
		return errors.New("broker: store directory is required")
	}
	if len(c.Users) == 0 {
		return errors.New("broker: no users; an open broker would let anybody sell")
	}
	for i, u := range c.Users {
		if u.Name == "" || u.Password == "" {
			return fmt.Errorf("broker: user %d has no name or no password", i)
		}
		if slices.ContainsFunc(c.Users[:i], func(o User) bool { return o.Name == u.Name }) {
			return fmt.Errorf("broker: user %s is given twice", u.Name)
		}
		for _, f := range slices.Concat(u.Publish, u.Deny, u.Subscribe) {
			if _, err := subjects(f); err != nil {
				return fmt.Errorf("broker: user %s: %w", u.Name, err)
			}
		}
	}
	return nil
}

// subjects writes an MQTT topic filter as the NATS subjects that stand for it:
//
//	a/b.c/+   a.b//c.*        '.' within a level is '//'
//	a/b/#     a.b  and  a.b.>  '#' includes the level above it
func subjects(filter string) ([]string, error) {
	if filter == "#" || filter == "" || len(filter) > 256 || strings.ContainsAny(filter, " \t\r\n*>$") {
		return nil, fmt.Errorf("topic filter %q: want 1 to 256 characters without blanks, '*', '>', '$', and not all topics", filter)
	}
	levels := strings.Split(filter, "/")
	for i, l := range levels {
		switch {
		case l == "+":
			levels[i] = "*"
		case l == "#" && i == len(levels)-1:
			above := strings.Join(levels[:i], ".")
			return []string{above, above + ".>"}, nil
		case l == "" || strings.ContainsAny(l, "+#"):
			return nil, fmt.Errorf("topic filter %q: empty level, or a wildcard beside other characters", filter)
		default:
			levels[i] = strings.ReplaceAll(l, ".", "//")
		}
	}
	return []string{strings.Join(levels, ".")}, nil
}
