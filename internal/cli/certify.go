package cli

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"

	"tillgate/internal/config"
	"tillgate/link"
)

type certifyCmd struct {
	Driver string   `arg:"" help:"Protocol that tells by itself: ${notifiers}."`
	Body   string   `arg:"" help:"Captured request or body: '@FILE', or '-' for standard input."`
	Header []string `short:"H" sep:"none" help:"A header of the request, 'Name: value', where the capture has none." placeholder:"HEADER"`
	Set    []string `sep:"none" help:"A setting that is known, key=value, above all key_file=/path. Default: those of the configured sender." placeholder:"KEY=VALUE"`
	Sender string   `help:"Sender of the configuration whose settings are taken. Default: the first of the protocol." placeholder:"NAME"`
}

func (certifyCmd) Help() string {
	return `The document of a protocol may say that notifications are encrypted and
signed, and not how. With the key, a captured one is tried against every
profile; the one that opens it is printed as it goes into the configuration.
Nothing is sent and nothing is stored. Exit status 1 if none opens it, or if
nothing says that it is genuine.

    tillgate certify zengi @request.txt --set key_file=/etc/tillgate/zengi.key
    tillgate certify zengi @body.json -H 'X-Signature: 5f0c...' --set key_file=/etc/tillgate/zengi.key --set sign_key_file=/etc/tillgate/zengi-sign.key
    tillgate certify zengi @body.json --set key_file=/etc/tillgate/zengi.key --set 'sign_fields=[id, amount, refId]'`
}

func (c *certifyCmd) Run(a *app) error {
	driver, err := a.driver(c.Driver)
	if err != nil {
		return err
	}
	if driver.Notify == nil || driver.Notify.Certify == nil {
		return fmt.Errorf("the driver %s has nothing to certify: it tells nothing by itself", driver.Name)
	}
	if c.Body != "-" && !strings.HasPrefix(c.Body, "@") {
		return &exit{exitUsage, "give the capture as @FILE or -"}
	}
	r := link.NotifyRequest{Header: http.Header{}}
	if r.Body, err = (&decodeCmd{Bytes: c.Body, Raw: true}).read(a); err != nil {
		return err
	}
	for _, h := range c.Header {
		name, value, ok := strings.Cut(h, ":")
		if !ok || name != textproto.TrimString(name) || name == "" {
			return &exit{exitUsage, "a header is like 'X-Signature: 5f0c...'"}
		}
		r.Header.Set(name, textproto.TrimString(value))
	}
	settings, err := c.settings(a, driver)
	if err != nil {
		return err
	}
	return driver.Notify.Certify(a.Out, settings, r)
}

// settings are those of the configuration, if there is one that has any, with
// what --set says.
func (c *certifyCmd) settings(a *app, driver link.Driver) (any, error) {
	var settings any
	if s, err := configuredSender(a, driver, c.Sender); err == nil {
		settings = s.Settings
	} else if c.Sender != "" {
		return nil, err
	} else {
		settings = driver.Notify.Settings()
	}
	var text strings.Builder
	for _, pair := range c.Set {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || key == "" {
			return nil, &exit{exitUsage, "a setting is like key_file=/etc/tillgate/zengi.key"}
		}
		fmt.Fprintf(&text, "%s: %s\n", key, value)
	}
	if text.Len() == 0 {
		return settings, nil
	}
	return settings, config.Fill(settings, text.String())
}

// configuredSender finds a sender of the configuration by its name, or the first
// of a protocol.
func configuredSender(a *app, driver link.Driver, name string) (config.Sender, error) {
	c, err := config.Load(a.table.Config, a.drivers)
	if err != nil {
		return config.Sender{}, err
	}
	i := slices.IndexFunc(c.Notify.Senders, func(s config.Sender) bool {
		return s.Driver == driver.Name && (name == "" || s.Name == name)
	})
	if i < 0 {
		return config.Sender{}, fmt.Errorf("%s has no sender of the protocol %s that is called %q under notify.senders", a.table.Config, driver.Name, name)
	}
	return c.Notify.Senders[i], nil
}

// notifiers are the names of the protocols that tell by themselves.
func notifiers(ds []link.Driver) (all []string) {
	for _, d := range ds {
		if d.Notify != nil {
			all = append(all, d.Name)
		}
	}
	return all
}
