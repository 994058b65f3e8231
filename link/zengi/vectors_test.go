package zengi

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link"
)

// vector is a notification that OpenSSL made (testdata/make_vectors.py).
type vector struct {
	Profile Settings
	Key     string
	SignKey string `json:"sign_key"`
	Header  string
	Body    string
	name    string
}

func vectors(t testing.TB) (ipn string, all []vector) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		IPN     string
		Vectors []struct {
			Profile json.RawMessage
			Key     string
			SignKey string `json:"sign_key"`
			Header  string
			Body    string
		}
	}
	if err := json.Unmarshal(b, &file); err != nil {
		t.Fatal(err)
	}
	for _, v := range file.Vectors {
		s := defaults()
		if err := json.Unmarshal(v.Profile, s); err != nil {
			t.Fatal(err)
		}
		name := strings.Join([]string{s.Mode, s.IV, fmt.Sprint(s.ivSize()), s.Tag, s.Padding, s.Text, s.Key, s.Sign, s.SignForm, s.SignIn, s.SignText, s.SignKey}, "-")
		all = append(all, vector{Profile: *s, Key: v.Key, SignKey: v.SignKey, Header: v.Header, Body: v.Body, name: name})
	}
	return file.IPN, all
}

// secretFile is a file with one line, as the configuration names it.
func secretFile(t testing.TB, line string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(name, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// notifierOf opens a vector's profile.
func (v vector) notifier(t testing.TB) link.Notifier {
	t.Helper()
	s := v.Profile
	s.KeyFile = secretFile(t, v.Key)
	if s.Sign != signNone {
		s.SignKeyFile = secretFile(t, v.SignKey)
	}
	n, err := Driver().Notify.Open(link.NotifyConfig{Name: "zengi", Currency: "VND", Settings: &s})
	if err != nil {
		t.Fatalf("%s: %v", v.name, err)
	}
	return n
}

func (v vector) request() link.NotifyRequest {
	r := link.NotifyRequest{Header: http.Header{}, Body: []byte(v.Body)}
	if v.Header != "" {
		r.Header.Set(v.Profile.SignName, v.Header)
	}
	return r
}

// Every way of encryption with every way of signature, made by OpenSSL: it opens
// with its own profile, and with one thing changed it does not.
func TestVectors(t *testing.T) {
	ipn, all := vectors(t)
	if len(all) != 20*14 {
		t.Fatalf("%d vectors, want 280", len(all))
	}
	seen := map[string]bool{}
	for _, v := range all {
		if seen[v.name] {
			t.Errorf("%s is there twice", v.name)
		}
		seen[v.name] = true
		n := v.notifier(t)
		notices, err := n.Decode(v.request())
		if err != nil || len(notices) != 1 {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		got := notices[0]
		if got.Operation != payment.Purchase || got.Outcome.Result != payment.Approved || got.Outcome.Amount != (payment.Money{Minor: 123456, Currency: "VND"}) ||
			got.Outcome.Reference.RRN != "438498133462" || got.Transaction != "20250528160901" || got.Names[0] != "5c3f2f9e-6a55-4d0c-9a66-0a3f5f1c7d11" {
			t.Errorf("%s: %+v", v.name, got)
		}
		v.refuses(t, n)
	}
	if !strings.Contains(ipn, `"id"`) {
		t.Error("the vectors have no text")
	}
}

// refuses changes one thing at a time of a genuine request.
func (v vector) refuses(t *testing.T, n link.Notifier) {
	t.Helper()
	refused := func(what string, r link.NotifyRequest) {
		t.Helper()
		notices, err := n.Decode(r)
		if err == nil || notices != nil {
			t.Errorf("%s: %s: taken", v.name, what)
		}
		if errors.Is(err, link.ErrUnreadable) {
			t.Errorf("%s: %s: taken for genuine: %v", v.name, what, err)
		}
	}
	unsigned := v.Profile.Sign == signNone && v.Profile.Mode != modeGCM
	var body map[string]string
	if err := json.Unmarshal([]byte(v.Body), &body); err != nil {
		t.Fatal(err)
	}
	sealed, err := fromText(body["data"], v.Profile.Text)
	if err != nil {
		t.Fatal(err)
	}
	with := func(sealed []byte) link.NotifyRequest {
		changed := map[string]string{"data": toText(sealed, v.Profile.Text)}
		if s, ok := body["signature"]; ok {
			changed["signature"] = s
		}
		b, err := json.Marshal(changed)
		if err != nil {
			t.Fatal(err)
		}
		r := v.request()
		r.Body = b
		return r
	}
	for what, at := range map[string]int{"first byte": 0, "middle": len(sealed) / 2, "last byte": len(sealed) - 1} {
		b := append([]byte(nil), sealed...)
		b[at] ^= 1
		if !unsigned && !(v.Profile.Sign == signFields) { // a list of fields signs only those
			refused(what, with(b))
		}
	}
	refused("cut", with(sealed[:len(sealed)-1]))
	refused("nothing", with(nil))
	refused("no data", link.NotifyRequest{Header: v.request().Header, Body: []byte(`{}`)})
	if v.Profile.Sign == signNone {
		return
	}
	if v.Profile.SignIn != inHeader {
		delete(body, "signature")
		if v.Profile.SignIn == inField {
			refused("no signature", with(sealed))
		}
		return
	}
	r := v.request()
	r.Header.Del(v.Profile.SignName)
	refused("no signature", r)
	r.Header.Set(v.Profile.SignName, toText(make([]byte, 32), v.Profile.SignText))
	refused("another signature", r)
	r.Header.Set(v.Profile.SignName, v.Header[:len(v.Header)-2])
	refused("half a signature", r)
}

// A profile opens only what was made for it.
func TestProfilesDoNotOpenEachOther(t *testing.T) {
	_, all := vectors(t)
	step := 7 // no divisor of the 14 signatures' rotation: every way meets every other
	for i := 0; i < len(all); i += step {
		n := all[i].notifier(t)
		for j, other := range all {
			notices, err := n.Decode(other.request())
			if err == nil && !all[i].Profile.sameWire(other.Profile) {
				t.Errorf("%s opens %s: %v", all[i].name, other.name, notices)
			}
			if i == j && err != nil {
				t.Errorf("%s does not open itself: %v", all[i].name, err)
			}
		}
	}
}

// sameWire says whether a notification of one profile may open with another
// one: all that is left of a profile without a signature, or whose text is read
// by itself.
func (s Settings) sameWire(o Settings) bool {
	if s.Mode != o.Mode || s.IV != o.IV || s.ivSize() != o.ivSize() || s.Key != o.Key || s.Text != o.Text {
		return false
	}
	if s.Mode == modeGCM && s.Tag != o.Tag {
		return false
	}
	if s.Sign == signNone {
		return s.Mode == modeGCM || s.Padding == o.Padding || s.Padding == paddingZero || o.Padding == paddingZero
	}
	return s.Sign == o.Sign && s.SignIn == o.SignIn && s.SignKey == o.SignKey && s.SignText == o.SignText && s.SignForm == o.SignForm && s.SignJoin == o.SignJoin
}

// What this package seals, it opens, for every combination of settings there is:
// also those that have no vector of their own.
func TestEveryCombinationOpens(t *testing.T) {
	key, sign := secret{make([]byte, keySize)}, secret{[]byte("k")}
	combinations := 0
	for s := range ways(&Settings{IVHex: strings.Repeat("ab", 16)}) {
		for _, signing := range signings() {
			s.Sign, s.SignIn, s.SignForm, s.SignText, s.SignFields = signing.Sign, signing.SignIn, signing.SignForm, signing.SignText, signing.SignFields
			s.SignName, s.AllowUnsigned = "Signature", true
			if err := s.Validate(); err != nil {
				t.Fatalf("%+v: %v", s, err)
			}
			p := &profile{Settings: &s, key: key, sign: sign}
			body, header, err := p.seal(map[string]any{"id": "1", "amount": "5"}, behaviour{outcome: "approve"})
			if err != nil {
				t.Fatal(err)
			}
			o, err := p.open(link.NotifyRequest{Header: header, Body: body})
			if err != nil || o.bad != nil || o.ipn.get("amount") != "5" {
				t.Fatalf("%+v: %v %v", s, err, o.bad)
			}
			combinations++
		}
	}
	if combinations < 5000 {
		t.Errorf("only %d combinations", combinations)
	}
}

func signings() (all []Settings) {
	for _, over := range []string{signBody, signData, signCiphertext, signPlain, signFields, signNone} {
		for _, in := range []string{inHeader, inField, inInner} {
			for _, text := range []string{asHex, asBase64, asURL} {
				s := Settings{Sign: over, SignIn: in, SignText: text, SignForm: formValues}
				switch {
				case over == signBody && in != inHeader, over != signFields && in == inInner:
					continue
				case over == signFields:
					s.SignFields = []string{"id", "amount"}
					pairs := s
					pairs.SignForm = formPairs
					all = append(all, pairs)
				}
				all = append(all, s)
			}
		}
	}
	return all
}
