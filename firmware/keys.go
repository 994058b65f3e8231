package firmware

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// Keys are those whose signatures count.
type Keys []minisign.PublicKey

// keyID is how minisign writes the id of a key.
func keyID(k minisign.PublicKey) string { return fmt.Sprintf("%016X", k.ID()) }

// Verify returns the id of the key that signed message.
func (ks Keys) Verify(message, signature []byte) (string, error) {
	var s minisign.Signature
	if err := s.UnmarshalText(signature); err != nil {
		return "", fmt.Errorf("%w: the signature cannot be read", ErrUnsigned)
	}
	for _, k := range ks {
		if k.ID() == s.KeyID && minisign.Verify(k, message, signature) {
			return keyID(k), nil
		}
	}
	if len(ks) == 0 {
		return "", fmt.Errorf("%w: this box trusts none: put the public key of who makes its updates into /etc/tillgate/keys", ErrUnsigned)
	}
	return "", fmt.Errorf("%w: key %016X", ErrUnsigned, s.KeyID)
}

func (ks Keys) has(id string) bool {
	return slices.ContainsFunc(ks, func(k minisign.PublicKey) bool { return keyID(k) == id })
}

// rotation is what confirmed bundles have made of the keys.
type rotation struct {
	Trusted []string `json:"trusted"` // texts of public keys
	Revoked []string `json:"revoked"` // ids
}

// loadKeys reads the keys that the owner of the box has put into folder, as
// *.pub, and applies what bundles have brought and revoked.
func loadKeys(folder string, r rotation) (Keys, error) {
	var all Keys
	files, err := filepath.Glob(filepath.Join(folder, "*.pub"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	add := func(text string) error {
		k, err := parseKey(text)
		if err == nil && !slices.Contains(r.Revoked, keyID(k)) && !all.has(keyID(k)) {
			all = append(all, k)
		}
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read a key: %w", err)
		}
		if err := add(string(text)); err != nil {
			return nil, fmt.Errorf("key %s: %w", file, err)
		}
	}
	for _, text := range r.Trusted {
		if err := add(text); err != nil {
			return nil, fmt.Errorf("key of an earlier bundle: %w", err)
		}
	}
	return all, nil
}

func parseKey(text string) (minisign.PublicKey, error) {
	var k minisign.PublicKey
	if len(text) > 1024 {
		return k, errors.New("it is no minisign public key")
	}
	if err := k.UnmarshalText([]byte(strings.TrimSpace(text))); err != nil {
		return k, errors.New("it is no minisign public key")
	}
	return k, nil
}

// with applies what a confirmed manifest says of keys. It refuses to leave the
// box without any.
func (r rotation) with(m Manifest, folder string) (rotation, error) {
	for _, text := range m.Trust {
		if _, err := parseKey(text); err != nil {
			return r, fmt.Errorf("trust: %w", err)
		}
		if text = strings.TrimSpace(text); !slices.Contains(r.Trusted, text) {
			r.Trusted = append(slices.Clone(r.Trusted), text)
		}
	}
	for _, id := range m.Revoke {
		if id = strings.ToUpper(id); !slices.Contains(r.Revoked, id) {
			r.Revoked = append(slices.Clone(r.Revoked), id)
		}
	}
	left, err := loadKeys(folder, r)
	if err == nil && len(left) == 0 {
		err = errors.New("it would leave no key that can sign the next update")
	}
	return r, err
}

// IDs names the keys.
func (ks Keys) IDs() []string {
	ids := []string{}
	for _, k := range ks {
		ids = append(ids, keyID(k))
	}
	return ids
}
