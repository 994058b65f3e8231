package zengi

import (
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tillgate/internal/payment"
)

// Settings is the profile of one partner's notifications, as the configuration
// has it. The document publishes none of it; the defaults are what services of
// this kind most often do, and `tillgate certify zengi` finds what this one does.
type Settings struct {
	KeyFile string `yaml:"key_file" json:"key_file,omitempty" jsonschema_description:"File with the AES-256 key on one line, by its whole path, readable by its owner and group only. Required."`
	Key     string `yaml:"key" json:"key,omitempty" jsonschema:"enum=hex,enum=base64,enum=text" jsonschema_description:"How the key is written in its file: hex, base64, or text of 32 characters."`
	Mode    string `yaml:"mode" json:"mode,omitempty" jsonschema:"enum=cbc,enum=gcm,enum=ecb" jsonschema_description:"Mode of AES-256. ecb shows which blocks are equal: only where the partner can do nothing else."`
	IV      string `yaml:"iv" json:"iv,omitempty" jsonschema:"enum=prefix,enum=fixed,enum=zero" jsonschema_description:"Where the initialisation vector is: before the ciphertext, in iv_hex, or all zeros."`
	IVHex   string `yaml:"iv_hex" json:"iv_hex,omitempty" jsonschema_description:"The fixed initialisation vector, in hex."`
	IVSize  int    `yaml:"iv_size" json:"iv_size,omitempty" jsonschema:"enum=0,enum=12,enum=16" jsonschema_description:"Bytes of the initialisation vector. 0 is the usual: 16 for cbc, 12 for gcm."`
	Tag     string `yaml:"tag" json:"tag,omitempty" jsonschema:"enum=suffix,enum=prefix" jsonschema_description:"Where the 16 bytes of gcm's tag are: behind or before the ciphertext."`
	Padding string `yaml:"padding" json:"padding,omitempty" jsonschema:"enum=pkcs7,enum=zero" jsonschema_description:"How the last block is filled, for cbc and ecb."`
	Text    string `yaml:"text" json:"text,omitempty" jsonschema:"enum=auto,enum=base64,enum=base64url,enum=hex" jsonschema_description:"How data is written."`

	Sign        string   `yaml:"sign" json:"sign,omitempty" jsonschema:"enum=body,enum=data,enum=ciphertext,enum=plaintext,enum=fields,enum=none" jsonschema_description:"What HMAC-SHA256 is over: the whole body, the text in data, its bytes, the decrypted text, or a list of fields."`
	SignFields  []string `yaml:"sign_fields" json:"sign_fields,omitempty" jsonschema_description:"With fields: their names, in the order that was agreed on."`
	SignForm    string   `yaml:"sign_form" json:"sign_form,omitempty" jsonschema:"enum=values,enum=pairs" jsonschema_description:"With fields: values alone, or name=value."`
	SignJoin    string   `yaml:"sign_join" json:"sign_join,omitempty" jsonschema_description:"With fields: what stands between two of them."`
	SignKeyFile string   `yaml:"sign_key_file" json:"sign_key_file,omitempty" jsonschema_description:"File with the key of the signature. Default: the key of the encryption."`
	SignKey     string   `yaml:"sign_key" json:"sign_key,omitempty" jsonschema:"enum=same,enum=hex,enum=base64,enum=text" jsonschema_description:"How the signature's key is written. same is as key says."`
	SignIn      string   `yaml:"sign_in" json:"sign_in,omitempty" jsonschema:"enum=header,enum=field,enum=inner" jsonschema_description:"Where the signature stands: in a header, in a field beside data, or in a field of the decrypted text."`
	SignName    string   `yaml:"sign_name" json:"sign_name,omitempty" jsonschema_description:"Name of that header or field."`
	SignText    string   `yaml:"sign_text" json:"sign_text,omitempty" jsonschema:"enum=auto,enum=hex,enum=base64,enum=base64url" jsonschema_description:"How the signature is written."`

	AllowUnsigned bool `yaml:"allow_unsigned" json:"allow_unsigned,omitempty" jsonschema_description:"Believe cbc and ecb without a signature. Whoever has one notification can then change it."`

	Names        []string `yaml:"names" json:"names,omitempty" jsonschema_description:"Fields that name our payment, best first. extraData.x is the member x of extraData."`
	Success      []string `yaml:"success" json:"success,omitempty" jsonschema_description:"Values of status that say paid; isoResponseCode must say so too."`
	Zone         string   `yaml:"zone" json:"zone,omitempty" jsonschema_description:"Time zone of transDateTime, like +07:00."`
	AmountFactor int64    `yaml:"amount_factor" json:"amount_factor,omitempty" jsonschema:"enum=1,enum=10,enum=100,enum=1000" jsonschema_description:"Units of the wire's amount in one minor unit of ours."`
}

// Values of settings.
const (
	asHex, asBase64, asText, asURL = "hex", "base64", "text", "base64url"
	asAuto, asSame                 = "auto", "same"

	modeCBC, modeGCM, modeECB   = "cbc", "gcm", "ecb"
	ivPrefix, ivFixed, ivZero   = "prefix", "fixed", "zero"
	tagSuffix, tagPrefix        = "suffix", "prefix"
	paddingPKCS7, paddingZero   = "pkcs7", "zero"
	inHeader, inField, inInner  = "header", "field", "inner"
	formValues, formPairs       = "values", "pairs"
	signBody, signData          = "body", "data"
	signCiphertext, signPlain   = "ciphertext", "plaintext"
	signFields, signNone        = "fields", "none"
	maxSignFields, maxNameField = 40, 8
)

func defaults() *Settings {
	return &Settings{
		Key: asHex, Mode: modeCBC, IV: ivPrefix, Tag: tagSuffix, Padding: paddingPKCS7, Text: asAuto,
		Sign: signBody, SignForm: formValues, SignKey: asSame, SignIn: inHeader, SignName: "X-Signature", SignText: asAuto,
		Names: []string{"reqId", "merchantTransId", "billId"}, Success: []string{"SUCCESS"}, Zone: "+07:00", AmountFactor: 1,
	}
}

// ivSize is how many bytes the initialisation vector has.
func (s *Settings) ivSize() int {
	switch {
	case s.Mode == modeECB:
		return 0
	case s.IVSize != 0:
		return s.IVSize
	case s.Mode == modeGCM:
		return 12
	}
	return 16
}

// Validate returns nil or a [payment.Invalid] with every reason at once.
func (s *Settings) Validate() error {
	var v payment.Invalid
	check := func(ok bool, field, format string, a ...any) {
		if !ok {
			v = append(v, payment.Problem{Field: field, Text: fmt.Sprintf(format, a...)})
		}
	}
	for _, f := range []struct {
		field, value string
		among        []string
	}{
		{"key", s.Key, []string{asHex, asBase64, asText}},
		{"mode", s.Mode, []string{modeCBC, modeGCM, modeECB}},
		{"iv", s.IV, []string{ivPrefix, ivFixed, ivZero}},
		{"tag", s.Tag, []string{tagSuffix, tagPrefix}},
		{"padding", s.Padding, []string{paddingPKCS7, paddingZero}},
		{"text", s.Text, []string{asAuto, asBase64, asURL, asHex}},
		{"sign", s.Sign, []string{signBody, signData, signCiphertext, signPlain, signFields, signNone}},
		{"sign_form", s.SignForm, []string{formValues, formPairs}},
		{"sign_key", s.SignKey, []string{asSame, asHex, asBase64, asText}},
		{"sign_in", s.SignIn, []string{inHeader, inField, inInner}},
		{"sign_text", s.SignText, []string{asAuto, asHex, asBase64, asURL}},
	} {
		check(slices.Contains(f.among, f.value), f.field, "must be one of %v", f.among)
	}
	for field, file := range map[string]string{"key_file": s.KeyFile, "sign_key_file": s.SignKeyFile} {
		check(file == "" || filepath.IsAbs(file), field, "must begin with a slash: the driver opens it by its whole path")
	}
	check(s.IVSize == 0 || s.IVSize == 16 || (s.IVSize == 12 && s.Mode == modeGCM), "iv_size", "must be 0 or 16, or 12 with mode: gcm")
	if s.IV == ivFixed && s.Mode != modeECB {
		b, err := hex.DecodeString(s.IVHex)
		check(err == nil && len(b) == s.ivSize(), "iv_hex", "must be %d hex digits, as the partner gave them", 2*s.ivSize())
	} else {
		check(s.IVHex == "", "iv_hex", "is for iv: fixed only")
	}
	s.validateSign(check)
	check(len(s.Names) <= maxNameField, "names", "has more than %d entries", maxNameField)
	check(len(s.Success) > 0, "success", "is required: without one nothing is ever paid")
	_, err := s.zone()
	check(err == nil, "zone", "must be like +07:00")
	check(slices.Contains([]int64{1, 10, 100, 1000}, s.AmountFactor), "amount_factor", "must be 1, 10, 100 or 1000")
	if len(v) == 0 {
		return nil
	}
	return v
}

func (s *Settings) validateSign(check func(ok bool, field, format string, a ...any)) {
	if s.Sign == signNone {
		check(s.Mode == modeGCM || s.AllowUnsigned, "sign", "none needs mode: gcm, which signs by itself, or allow_unsigned: true")
		return
	}
	check(s.SignName != "", "sign_name", "is required: the header or field with the signature")
	check(s.Sign != signBody || s.SignIn == inHeader, "sign_in", "must be header with sign: body, since no body has a signature of itself in it")
	check(s.Sign != signPlain || s.SignIn != inInner, "sign_in", "cannot be inner with sign: plaintext, since no text has a signature of itself in it")
	check((s.Sign == signFields) == (len(s.SignFields) > 0), "sign_fields", "and sign: fields belong together")
	check(len(s.SignFields) <= maxSignFields, "sign_fields", "has more than %d entries", maxSignFields)
}

func (s *Settings) zone() (*time.Location, error) {
	t, err := time.Parse("-07:00", s.Zone)
	if err != nil {
		return nil, err
	}
	_, offset := t.Zone()
	return time.FixedZone("UTC"+s.Zone, offset), nil
}

// paid says whether a status says that it worked.
func (s *Settings) paid(status string) bool {
	return slices.ContainsFunc(s.Success, func(word string) bool { return strings.EqualFold(word, status) })
}
