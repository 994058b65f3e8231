package config_test

import (
	"net/netip"
	"strings"
	"testing"

	"tillgate/internal/config"
)

const notifying = minimal + `notify:
  address: 127.0.0.1:8443
  senders:
    - name: bank
      driver: bell
      allow: [203.0.113.0/24, "2001:db8::1"]
`

func TestNotifyHasDefaults(t *testing.T) {
	c, err := config.Parse("box.yaml", []byte(notifying), drivers())
	if err != nil {
		t.Fatal(err)
	}
	s := c.Notify.Senders[0]
	if s.Path != "/ipn" || s.Currency != "VND" || s.Settings.(*settings).Factor != 1 || c.Notify.MaxBody != 256<<10 {
		t.Errorf("%+v", s)
	}
	if len(s.Allowed) != 2 || s.Allowed[1] != netip.MustParsePrefix("2001:db8::1/128") {
		t.Errorf("allowed: %v", s.Allowed)
	}
}

func TestNotifyProblems(t *testing.T) {
	for _, tt := range []struct{ name, from, to, want string }{
		{"no certificate", "127.0.0.1:8443", "0.0.0.0:8443", "notify.cert_file: is required: plain HTTP is for loopback only"},
		{"half a certificate", "  senders:", "  cert_file: c.pem\n  senders:", "cert_file and key_file belong together"},
		{"no address", "  address: 127.0.0.1:8443\n", "", "notify.address: is required where there are senders"},
		{"bad address", "127.0.0.1:8443", "8443", "notify.address"},
		{"no sender", notifying[strings.Index(notifying, "  senders:"):], "", "notify.senders: is required"},
		{"nobody allowed", `      allow: [203.0.113.0/24, "2001:db8::1"]` + "\n", "", "notify.senders[0].allow: is required"},
		{"no network", "203.0.113.0/24", "203.0.113.0/33", "neither an address nor a network"},
		{"a terminal's protocol", "driver: bell", "driver: acme", "acme is a terminal's protocol and tells nothing by itself; there are [bell]"},
		{"unknown", "driver: bell", "driver: bel", "did you mean bell?"},
		{"as a terminal", "driver: acme", "driver: bell", "bell is no terminal: it only tells; name it under notify.senders"},
		{"long name", "name: bank", "name: " + strings.Repeat("b", 21), "is longer than 20 characters"},
		{"path", "driver: bell", "driver: bell\n      path: ipn", "is not a path like /ipn"},
		{"twice", "  senders:\n", "  senders:\n    - {name: bank, driver: bell, allow: [\"::/0\"]}\n", "is the name of notify.senders[0] too"},
		{"path twice", "  senders:\n", "  senders:\n    - {name: other, driver: bell, allow: [\"::/0\"]}\n", "is the path of notify.senders[0] too"},
		{"currency", "driver: bell", "driver: bell\n      currency: XQQ", "is not in ISO 4217"},
		{"settings", "driver: bell", "driver: bell\n      profile: {factor: 7}", "notify.senders[0].profile.factor: must be 1 or 100"},
		{"large", "  senders:", "  max_body: 2MiB\n  senders:", "must be between 1KiB and 1MiB"},
		{"connections", "  senders:", "  connections: 0\n  senders:", "must be between 1 and 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := strings.Replace(notifying, tt.from, tt.to, 1)
			if text == notifying {
				t.Fatal("the test changes nothing")
			}
			_, err := config.Parse("box.yaml", []byte(text), drivers())
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}
