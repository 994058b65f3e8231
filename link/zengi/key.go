package zengi

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"tillgate/internal/secretfile"
)

const (
	keySize    = 32  // of AES-256, in bytes
	maxSignKey = 256 // of the signature, in bytes
)

// secret shows itself to nobody.
type secret struct{ bytes []byte }

func (secret) String() string   { return "[secret]" }
func (secret) GoString() string { return "[secret]" }

// profile is how one partner's notifications are opened: settings and keys. It
// never changes.
type profile struct {
	*Settings
	key  secret // 32 bytes
	sign secret
}

// load reads the keys. Errors never have a part of one.
func load(s *Settings) (*profile, error) {
	if s.KeyFile == "" {
		return nil, errors.New("key_file is required: the AES-256 key that the partner was given")
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	p := &profile{Settings: s}
	line, err := secretfile.Read(s.KeyFile)
	if err != nil {
		return nil, err
	}
	if p.key.bytes, err = keyBytes(line, s.Key); err != nil || len(p.key.bytes) != keySize {
		return nil, fmt.Errorf("%s: not %d bytes as %s: compare key with how the partner writes it", s.KeyFile, keySize, s.Key)
	}
	if s.Sign == signNone {
		return p, nil
	}
	file, signLine := s.SignKeyFile, line
	if file == "" {
		file = s.KeyFile
	} else if signLine, err = secretfile.Read(file); err != nil {
		return nil, err
	}
	as := s.SignKey
	if as == asSame {
		as = s.Key
	}
	if p.sign.bytes, err = keyBytes(signLine, as); err != nil || len(p.sign.bytes) == 0 || len(p.sign.bytes) > maxSignKey {
		return nil, fmt.Errorf("%s: not a key of 1 to %d bytes as %s: compare sign_key with how the partner writes it", file, maxSignKey, as)
	}
	return p, nil
}

func keyBytes(line, as string) ([]byte, error) {
	switch as {
	case asHex:
		return hex.DecodeString(line)
	case asBase64:
		return base64.StdEncoding.DecodeString(line)
	}
	return []byte(line), nil
}
