package zengi

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"testing"

	"tillgate/link"
)

func TestSettings(t *testing.T) {
	if err := defaults().Validate(); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	for _, tt := range []struct {
		name string
		edit func(*Settings)
		want string
	}{
		{"mode", func(s *Settings) { s.Mode = "ctr" }, "mode must be one of"},
		{"ecb by name only", func(s *Settings) { s.Mode = "" }, "mode must be one of"},
		{"fixed without a vector", func(s *Settings) { s.IV = ivFixed }, "iv_hex must be 32 hex digits"},
		{"fixed of gcm", func(s *Settings) { s.Mode, s.IV, s.IVHex = modeGCM, ivFixed, strings.Repeat("0", 32) }, "iv_hex must be 24 hex digits"},
		{"vector without fixed", func(s *Settings) { s.IVHex = "00" }, "iv_hex is for iv: fixed only"},
		{"iv of 12 in cbc", func(s *Settings) { s.IVSize = 12 }, "iv_size"},
		{"unsigned cbc", func(s *Settings) { s.Sign = signNone }, "sign none needs mode: gcm, which signs by itself, or allow_unsigned"},
		{"body signed in itself", func(s *Settings) { s.SignIn = inField }, "sign_in must be header"},
		{"text signed in itself", func(s *Settings) { s.Sign, s.SignIn = signPlain, inInner }, "sign_in cannot be inner"},
		{"fields without names", func(s *Settings) { s.Sign = signFields }, "sign_fields"},
		{"names without fields", func(s *Settings) { s.SignFields = []string{"id"} }, "sign_fields"},
		{"nowhere", func(s *Settings) { s.SignName = "" }, "sign_name is required"},
		{"relative key", func(s *Settings) { s.KeyFile = "key" }, "key_file must begin with a slash"},
		{"zone", func(s *Settings) { s.Zone = "Hanoi" }, "zone must be like"},
		{"factor", func(s *Settings) { s.AmountFactor = 7 }, "amount_factor"},
		{"never paid", func(s *Settings) { s.Success = nil }, "success is required"},
	} {
		s := defaults()
		tt.edit(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	unsigned := defaults()
	unsigned.Sign, unsigned.AllowUnsigned = signNone, true
	if err := unsigned.Validate(); err != nil {
		t.Errorf("unsigned, as asked for: %v", err)
	}
}

func TestKeyFiles(t *testing.T) {
	const digits = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
	for _, tt := range []struct{ name, line, as, want string }{
		{"hex", digits, asHex, ""},
		{"base64", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", asBase64, ""},
		{"text", "0123456789abcdefghijklmnopqrstuv", asText, ""},
		{"too short", digits[:62], asHex, "not 32 bytes as hex"},
		{"written otherwise", digits, asBase64, "not 32 bytes as base64"},
		{"empty", "", asHex, "is empty"},
	} {
		s := defaults()
		s.KeyFile, s.Key = secretFile(t, tt.line), tt.as
		_, err := Driver().Notify.Open(link.NotifyConfig{Settings: s})
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err != nil && tt.line != "" && strings.Contains(err.Error(), tt.line) {
			t.Errorf("%s: the error has the key", tt.name)
		}
	}
	s := defaults()
	if _, err := Driver().Notify.Open(link.NotifyConfig{Settings: s}); err == nil || !strings.Contains(err.Error(), "key_file is required") {
		t.Errorf("no key: %v", err)
	}
	s.KeyFile = secretFile(t, digits)
	if err := os.Chmod(s.KeyFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Driver().Notify.Open(link.NotifyConfig{Settings: s}); err == nil || !strings.Contains(err.Error(), "chmod 0640") {
		t.Errorf("a key that everybody reads: %v", err)
	}
}

// Certify finds the profile of every vector, and the one it finds opens it.
func TestCertify(t *testing.T) {
	_, all := vectors(t)
	for i, v := range all {
		if i%3 != 0 && v.Profile.Sign != signNone { // every third is every way at least four times
			continue
		}
		s := defaults()
		s.KeyFile = secretFile(t, v.Key)
		s.SignKeyFile = secretFile(t, v.SignKey)
		s.IVHex, s.SignFields = v.Profile.IVHex, v.Profile.SignFields
		var out bytes.Buffer
		err := Certify(&out, s, v.request())
		unsigned := v.Profile.Sign == signNone
		if (err != nil) != (unsigned && v.Profile.Mode != modeGCM) {
			t.Errorf("%s: %v\n%s", v.name, err, out.String())
			continue
		}
		want := []string{"mode: " + v.Profile.Mode + "\n", "key: " + v.Profile.Key + "\n", "tells of a purchase of 123456 VND: approved"}
		if v.Profile.Mode != modeECB {
			want = append(want, "iv: "+v.Profile.IV+"\n")
		}
		if !unsigned {
			want = append(want, "sign: "+v.Profile.Sign+"\n", "sign_in: "+v.Profile.SignIn+"\n", "sign_name: "+v.Profile.SignName+"\n", "sign_key: "+v.Profile.SignKey+"\n")
		}
		for _, line := range want {
			if !strings.Contains(out.String(), line) {
				t.Errorf("%s: no %q in\n%s", v.name, line, out.String())
			}
		}
		for _, secret := range []string{v.Key, v.SignKey, "529183"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s: it shows a secret", v.name)
			}
		}
	}
}

func TestCertifyFindsNothing(t *testing.T) {
	_, all := vectors(t)
	v := all[0]
	for name, tt := range map[string]struct {
		edit func(*Settings, *link.NotifyRequest)
		want string
	}{
		"no key":         {func(s *Settings, _ *link.NotifyRequest) { s.KeyFile = "" }, "key_file is required"},
		"another key":    {func(s *Settings, _ *link.NotifyRequest) { s.KeyFile = secretFile(t, strings.Repeat("ab", 32)) }, "no profile opens it"},
		"not a body":     {func(_ *Settings, r *link.NotifyRequest) { r.Body = []byte("x") }, "capture the body"},
		"lost signature": {func(_ *Settings, r *link.NotifyRequest) { r.Header.Del("X-Signature") }, "nothing says that it is genuine"},
	} {
		s, r := defaults(), v.request()
		s.KeyFile, s.SignKeyFile = secretFile(t, v.Key), secretFile(t, v.SignKey)
		tt.edit(s, &r)
		var out bytes.Buffer
		if err := Certify(&out, s, r); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A captured HTTP request brings its own header.
func TestCertifyOfAWholeRequest(t *testing.T) {
	_, all := vectors(t)
	v := all[0]
	s := defaults()
	s.KeyFile, s.SignKeyFile = secretFile(t, v.Key), secretFile(t, v.SignKey)
	whole := "POST /ipn HTTP/1.1\r\nHost: x\r\nX-Signature: " + v.Header + "\r\nContent-Length: " + strconv.Itoa(len(v.Body)) + "\r\n\r\n" + v.Body
	var out bytes.Buffer
	if err := Certify(&out, s, link.NotifyRequest{Body: []byte(whole)}); err != nil || !strings.Contains(out.String(), "sign: body") {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestExplain(t *testing.T) {
	_, all := vectors(t)
	for _, tt := range []struct {
		name, text, want, problem string
	}{
		{"decrypted", string(sample(t)), "= purchase of 123456 VND: approved", ""},
		{"cbc", all[0].Body, "whole blocks: mode cbc or ecb", ""},
		{"gcm", all[len(all)-1].Body, "no whole blocks: mode gcm", ""},
		{"a password", `{"data":"U2FsdGVkX18AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`, "", "Salted__"},
		{"equal blocks", `{"data":"` + strings.Repeat("00112233445566778899aabbccddeeff", 4) + `"}`, "mode ecb", ""},
		{"short", `{"data":"AAAA"}`, "", "too few"},
		{"not text", `{"data":"***"}`, "", "neither hex nor Base64"},
		{"nothing", " ", "", "no bytes"},
		{"no JSON", "x", "", "the body"},
		{"unknown type", `{"id":"1","transactionType":"LOGON"}`, "", "never notified"},
	} {
		var out bytes.Buffer
		err := Explain(&out, []byte(tt.text))
		if (err == nil) != (tt.problem == "") || (err != nil && !strings.Contains(err.Error(), tt.problem)) || !strings.Contains(out.String(), tt.want) {
			t.Errorf("%s: %v\n%s", tt.name, err, out.String())
		}
		for _, secret := range []string{"529183", "CARDHOLDER", "40CCCC"} {
			if strings.Contains(out.String(), secret) {
				t.Errorf("%s: %s is shown", tt.name, secret)
			}
		}
	}
	var out bytes.Buffer
	_ = Explain(&out, []byte(`{"id":"5291831234567893","reqId":"4111 1111 1111 1111","transactionType":"SALE"}`))
	if strings.Contains(out.String(), "4111 1111") {
		t.Errorf("a card number in another field is shown:\n%s", out.String())
	}
}
