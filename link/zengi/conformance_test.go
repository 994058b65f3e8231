package zengi

import (
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link/linktest"
)

func settingsWith(t testing.TB, key string, edit func(*Settings)) *Settings {
	t.Helper()
	s := defaults()
	s.KeyFile = secretFile(t, strings.Repeat(key, 32))
	if edit != nil {
		edit(s)
	}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestConformance(t *testing.T) {
	for name, edit := range map[string]func(*Settings){
		"cbc, body signed": nil,
		"cbc, plaintext":   func(s *Settings) { s.Sign, s.SignIn, s.SignName = signPlain, inField, "signature" },
		"cbc, data":        func(s *Settings) { s.Sign = signData },
		"gcm, unsigned":    func(s *Settings) { s.Mode, s.Sign = modeGCM, signNone },
		"gcm, hex, signed": func(s *Settings) { s.Mode, s.Tag, s.Text, s.Sign = modeGCM, tagPrefix, asHex, signCiphertext },
	} {
		t.Run(name, func(t *testing.T) {
			spoiled := []string{"wrong-key", "bad-padding", "bad-length", "bad-text", "half", "plain", "huge:100000", "rubbish", "type", "type:REVERSAL", "type:Batch Upload"}
			s := settingsWith(t, "0a", edit)
			if s.Sign != signNone {
				spoiled = append(spoiled, "wrong-sign")
				if s.SignIn == inHeader {
					spoiled = append(spoiled, "unsigned")
				}
			}
			linktest.RunNotifier(t, linktest.NotifierSubject{
				Driver:   Driver(),
				Settings: func(t *testing.T) any { return settingsWith(t, "0a", edit) },
				Stranger: func(t *testing.T) any { return settingsWith(t, "0b", edit) },
				Operations: []payment.Operation{
					payment.Purchase, payment.Reversal, payment.Preauthorization, payment.Completion, payment.Reconciliation,
				},
				Decline: "decline:51", Void: "void", Spoiled: spoiled,
				CardData: []string{"CARDHOLDER", "529183", "40CCCC727D454654"},
			})
		})
	}
}
