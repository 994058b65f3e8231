package cli

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"tillgate/internal/config"
)

// group is goroutines that are waited for together.
type group struct{ wg sync.WaitGroup }

// start runs f; if it ends with an error, everything ends with that error.
func (g *group) start(name string, fail context.CancelCauseFunc, f func() error) {
	g.wg.Go(func() {
		if err := f(); err != nil {
			fail(fmt.Errorf("%s: %w", name, err))
		}
	})
}

func (g *group) wait() { g.wg.Wait() }

// boardSerial is the serial number of the board, or "" where the board has
// none. Raspberry Pi firmware writes it into the device tree.
func boardSerial() string {
	b, err := os.ReadFile("/sys/firmware/devicetree/base/serial-number")
	if err != nil || len(b) > 64 {
		return ""
	}
	return strings.Trim(string(b), "\x00\n ")
}

// madePassword reads a password that was made at the first start, or makes it.
func madePassword(file string) (string, error) {
	b, err := os.ReadFile(file)
	if password := strings.TrimSpace(string(b)); err == nil && password != "" {
		return password, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	password := rand.Text()
	making := file + ".new"
	if err := os.WriteFile(making, []byte(password+"\n"), 0o600); err != nil {
		return "", err
	}
	return password, os.Rename(making, file)
}

// tlsOf reads the files of a destination; nil means the system's own roots.
func tlsOf(t config.TLS) (*tls.Config, error) {
	if t == (config.TLS{}) {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CA != "" {
		pem, err := os.ReadFile(t.CA)
		if err != nil {
			return nil, err
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", t.CA)
		}
	}
	if t.Cert != "" {
		pair, err := tls.LoadX509KeyPair(t.Cert, t.Key)
		if err != nil {
			return nil, err
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}
