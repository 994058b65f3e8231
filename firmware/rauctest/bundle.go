package rauctest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Bundle makes a RAUC bundle of a system, signed with the key that the box
// trusts, and returns its file.
func (b *Box) Bundle(system []byte, compatible string) string {
	b.t.Helper()
	dir, err := os.MkdirTemp(b.Dir, "bundle-")
	b.check(err)
	content := filepath.Join(dir, "content")
	b.check(os.Mkdir(content, 0o755))
	manifest := "[update]\ncompatible=" + compatible + "\nversion=1\n\n[bundle]\nformat=plain\n\n[image.rootfs]\nfilename=rootfs.img\n"
	b.check(os.WriteFile(filepath.Join(content, "manifest.raucm"), []byte(manifest), 0o644))
	b.check(os.WriteFile(filepath.Join(content, "rootfs.img"), padded(b.t, system), 0o644))
	file := filepath.Join(dir, "system.raucb")
	out, err := exec.Command("rauc", "--cert="+b.path("cert.pem"), "--key="+b.path("key.pem"), "--keyring="+b.path("cert.pem"), "bundle", content, file).CombinedOutput()
	if err != nil {
		b.t.Fatalf("rauc bundle: %v: %s", err, out)
	}
	return file
}

// Certify makes the key that signs bundles, and that the box trusts until then.
func (b *Box) Certify(until time.Time) {
	b.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	b.check(err)
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Tillgate test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	b.check(err)
	b.write("cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
	if der, err = x509.MarshalPKCS8PrivateKey(key); err != nil {
		b.t.Fatal(err)
	}
	b.write("key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600)
}
