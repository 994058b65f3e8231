package zengi

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

const tagSize = 16

// The bytes behind the text in data:
//
//	iv: prefix     mode: cbc                      iv 16 | ciphertext, whole blocks
//	               mode: gcm, tag: suffix         iv 12 | ciphertext | tag 16
//	               mode: gcm, tag: prefix         iv 12 | tag 16 | ciphertext
//	iv: fixed,     the same without iv
//	zero, or ecb

// decrypt opens sealed. plain is as long as the ciphertext, and its first n bytes
// are the text; good is 1 if padding, or tag, are right. How long it takes
// depends on the length of sealed alone. The error is about lengths only.
func (p *profile) decrypt(sealed []byte) (plain []byte, n, good int, err error) {
	iv := make([]byte, p.ivSize())
	switch {
	case p.Mode == modeECB || p.IV == ivZero:
	case p.IV == ivFixed:
		if iv, err = hex.DecodeString(p.IVHex); err != nil {
			return nil, 0, 0, err
		}
	case len(sealed) < len(iv):
		return nil, 0, 0, errors.New("data is shorter than its initialisation vector")
	default:
		iv, sealed = sealed[:len(iv)], sealed[len(iv):]
	}
	block, err := aes.NewCipher(p.key.bytes)
	if err != nil {
		return nil, 0, 0, err
	}
	if p.Mode == modeGCM {
		return p.decryptGCM(block, iv, sealed)
	}
	if len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, 0, 0, errors.New("the ciphertext has no whole blocks")
	}
	plain = make([]byte, len(sealed))
	if p.Mode == modeECB {
		for i := 0; i < len(sealed); i += aes.BlockSize {
			block.Decrypt(plain[i:], sealed[i:])
		}
	} else {
		cipher.NewCBCDecrypter(block, iv).CryptBlocks(plain, sealed)
	}
	if p.Padding == paddingZero {
		return plain, len(bytes.TrimRight(plain, "\x00")), 1, nil
	}
	n, good = unpad(plain)
	return plain, n, good, nil
}

func (p *profile) decryptGCM(block cipher.Block, iv, sealed []byte) (plain []byte, n, good int, err error) {
	aead, err := cipher.NewGCMWithNonceSize(block, len(iv))
	if err != nil {
		return nil, 0, 0, err
	}
	if len(sealed) < tagSize {
		return nil, 0, 0, errors.New("data is shorter than its tag")
	}
	if p.Tag == tagPrefix {
		sealed = append(bytes.Clone(sealed[tagSize:]), sealed[:tagSize]...)
	}
	n = len(sealed) - tagSize
	plain, err = aead.Open(nil, iv, sealed, nil)
	if err != nil {
		return make([]byte, n), n, 0, nil
	}
	return plain, n, 1, nil
}

// unpad reads the padding of PKCS #7 and looks at all of a block whatever it
// finds. Without a right one n is the whole length.
func unpad(plain []byte) (n, good int) {
	size := int(plain[len(plain)-1])
	good = subtle.ConstantTimeLessOrEq(1, size) & subtle.ConstantTimeLessOrEq(size, aes.BlockSize)
	for i := 1; i <= aes.BlockSize; i++ {
		inside := subtle.ConstantTimeLessOrEq(i, size)
		same := subtle.ConstantTimeByteEq(plain[len(plain)-i], byte(size))
		good &= subtle.ConstantTimeSelect(inside, same, 1)
	}
	return subtle.ConstantTimeSelect(good, len(plain)-size, len(plain)), good
}

// encrypt is the sending side of decrypt, for the simulator.
func (p *profile) encrypt(text []byte) ([]byte, error) {
	iv := make([]byte, p.ivSize())
	var head []byte
	switch {
	case p.Mode == modeECB || p.IV == ivZero:
	case p.IV == ivFixed:
		copy(iv, unhex(p.IVHex))
	default:
		_, _ = rand.Read(iv) // never fails
		head = iv
	}
	block, err := aes.NewCipher(p.key.bytes)
	if err != nil {
		return nil, err
	}
	if p.Mode == modeGCM {
		aead, err := cipher.NewGCMWithNonceSize(block, len(iv))
		if err != nil {
			return nil, err
		}
		sealed := aead.Seal(nil, iv, text, nil)
		if p.Tag == tagPrefix {
			sealed = append(bytes.Clone(sealed[len(text):]), sealed[:len(text)]...)
		}
		return append(bytes.Clone(head), sealed...), nil
	}
	text = p.pad(text)
	sealed := make([]byte, len(text))
	if p.Mode == modeECB {
		for i := 0; i < len(text); i += aes.BlockSize {
			block.Encrypt(sealed[i:], text[i:])
		}
	} else {
		cipher.NewCBCEncrypter(block, iv).CryptBlocks(sealed, text)
	}
	return append(bytes.Clone(head), sealed...), nil
}

func (p *profile) pad(text []byte) []byte {
	size := aes.BlockSize - len(text)%aes.BlockSize
	if p.Padding == paddingZero {
		return append(bytes.Clone(text), make([]byte, size%aes.BlockSize)...)
	}
	return append(bytes.Clone(text), bytes.Repeat([]byte{byte(size)}, size)...)
}

// unhex is for what Validate has seen already.
func unhex(s string) []byte {
	b, _ := hex.DecodeString(s)
	return b
}

var errText = errors.New("not written as it should be")

// fromText reads bytes that travel as text. Line breaks are skipped, and the
// padding of Base64 may be missing.
func fromText(text, as string) ([]byte, error) {
	text = strings.NewReplacer("\r", "", "\n", "").Replace(text)
	if as == asAuto {
		as = guess(text)
	}
	var b []byte
	var err error
	switch bare := strings.TrimRight(text, "="); as {
	case asHex:
		b, err = hex.DecodeString(text)
	case asURL:
		b, err = base64.RawURLEncoding.DecodeString(bare)
	default:
		b, err = base64.RawStdEncoding.DecodeString(bare)
	}
	if err != nil {
		return nil, errText // what the library says has an offset, and could have a byte
	}
	return b, nil
}

// guess tells how bytes are written. Twenty bytes as Base64 look like hex once
// in 10^12.
func guess(text string) string {
	if len(text)%2 == 0 && len(text) >= 32 && strings.Trim(text, "0123456789abcdefABCDEF") == "" {
		return asHex
	}
	if strings.ContainsAny(text, "-_") {
		return asURL
	}
	return asBase64
}

func toText(b []byte, as string) string {
	switch as {
	case asHex:
		return hex.EncodeToString(b)
	case asURL:
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}
