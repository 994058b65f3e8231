package zengi

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"

	"tillgate/internal/secretfile"
	"tillgate/link"
)

// Certify tries a captured request against every profile and writes the one that
// opens it, as it goes into the configuration. settings has the key files, and
// iv_hex and sign_fields where the partner named them. The error says that no
// profile does.
func Certify(w io.Writer, settings any, r link.NotifyRequest) error {
	given := settings.(*Settings)
	if given.KeyFile == "" {
		return errors.New("key_file is required: without the key nothing can be tried")
	}
	if r.Header == nil {
		r.Header = http.Header{}
	}
	if whole, err := capture(r.Body); err == nil && len(whole.Header) > 0 { // the header is in the capture
		maps.Copy(whole.Header, r.Header)
		r = whole
	}
	envelope, err := parseObject(r.Body)
	if err != nil || envelope.get("data") == "" {
		return fmt.Errorf("%w: capture the body as it was posted", errBody)
	}
	found, tried, err := search(given, envelope)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%d ways to decrypt were tried, %d open it.\n", tried, len(found))
	if len(found) == 0 {
		return errors.New("no profile opens it: compare the key (and iv_hex, if it is fixed) with what Zengi gave; is it the key of this environment?")
	}
	genuine := false
	for _, c := range found {
		signed, macs := c.signatures(given, r, envelope)
		fmt.Fprintf(w, "\nIt opens with\n%s", yaml(*c.Settings, encryption))
		if c.Mode == modeECB {
			fmt.Fprintln(w, "        # ecb shows which blocks are equal: ask for cbc or gcm")
		}
		for _, s := range signed {
			fmt.Fprintf(w, "and is signed with\n%s", yaml(s, signing))
		}
		if len(signed) == 0 {
			fmt.Fprintf(w, "and no signature was found in %d tries. Ask which fields are signed, in which order, and joined with what; give them as sign_fields.\n", macs)
		}
		if n, err := c.notice(c.ipn, "VND"); err != nil {
			fmt.Fprintf(w, "Its text is not understood: %v\n", err)
		} else {
			fmt.Fprintf(w, "It tells of a %s of %s: %s.\n", n.Operation, n.Outcome.Amount, n.Outcome.Result)
		}
		genuine = genuine || len(signed) > 0 || c.Mode == modeGCM
	}
	if !genuine {
		return errors.New("it opens, and nothing says that it is genuine")
	}
	return nil
}

// candidate is a profile that opens the text, with what it says.
type candidate struct {
	*profile
	ipn         object
	text        []byte
	sealed      []byte
	line, macIn string // the lines of the key files
}

// search tries every way of encryption.
func search(given *Settings, envelope object) (found []candidate, tried int, err error) {
	line, err := secretfile.Read(given.KeyFile)
	if err != nil {
		return nil, 0, err
	}
	macIn := line
	if given.SignKeyFile != "" {
		if macIn, err = secretfile.Read(given.SignKeyFile); err != nil {
			return nil, 0, err
		}
	}
	for s := range ways(given) {
		key, err := keyBytes(line, s.Key)
		if err != nil || len(key) != keySize {
			continue
		}
		p := &profile{Settings: &s, key: secret{key}}
		sealed, err := fromText(envelope.get("data"), s.Text)
		if err != nil {
			continue
		}
		tried++
		whole, n, good, err := p.decrypt(sealed)
		if err != nil || good != 1 {
			continue
		}
		if ipn, err := parseObject(whole[:n]); err == nil && familiar(ipn) && !alike(found, whole[:n]) {
			found = append(found, candidate{profile: p, ipn: ipn, text: whole[:n], sealed: sealed, line: line, macIn: macIn})
		}
	}
	return found, tried, nil
}

// ways are all settings of the encryption, the likelier ones first: where two of
// them read the same text, the first is right.
func ways(given *Settings) func(yield func(Settings) bool) {
	ivs := []string{ivPrefix, ivZero}
	if given.IVHex != "" {
		ivs = []string{ivPrefix, ivFixed, ivZero}
	}
	return func(yield func(Settings) bool) {
		for _, text := range []string{asAuto, asBase64, asURL, asHex} {
			for _, key := range []string{asHex, asBase64, asText} {
				for _, way := range []struct {
					mode, tag, padding string
					size               int
				}{
					{modeGCM, tagSuffix, paddingPKCS7, 12}, {modeGCM, tagPrefix, paddingPKCS7, 12}, {modeGCM, tagSuffix, paddingPKCS7, 16}, {modeGCM, tagPrefix, paddingPKCS7, 16},
					{modeCBC, tagSuffix, paddingPKCS7, 16}, {modeCBC, tagSuffix, paddingZero, 16}, {modeECB, tagSuffix, paddingPKCS7, 0}, {modeECB, tagSuffix, paddingZero, 0},
				} {
					for _, iv := range ivs {
						s := *defaults()
						s.Text, s.Key, s.Mode, s.Tag, s.Padding, s.IV, s.IVSize = text, key, way.mode, way.tag, way.padding, iv, way.size
						if s.Mode == modeECB && iv != ivPrefix {
							continue // it has none
						}
						if iv == ivFixed {
							s.IVHex = given.IVHex
							if len(unhex(s.IVHex)) != s.ivSize() {
								continue
							}
						}
						if !yield(s) {
							return
						}
					}
				}
			}
		}
	}
}

// familiar says whether an object is an IPN: a wrong key makes none.
func familiar(o object) bool {
	n := 0
	for plain := range o.raw {
		if meanings[plain] != "" {
			n++
		}
	}
	return n >= 3
}

// alike says whether a way reads what another one has read: padding of PKCS #7
// can look like blanks behind the text.
func alike(found []candidate, text []byte) bool {
	return slices.ContainsFunc(found, func(c candidate) bool { return bytes.Equal(bytes.TrimSpace(c.text), bytes.TrimSpace(text)) })
}

// signatures are the settings of the signature that fit, and how many HMACs were
// made to find them.
func (c candidate) signatures(given *Settings, r link.NotifyRequest, envelope object) (fit []Settings, tried int) {
	places := c.places(r, envelope)
	for _, key := range []string{asHex, asBase64, asText} {
		secret, err := keyBytes(c.macIn, key)
		if err != nil || len(secret) == 0 {
			continue
		}
		for _, o := range c.overs(given, r, envelope) {
			tried++
			m := hmac.New(sha256.New, secret)
			m.Write(o.bytes)
			sum := m.Sum(nil)
			for _, p := range places {
				if hmac.Equal(sum, p.sum) {
					s := *c.Settings
					s.Sign, s.SignFields, s.SignForm, s.SignJoin = o.Sign, o.SignFields, o.SignForm, o.SignJoin
					s.SignKey, s.SignIn, s.SignName = key, p.in, p.name
					if s.validPlace() && !slices.ContainsFunc(fit, func(other Settings) bool { return yaml(other, signing) == yaml(s, signing) }) {
						fit = append(fit, s)
					}
				}
			}
		}
	}
	return fit, tried
}

func (s Settings) validPlace() bool {
	s.KeyFile = ""
	return s.Validate() == nil
}

type place struct {
	in, name string
	sum      []byte
}

// places are everything in the request that can be a signature: 32 bytes.
func (c candidate) places(r link.NotifyRequest, envelope object) (all []place) {
	add := func(in, name, text string) {
		if sum, err := fromText(strings.TrimPrefix(text, "sha256="), asAuto); err == nil && len(sum) == sha256.Size {
			all = append(all, place{in, name, sum})
		}
	}
	for name, values := range r.Header {
		add(inHeader, name, values[0])
	}
	for _, name := range envelope.names {
		add(inField, name, envelope.get(name))
	}
	for _, name := range c.ipn.names {
		add(inInner, name, c.ipn.get(name))
	}
	return all
}

type over struct {
	Settings
	bytes []byte
}

// overs are everything that can be signed: the forms of the whole, and lists of
// fields as the partner named them, as they come, and by name.
func (c candidate) overs(given *Settings, r link.NotifyRequest, envelope object) []over {
	all := []over{
		{Settings{Sign: signBody, SignForm: formValues}, r.Body},
		{Settings{Sign: signBody, SignForm: formValues}, bytes.TrimSpace(r.Body)}, // an editor adds a line break
		{Settings{Sign: signData, SignForm: formValues}, []byte(envelope.get("data"))},
		{Settings{Sign: signCiphertext, SignForm: formValues}, c.sealed},
		{Settings{Sign: signPlain, SignForm: formValues}, c.text},
	}
	var texts []string
	for _, name := range c.ipn.names {
		sum, err := fromText(c.ipn.get(name), asAuto)
		signature := err == nil && len(sum) == sha256.Size
		if raw := c.ipn.raw[plainName(name)]; !signature && len(raw) > 0 && raw[0] != '[' && raw[0] != '{' {
			texts = append(texts, name)
		}
	}
	sorted := slices.Sorted(slices.Values(texts))
	for _, fields := range [][]string{given.SignFields, texts, sorted} {
		if len(fields) == 0 || len(fields) > maxSignFields {
			continue
		}
		for _, form := range []string{formValues, formPairs} {
			for _, join := range []string{"", "|", "&", ",", ";", ":", "-", "."} {
				o := over{Settings: Settings{Sign: signFields, SignFields: fields, SignForm: form, SignJoin: join}}
				o.bytes = (&profile{Settings: &o.Settings}).joined(c.ipn)
				all = append(all, o)
			}
		}
	}
	return all
}

// What of the settings certify found out.
var (
	encryption = []string{"key", "mode", "iv", "iv_hex", "iv_size", "tag", "padding", "text"}
	signing    = []string{"sign", "sign_fields", "sign_form", "sign_join", "sign_key", "sign_in", "sign_name"}
)

// yaml writes settings as they go into the configuration.
func yaml(s Settings, keys []string) string {
	values := map[string]string{
		"key": s.Key, "mode": s.Mode, "iv": s.IV, "iv_hex": s.IVHex, "iv_size": fmt.Sprint(s.IVSize), "tag": s.Tag, "padding": s.Padding, "text": s.Text,
		"sign": s.Sign, "sign_form": s.SignForm, "sign_join": fmt.Sprintf("%q", s.SignJoin), "sign_key": s.SignKey, "sign_in": s.SignIn, "sign_name": s.SignName,
		"sign_fields": "[" + strings.Join(s.SignFields, ", ") + "]",
	}
	var out strings.Builder
	for _, key := range keys {
		of := map[string]bool{
			"iv": s.Mode != modeECB, "iv_hex": s.IV == ivFixed, "iv_size": s.Mode == modeGCM && s.IVSize == 16, "tag": s.Mode == modeGCM, "padding": s.Mode != modeGCM,
			"sign_fields": s.Sign == signFields, "sign_form": s.Sign == signFields, "sign_join": s.Sign == signFields,
		}
		if relevant, listed := of[key]; !listed || relevant {
			fmt.Fprintf(&out, "        %s: %s\n", key, values[key])
		}
	}
	return out.String()
}
