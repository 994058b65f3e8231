package qfpay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// authority makes a certificate authority and a certificate that it signed. Both
// are valid at the time of a bubble, too.
func authority(t *testing.T) (ca []byte, server tls.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2199, 1, 1, 0, 0, 0, 0, time.UTC), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{"terminal.test"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}
}

// TestAuthority: https with the terminal's authority, with another, and without.
func TestAuthority(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	const key = "00112233445566778899aabbccddeeff"
	sim, err := NewSimulator(link.SimulatorConfig{Script: []string{"approve+key:" + key}})
	if err != nil {
		t.Fatal(err)
	}
	defer sim.Close()
	ca, cert := authority(t)
	other, _ := authority(t)
	server := httptest.NewUnstartedServer(http.Handler(sim))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	defer server.Close()
	for _, tt := range []struct {
		name, ca, server string
		good             bool
	}{
		{"its authority", write("ca", ca), "", true}, {"and its name", write("ca", ca), "terminal.test", true}, {"another name", write("ca", ca), "x.test", false},
		{"another authority", write("other", other), "", false}, {"none", "", "", false}, {"no PEM", write("junk", []byte("junk")), "", false},
	} {
		s := defaults()
		s.KeyFile, s.CAFile, s.ServerName = write("key", []byte(key+"\n")), tt.ca, tt.server
		term, err := Open(t.Context(), link.Config{Address: server.URL, Currency: "HKD", Settings: s})
		if (err == nil) != tt.good || err != nil && link.Sent(err) {
			t.Errorf("%s: got %v", tt.name, err)
		}
		if err != nil {
			continue
		}
		tx := payment.Transaction{Attempt: strings.Repeat("A", 18) + string(rune('A'+len(sim.Ledger()))), Request: payment.Request{ID: "x", Operation: payment.Purchase, Amount: hkd(1010)}}
		if o, err := term.Execute(t.Context(), tx, link.Dialogue{}); err != nil || o.Result != payment.Approved {
			t.Errorf("%s: got %+v, %v", tt.name, o, err)
		}
		term.Close()
	}
}
