package cli

import (
	"strings"
	"testing"

	"tillgate/internal/config"
	"tillgate/link/drivers"
)

// TestLines: what discover prints to be pasted is good as it stands, and with each
// driver, its usual currency and its key.
func TestLines(t *testing.T) {
	all := drivers.All()
	for _, address := range []string{"serial:///dev/serial/by-id/usb-x", "usb:079b:0028?port=1-1.4"} {
		text := lines(all, address)
		for _, d := range all {
			if d.Open == nil {
				continue
			}
			this := strings.Replace(text, "driver: "+all[0].Name, "driver: "+d.Name, 1)
			if !strings.Contains(text, d.Currency+" for ") {
				t.Errorf("%s is the usual currency of %s, and is not named in\n%s", d.Currency, d.Name, text)
			}
			this = strings.Replace(this, "currency: "+all[0].Currency, "currency: "+d.Currency, 1)
			if d.KeySetting != "" {
				this = strings.Replace(this, "#profile: {"+d.KeySetting, "profile: {"+d.KeySetting, 1)
			}
			if _, err := config.Parse("box.yaml", []byte("box: kiosk-1\n"+this), all); err != nil {
				t.Errorf("%v in\n%s", err, this)
			}
		}
	}
}
