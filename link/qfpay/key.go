package qfpay

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/secretfile"
)

// keyLength is how many characters a POS-KEY has.
const keyLength = 32

// refresh tells a person what to do about a key that the terminal does not
// know (chapter 1).
const refresh = "compare the POS-KEY with the terminal's: Haojin app, My, Settings, POS key; after a reset there the app has to be refreshed, then put the new key into key_file, which is read again without a restart"

// profile is how one terminal is spoken to: its settings and its key. A value
// is never changed; a new key makes a new one.
type profile struct {
	settings *Settings
	key      posKey
	sealer   sealer
}

func newProfile(s *Settings, k posKey) (*profile, error) {
	if len(k.text) != keyLength {
		return nil, fmt.Errorf("the POS-KEY has not %d characters", keyLength)
	}
	sealer, err := newSealer(k, s.Key == KeyHex)
	if err != nil {
		return nil, err
	}
	return &profile{s, k, sealer}, nil
}

// identity tells which terminal answers, as far as that can be known: QFPay makes
// a POS-KEY for each device, and a terminal that serves a request has the one
// that it was signed with. It is a fingerprint, from which the key cannot be
// found. "" is nobody: the printed key, and one that terminals share.
func (p *profile) identity() string {
	if p.settings.SharedKey || strings.EqualFold(p.key.text, defaultKey) {
		return ""
	}
	sum := sha256.Sum256([]byte("tillgate qfpay identity " + p.key.text))
	return "POS-KEY " + hex.EncodeToString(sum[:6])
}

// load reads the key. The printed key is refused unless the terminal is
// simulated: everybody who has read the document could forge its answers.
func load(s *Settings, simulated bool) (*profile, error) {
	if s.KeyFile == "" {
		if !simulated {
			return nil, errors.New("key_file " + needKey)
		}
		return newProfile(s, posKey{defaultKey})
	}
	k, err := readKey(s.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("key_file: %w", err)
	}
	if strings.EqualFold(k.text, defaultKey) && !simulated {
		return nil, errors.New("key_file has the key that is printed in the document: reset the POS-KEY on the terminal (Haojin app, My, Settings, POS key)")
	}
	return newProfile(s, k)
}

// readKey reads a POS-KEY. The error never has a part of it.
func readKey(file string) (posKey, error) {
	text, err := secretfile.Read(file)
	if err != nil {
		return posKey{}, err
	}
	if len(text) != keyLength {
		return posKey{}, fmt.Errorf("%s: a POS-KEY has %d characters on one line", file, keyLength)
	}
	return posKey{text}, nil
}
