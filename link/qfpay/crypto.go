package qfpay

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
)

// iv is the document's, chapter 2. It is the same for every message.
const iv = "qfpay202306_hjsh"

// defaultKey is the POS-KEY that a new terminal has, printed in chapter 1.
const defaultKey = "f46b1f08bec1f39104792cc79ec9aacd"

// errCipher is wrapped by every error about bytes that this key does not open.
var errCipher = errors.New("not encrypted with this POS-KEY")

// posKey is the secret of one terminal, 32 characters. It never shows itself.
type posKey struct{ text string }

func (posKey) String() string   { return "**redacted**" }
func (posKey) GoString() string { return "**redacted**" }

// sealer encrypts with AES in CBC mode, with the padding of PKCS#7 and the text
// in Base64.
type sealer struct{ block cipher.Block }

// newSealer makes the cipher of a key: its 32 characters as they stand
// (AES-256, what a client in use does), or the 16 bytes they are the
// hexadecimal digits of (AES-128, what the document says).
func newSealer(k posKey, asHex bool) (sealer, error) {
	key := []byte(k.text)
	if asHex {
		var err error
		if key, err = hex.DecodeString(k.text); err != nil {
			return sealer{}, errors.New("the POS-KEY has other characters than hexadecimal digits")
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return sealer{}, errors.New("the POS-KEY has not the length of an AES key")
	}
	return sealer{block}, nil
}

// seal encrypts and encodes. The plain text has at most maxMessage bytes.
func (s sealer) seal(plain []byte) []byte {
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	b := append(bytes.Clone(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(s.block, []byte(iv)).CryptBlocks(b, b)
	return base64.StdEncoding.AppendEncode(nil, b)
}

// open decodes and decrypts. Blanks and line breaks in the Base64 text are
// passed over.
func (s sealer) open(text []byte) ([]byte, error) {
	text = bytes.Join(bytes.Fields(text), nil)
	b := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Strict().Decode(b, text)
	if err != nil {
		return nil, fmt.Errorf("%w: its Base64 ends early or has other characters", errCipher)
	}
	b = b[:n]
	if n == 0 || n%aes.BlockSize != 0 {
		return nil, fmt.Errorf("%w: %d bytes are not a row of blocks", errCipher, n)
	}
	cipher.NewCBCDecrypter(s.block, []byte(iv)).CryptBlocks(b, b)
	pad := int(b[n-1])
	if pad < 1 || pad > aes.BlockSize || subtle.ConstantTimeCompare(b[n-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) != 1 {
		return nil, fmt.Errorf("%w: its padding is wrong", errCipher)
	}
	return b[:n-pad], nil
}
