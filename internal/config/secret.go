package config

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"tillgate/internal/secretfile"
)

// files makes the file names of c absolute and reads its secrets.
func (b *book) files(c *Config, dir string) {
	b.readable("notify.cert_file", &c.Notify.Cert, dir, false)
	b.readable("notify.key_file", &c.Notify.Key, dir, true)
	c.MQTT.Broker.Password = b.secret("mqtt.broker.password_file", &c.MQTT.Broker.PasswordFile, dir)
	for i := range c.MQTT.Destinations {
		d := &c.MQTT.Destinations[i]
		at := fmt.Sprintf("mqtt.destinations[%d]", i)
		b.secret(at+".password_file", &d.PasswordFile, dir) // the edge reads it again at each connect
		b.readable(at+".tls.ca_file", &d.TLS.CA, dir, false)
		b.readable(at+".tls.cert_file", &d.TLS.Cert, dir, false)
		b.readable(at+".tls.key_file", &d.TLS.Key, dir, true)
	}
	for i, s := range c.Notify.Senders {
		b.filesOf(fmt.Sprintf("notify.senders[%d].profile", i), reflect.ValueOf(s.Settings))
	}
	absent := &book{file: b.file, lines: b.lines}
	for i, t := range c.Terminals {
		absent.filesOf(fmt.Sprintf("terminals[%d].profile", i), reflect.ValueOf(t.Settings))
	}
	c.Absent = absent.problems
}

// filesOf looks at the files that a driver's settings name by their whole path, in
// keys that end in _file; those that end in key_file are private.
func (b *book) filesOf(path string, settings reflect.Value) {
	settings = reflect.Indirect(settings)
	if settings.Kind() != reflect.Struct {
		return
	}
	for i := range settings.NumField() {
		key, _, _ := strings.Cut(settings.Type().Field(i).Tag.Get("yaml"), ",")
		switch at, f := path+"."+key, settings.Field(i); {
		case f.Kind() == reflect.Struct:
			b.filesOf(at, f)
		case f.Kind() == reflect.String && strings.HasSuffix(key, "_file") && filepath.IsAbs(f.String()):
			name := f.String()
			b.readable(at, &name, "", strings.HasSuffix(key, "key_file"))
		}
	}
}

// secret makes a file name absolute and reads what is in the file.
func (b *book) secret(path string, file *string, dir string) Secret {
	if !b.named(path, file, dir) {
		return Secret{}
	}
	value, err := secretfile.Read(*file)
	if err != nil {
		b.add(path, "%v", err)
	}
	return Secret{value}
}

// readable makes a file name absolute and checks that the file is there, can
// be read by us, and, if it is private, by nobody but its owner and group.
func (b *book) readable(path string, file *string, dir string, private bool) {
	if !b.named(path, file, dir) {
		return
	}
	if err := secretfile.Check(*file, private); err != nil {
		b.add(path, "%v", err)
	}
}

func (b *book) named(path string, file *string, dir string) bool {
	if *file == "" || b.has(path) {
		return false
	}
	if !filepath.IsAbs(*file) {
		*file = filepath.Join(dir, *file)
	}
	return true
}
