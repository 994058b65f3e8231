package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Notify is the listener for services that tell by themselves what became of a
// transaction. Without an address there is none.
type Notify struct {
	Address     string   `yaml:"address" jsonschema_description:"Host and port of the listener, like 0.0.0.0:8443. Without one there is no listener."`
	Cert        string   `yaml:"cert_file" jsonschema_description:"Its certificate with the chain, PEM. Read again when it changes. Without one it is plain HTTP, on loopback only."`
	Key         string   `yaml:"key_file" jsonschema_description:"Private key of the certificate, PEM. Only its owner and group may read it."`
	MaxBody     Bytes    `yaml:"max_body" jsonschema_description:"Largest body that is read."`
	Connections int      `yaml:"connections" jsonschema:"minimum=1,maximum=1000" jsonschema_description:"Connections that are open at once, at most. Further ones wait."`
	Proxies     []string `yaml:"trusted_proxies" jsonschema_description:"Addresses or networks whose X-Forwarded-For says who asks. Nobody else can then connect."`
	Senders     []Sender `yaml:"senders" jsonschema:"maxItems=8" jsonschema_description:"Who may tell something."`

	Trusted []netip.Prefix `yaml:"-"` // what Proxies say
}

// Sender is one service that tells.
type Sender struct {
	Name     string   `yaml:"name" jsonschema:"required,pattern=^[A-Za-z0-9_-]{1\\,20}$" jsonschema_description:"Name in events and logs. A new name does not know what the old one was told."`
	Driver   string   `yaml:"driver" jsonschema:"required" jsonschema_description:"Protocol it speaks."`
	Path     string   `yaml:"path" jsonschema:"pattern=^/[A-Za-z0-9._/-]*$" jsonschema_description:"Path it posts to. Default: the usual one of the protocol."`
	Currency string   `yaml:"currency" jsonschema:"pattern=^[A-Z]{3}$" jsonschema_description:"ISO 4217 code where a notice names none. Default: the usual one of the protocol."`
	Allow    []string `yaml:"allow" jsonschema:"required,minItems=1" jsonschema_description:"Addresses or networks it posts from, like 203.0.113.0/24. 0.0.0.0/0 and ::/0 are everybody."`
	Test     bool     `yaml:"test" jsonschema_description:"It is simulated: its events say so."`
	Profile  Profile  `yaml:"profile" jsonschema_description:"Settings of the protocol."`

	Spec     link.Driver    `yaml:"-"`
	Settings any            `yaml:"-"` // what Spec.Notify.Settings made, filled from Profile
	Allowed  []netip.Prefix `yaml:"-"`
}

func (b *book) checkNotify(c *Config, drivers []link.Driver) {
	n := &c.Notify
	if n.Address == "" {
		if len(n.Senders) > 0 && !b.has("notify.address") {
			b.add("notify.address", "is required where there are senders: host and port, like 0.0.0.0:8443")
		}
	} else {
		b.hostPort("notify.address", n.Address)
		if len(n.Senders) == 0 && !b.has("notify.senders") {
			b.add("notify.senders", "is required: a listener that nobody may tell anything is a door without a room")
		}
	}
	if (n.Cert == "") != (n.Key == "") {
		b.add("notify", "cert_file and key_file belong together")
	}
	if n.Address != "" && n.Cert == "" && n.Key == "" && !b.has("notify.address") && !loopback(n.Address) {
		b.add("notify.cert_file", "is required: plain HTTP is for loopback only, behind a proxy that has the certificate")
	}
	if !b.has("notify.max_body") && (n.MaxBody < 1<<10 || n.MaxBody > 1<<20) {
		b.add("notify.max_body", "must be between 1KiB and 1MiB")
	}
	if !b.has("notify.connections") && (n.Connections < 1 || n.Connections > 1000) {
		b.add("notify.connections", "must be between 1 and 1000")
	}
	n.Trusted = b.networks("notify.trusted_proxies", n.Proxies)
	if most := 8; len(n.Senders) > most {
		b.add("notify.senders", "has more than %d entries", most)
		return
	}
	names, paths := map[string]int{}, map[string]int{}
	for i := range n.Senders {
		b.checkSender(fmt.Sprintf("notify.senders[%d]", i), i, &n.Senders[i], drivers, names, paths)
	}
}

func (b *book) checkSender(at string, i int, s *Sender, drivers []link.Driver, names, paths map[string]int) {
	b.name(at+".name", s.Name)
	if len(s.Name) > 20 && !b.has(at+".name") {
		b.add(at+".name", "is longer than 20 characters, which ids of notices have room for")
	}
	if first, twice := names[s.Name]; twice && s.Name != "" {
		b.add(at+".name", "is the name of notify.senders[%d] too", first)
	}
	names[s.Name] = i
	b.checkNotifier(at, s, drivers)
	switch first, twice := paths[s.Path]; {
	case s.Path == "" || b.has(at+".path"):
	case !strings.HasPrefix(s.Path, "/") || strings.ContainsAny(s.Path, " ?#%"):
		b.add(at+".path", "%s is not a path like /ipn", quote(s.Path))
	case twice:
		b.add(at+".path", "is the path of notify.senders[%d] too", first)
	}
	paths[s.Path] = i
	if _, ok := payment.Exponent(s.Currency); !ok && s.Currency != "" {
		b.add(at+".currency", "%s is not in ISO 4217", quote(s.Currency))
	}
	if len(s.Allow) == 0 && !b.has(at+".allow") {
		b.add(at+".allow", "is required: the addresses the service posts from, as it told you; 0.0.0.0/0 and ::/0 let everybody knock")
	}
	s.Allowed = b.networks(at+".allow", s.Allow)
}

// checkNotifier finds the protocol of a sender and fills its settings.
func (b *book) checkNotifier(at string, s *Sender, drivers []link.Driver) {
	var known []string
	for _, d := range drivers {
		if d.Notify != nil {
			known = append(known, d.Name)
		}
	}
	i := slices.IndexFunc(drivers, func(d link.Driver) bool { return d.Name == s.Driver && d.Notify != nil })
	switch {
	case i >= 0:
	case s.Driver == "":
		b.add(at+".driver", "is required, one of %v", known)
		return
	case slices.ContainsFunc(drivers, func(d link.Driver) bool { return d.Name == s.Driver }):
		b.add(at+".driver", "%s is a terminal's protocol and tells nothing by itself; there are %v", s.Driver, known)
		return
	default:
		b.add(at+".driver", "%s is not one of %v%s", quote(s.Driver), known, suggest(s.Driver, known))
		return
	}
	s.Spec = drivers[i]
	if s.Path == "" {
		s.Path = s.Spec.Notify.Path
	}
	if s.Currency == "" {
		s.Currency = s.Spec.Currency
	}
	s.Settings = b.settings(at, s.Driver, s.Spec.Notify.Settings, s.Profile)
}

// settings makes a driver's settings from the profile of one entry.
func (b *book) settings(at, driver string, fresh func() any, p Profile) any {
	if fresh == nil {
		if p.Set {
			b.add(at+".profile", "the driver %s has no settings", driver)
		}
		return nil
	}
	settings := fresh()
	if p.Set {
		b.decodeProfile(at+".profile", p.node, settings)
	}
	if v, ok := settings.(interface{ Validate() error }); ok && !b.has(at+".profile") {
		b.complain(at+".profile", v.Validate())
	}
	return settings
}

// complain notes what a driver finds wrong with its settings.
func (b *book) complain(path string, err error) {
	if each, ok := errors.AsType[payment.Invalid](err); ok {
		for _, p := range each {
			b.add(path+"."+p.Field, "%s", p.Text)
		}
	} else if err != nil {
		b.add(path, "%v", err)
	}
}

func (b *book) decodeProfile(path string, node ast.Node, settings any) {
	v := reflect.ValueOf(settings)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		b.add(path, "the driver's settings are a %T, which cannot be configured", settings)
		return
	}
	b.decode(path, node, v.Elem(), 1)
}

// networks reads addresses and networks; an address is a network of one.
func (b *book) networks(path string, texts []string) (all []netip.Prefix) {
	if len(texts) > 64 {
		b.add(path, "has more than 64 entries")
		return nil
	}
	for i, text := range texts {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			var a netip.Addr
			if a, err = netip.ParseAddr(text); err == nil && a.Zone() == "" {
				p = netip.PrefixFrom(a, a.BitLen())
			}
		}
		if err != nil || !p.IsValid() {
			b.add(fmt.Sprintf("%s[%d]", path, i), "%s is neither an address nor a network like 203.0.113.0/24", quote(text))
			continue
		}
		if p.Addr().Is4In6() && p.Bits() >= 96 {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
		}
		all = append(all, p.Masked())
	}
	return all
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	a, aerr := netip.ParseAddr(host)
	return err == nil && (host == "localhost" || (aerr == nil && a.IsLoopback()))
}

// Fill decodes text, YAML as under profile, into a driver's settings. The error
// is [Problems].
func Fill(settings any, text string) error {
	b := &book{file: "settings", lines: map[string]int{}}
	if node := b.parse([]byte(text)); node != nil {
		b.decodeProfile("", node, settings)
	}
	return b.err()
}
