package mqtt_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/mosquitto"
	"tillgate/internal/payment"
	"tillgate/internal/secretfile"
)

// Nobody said goodbye: the will says offline.
func TestWill(t *testing.T) {
	onBoth(t, func(t *testing.T, s *site) {
		p := newProxy(t, s.url)
		o := options(s, newHouse())
		o.URL = "tcp://" + p.l.Addr().String()
		e, _ := run(t, o)
		connected(t, e)
		k := control(t, s, "status")
		until(t, "online", func() bool { return k.last("status") == "online" })
		p.l.Close()
		p.cutNext(0)
		until(t, "offline", func() bool { return k.last("status") == "offline" })
	})
}

// A broker that nobody subscribed at for commands cannot command.
func TestUnaskedCommandIsIgnored(t *testing.T) {
	topic := "tillgate/v1/" + box + "/command/pause"
	extra := raw(0x30, append(append([]byte{0, byte(len(topic))}, topic...), `{"terminal":"pos1"}`...))
	for _, commands := range []bool{true, false} {
		h := newHouse()
		h.emit(payment.EventFinal, 1)
		o := options(scripted(t, script{extra: extra}), h)
		o.Commands = commands
		e, stop := run(t, o)
		connected(t, e)
		until(t, "cursor", func() bool { return h.at("local") == 2 }) // after extra on the same line
		if commands {
			until(t, "command", func() bool { return len(h.commands()) == 1 })
		}
		stop()
		if n := len(h.commands()); !commands && n != 0 {
			t.Errorf("%d commands came from a destination without commands", n)
		}
	}
}

// The password is asked for at each connect, so that it can be changed.
func TestPassword(t *testing.T) {
	s := embedded(t)
	path := filepath.Join(t.TempDir(), "password")
	write(t, path, "wrong\n")
	o := options(s, newHouse())
	o.Password = func() (string, error) { return secretfile.Read(path) }
	e, _ := run(t, o)
	until(t, "refusal", func() bool { return e.State().Failures >= 2 })
	if st := e.State(); strings.Contains(st.Error, "wrong") || st.Connected {
		t.Errorf("state is %+v", st)
	}
	write(t, path, s.password+"\n")
	connected(t, e)
}

// unix:// and tls:// to a real broker; a certificate of somebody else is refused.
func TestUnixAndTLS(t *testing.T) {
	plain := debians(t, "") // skips where there is none
	dir := t.TempDir()
	roots := certificate(t, dir)
	socket := filepath.Join(dir, "mqtt.sock")
	addr := mosquitto.Start(t, "certfile "+dir+"/cert", "keyfile "+dir+"/key", "listener 0 "+socket).Address
	until(t, "the socket of mosquitto", func() bool { return exists(socket) })
	good := []struct {
		url string
		tls *tls.Config
	}{{"unix://" + socket, nil}, {"tls://" + addr, &tls.Config{RootCAs: roots}}, {plain.url, nil}}
	for _, g := range good {
		o := options(plain, newHouse())
		o.URL, o.TLS = g.url, g.tls
		e, stop := run(t, o)
		connected(t, e)
		stop()
	}
	o := options(plain, newHouse())
	o.URL, o.TLS = "mqtts://"+addr, &tls.Config{RootCAs: x509.NewCertPool()}
	e, _ := run(t, o)
	until(t, "a refusal of the certificate", func() bool { return strings.Contains(e.State().Error, "certificate") })
	if st := e.State(); st.Connected {
		t.Errorf("state is %+v", st)
	}
}

// certificate writes a key and a certificate for 127.0.0.1 and trusts it.
func certificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "cert"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	write(t, filepath.Join(dir, "key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	pool.AddCert(c)
	return pool
}
