package qfpay

import (
	"os"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/link/linktest"
)

// TestNotifyConformance puts the notifications through the suite of notifiers.
// QFPay tells of successes only, so there is no refused sale to tell of.
func TestNotifyConformance(t *testing.T) {
	linktest.RunNotifier(t, linktest.NotifierSubject{
		Driver:   Driver(),
		Settings: func(t *testing.T) any { return noticeSettings(t, nil) },
		Stranger: func(t *testing.T) any {
			s := noticeSettings(t, nil)
			if err := os.WriteFile(s.KeyFile, []byte(strings.Repeat("5A", 16)), 0o600); err != nil {
				t.Fatal(err)
			}
			return s
		},
		Operations: []payment.Operation{payment.Purchase, payment.Refund},
		Void:       "refunded",
		Spoiled: []string{
			"wrong-key", "unsigned", "changed", "changed+numbers", "changed+lower", "half", "half+numbers", "rubbish", "unknown-type", "disagree",
			"stale", "late:73h",
		},
		CardData: []string{"2088032341453564"},
	})
}
