package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// maxSecret is the largest password in bytes.
const maxSecret = 4096

// files makes the file names of c absolute and reads its secrets.
func (b *book) files(c *Config, dir string) {
	b.readable("notify.cert_file", &c.Notify.Cert, dir, false)
	b.readable("notify.key_file", &c.Notify.Key, dir, true)
	b.secret("mqtt.broker.password_file", &c.MQTT.Broker.PasswordFile, &c.MQTT.Broker.Password, dir)
	for i := range c.MQTT.Destinations {
		d := &c.MQTT.Destinations[i]
		at := fmt.Sprintf("mqtt.destinations[%d]", i)
		b.secret(at+".password_file", &d.PasswordFile, &d.Password, dir)
		b.readable(at+".tls.ca_file", &d.TLS.CA, dir, false)
		b.readable(at+".tls.cert_file", &d.TLS.Cert, dir, false)
		b.readable(at+".tls.key_file", &d.TLS.Key, dir, true)
	}
	for i, s := range c.Notify.Senders {
		b.named(fmt.Sprintf("notify.senders[%d].profile", i), reflect.ValueOf(s.Settings))
	}
	absent := &book{file: b.file, lines: b.lines}
	for i, t := range c.Terminals {
		absent.named(fmt.Sprintf("terminals[%d].profile", i), reflect.ValueOf(t.Settings))
	}
	c.Absent = absent.problems
}

// named looks at the files that a driver's settings name by their whole path, in
// keys that end in _file; those that end in key_file are private.
func (b *book) named(path string, settings reflect.Value) {
	settings = reflect.Indirect(settings)
	if settings.Kind() != reflect.Struct {
		return
	}
	for i := range settings.NumField() {
		key, _, _ := strings.Cut(settings.Type().Field(i).Tag.Get("yaml"), ",")
		switch at, f := path+"."+key, settings.Field(i); {
		case f.Kind() == reflect.Struct:
			b.named(at, f)
		case f.Kind() == reflect.String && strings.HasSuffix(key, "_file") && filepath.IsAbs(f.String()):
			name := f.String()
			b.readable(at, &name, "", strings.HasSuffix(key, "key_file"))
		}
	}
}

func (b *book) secret(path string, file *string, s *Secret, dir string) {
	if !b.readable(path, file, dir, true) {
		return
	}
	value, err := readSecret(*file)
	if err != nil {
		b.add(path, "%v", err)
		return
	}
	*s = value
}

// readable makes a file name absolute and checks that the file is there, can
// be read by us, and, if it is private, by nobody but its owner and group.
func (b *book) readable(path string, file *string, dir string, private bool) bool {
	if *file == "" || b.has(path) {
		return false
	}
	if !filepath.IsAbs(*file) {
		*file = filepath.Join(dir, *file)
	}
	f, err := os.Open(*file)
	if err != nil {
		b.add(path, "%s: %s", *file, fileTrouble(err))
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		b.add(path, "%s: %v", *file, err)
	case !info.Mode().IsRegular():
		b.add(path, "%s is not a file", *file)
	case private && info.Mode().Perm()&0o027 != 0:
		b.add(path, "%s can be read by others (mode %04o); run: chmod 0640 %s", *file, info.Mode().Perm(), *file)
	default:
		return true
	}
	return false
}

func fileTrouble(err error) string {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("this user (uid %d) may not read it", os.Getuid())
	}
	return err.Error()
}

// readSecret reads one line. The error never has a part of it.
func readSecret(file string) (Secret, error) {
	f, err := os.Open(file)
	if err != nil {
		return Secret{}, errors.New(fileTrouble(err))
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	value := strings.TrimRight(string(b), "\r\n")
	switch {
	case err != nil:
		return Secret{}, err
	case len(b) > maxSecret:
		return Secret{}, fmt.Errorf("%s is larger than %d bytes", file, maxSecret)
	case value == "":
		return Secret{}, fmt.Errorf("%s is empty", file)
	case strings.ContainsAny(value, "\r\n\x00"):
		return Secret{}, fmt.Errorf("%s has more than one line", file)
	}
	return Secret{value}, nil
}
