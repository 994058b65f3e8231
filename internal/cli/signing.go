package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"aead.dev/minisign"

	"tillgate/firmware"
	"tillgate/store"
)

type fwKeygenCmd struct {
	Secret   string `arg:"" help:"File for the secret key. The public one gets the same name with .pub."`
	Password string `name:"password-file" help:"File with the password that protects the secret key." placeholder:"FILE"`
	Open     bool   `name:"no-password" help:"Keep the secret key without a password."`
}

func (fwKeygenCmd) Help() string {
	return `Keep the secret key away from boxes and from the network. The public one
belongs into /etc/tillgate/keys of every box. Both can be used with minisign.

    tillgate firmware keygen --password-file pass release.key`
}

func (k *fwKeygenCmd) Run(a *app) error {
	if (k.Password == "") == !k.Open {
		return &exit{exitUsage, "protect the secret key with --password-file, or say --no-password"}
	}
	pub, key, err := minisign.GenerateKey(nil)
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	secret, err := key.MarshalText()
	if k.Password != "" {
		var password string
		if password, err = readLine(k.Password); err == nil {
			secret, err = minisign.EncryptKey(password, key)
		}
	}
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	public, err := pub.MarshalText()
	if err != nil {
		return fmt.Errorf("make a key: %w", err)
	}
	for _, f := range []struct {
		name string
		text []byte
		mode os.FileMode
	}{{k.Secret, secret, 0o600}, {strings.TrimSuffix(k.Secret, ".key") + ".pub", public, 0o644}} {
		if err := writeNew(f.name, append(f.text, '\n'), f.mode); err != nil {
			if errors.Is(err, os.ErrExist) {
				err = fmt.Errorf("%w: a key is never overwritten: choose another name", err)
			}
			return fmt.Errorf("make a key: %w", err)
		}
		fmt.Fprintln(a.Err, "wrote", f.name)
	}
	fmt.Fprintf(a.Out, "%016X\n", pub.ID())
	return nil
}

// writeNew makes a file and never replaces one: a key that is overwritten is
// lost.
func writeNew(name string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

func readLine(file string) (string, error) {
	b, err := os.ReadFile(file)
	return strings.TrimRight(string(b), "\r\n"), err
}

type fwSignCmd struct {
	File     string   `arg:"" help:"Program that .ci/static has built, or a whole system as a bundle of RAUC (*.raucb)."`
	Key      string   `required:"" help:"Secret key." placeholder:"FILE"`
	Password string   `name:"password-file" help:"File with the key's password." placeholder:"FILE"`
	Release  string   `name:"release" required:"" help:"Version, as the program says it of itself, like v1.4.0." placeholder:"VERSION"`
	Machine  string   `help:"amd64, arm64, armv7 or armv6. Default: what the program was built for, if that is amd64 or arm64." placeholder:"MACHINE"`
	Replaces []string `help:"Newer versions that this one may replace: a rollback." placeholder:"VERSION"`
	Trust    []string `help:"Public keys that count from then on." placeholder:"FILE"`
	Revoke   []string `help:"Ids of keys that no longer count." placeholder:"ID"`
	Notes    string   `help:"For people."`
	Out      string   `short:"o" help:"File for the bundle. Default: tillgate-VERSION-MACHINE.bundle." placeholder:"FILE"`
}

func (fwSignCmd) Help() string {
	return `    tillgate firmware sign --key release.key --release v1.4.0 dist/tillgate-arm64
    tillgate firmware sign --key release.key --release v1.4.0 --machine arm64 tillgate-rpi4.raucb

The version of a whole system is the one of the Tillgate in it.`
}

func (s *fwSignCmd) Run(a *app) error {
	key, err := s.key()
	if err != nil {
		return fmt.Errorf("read the secret key: %w", err)
	}
	m := firmware.Manifest{Version: firmware.Version(s.Release), Machine: s.Machine, Method: firmware.MethodBinary, Journal: store.Format, Revoke: s.Revoke, Notes: s.Notes}
	if filepath.Ext(s.File) == ".raucb" {
		m.Method = firmware.MethodRAUC
	}
	if m.Machine == "" {
		if m.Machine, err = builtFor(s.File); err != nil {
			return fmt.Errorf("find out for which machine %s is: %w; name it with --machine", s.File, err)
		}
	}
	for _, v := range s.Replaces {
		m.Replaces = append(m.Replaces, firmware.Version(v))
	}
	for _, file := range s.Trust {
		text, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read a key to trust: %w", err)
		}
		m.Trust = append(m.Trust, strings.TrimSpace(string(text)))
	}
	out := s.Out
	if out == "" {
		out = fmt.Sprintf("tillgate-%s-%s.bundle", m.Version, m.Machine)
	}
	f, err := os.CreateTemp(filepath.Dir(out), ".bundle-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if err := errors.Join(firmware.Make(f, m, s.File, key), f.Sync(), f.Close(), os.Chmod(f.Name(), 0o644)); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), out); err != nil {
		return err
	}
	fmt.Fprintln(a.Out, out)
	return nil
}

func (s *fwSignCmd) key() (minisign.PrivateKey, error) {
	var key minisign.PrivateKey
	text, err := os.ReadFile(s.Key)
	if err != nil {
		return key, err
	}
	if minisign.IsEncrypted(text) {
		if s.Password == "" {
			return key, errors.New("it is protected: name the file with its password, --password-file")
		}
		password, err := readLine(s.Password)
		if err != nil {
			return key, err
		}
		return minisign.DecryptKey(password, text)
	}
	return key, key.UnmarshalText(text)
}

// builtFor reads the head of an ELF file (its machine, at offset 18). That of a
// 32-bit ARM program does not tell ARMv6 from ARMv7.
func builtFor(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, 20)
	if _, err := io.ReadFull(f, head); err != nil || string(head[:4]) != "\x7fELF" {
		return "", errors.New("it is no program for Linux")
	}
	switch head[18] {
	case 62:
		return "amd64", nil
	case 183:
		return "arm64", nil
	}
	return "", errors.New("its head does not tell")
}
