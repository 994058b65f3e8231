//go:build !libusb

package usbhid

import (
	"errors"
	"strings"
	"testing"
)

func TestNotBuilt(t *testing.T) {
	s, err := Open(t.Context(), Options{Vendor: 0x0b00, Product: 0x0080})
	if s != nil || !errors.Is(err, ErrNotBuilt) || !strings.Contains(err.Error(), "rebuild with -tags libusb") {
		t.Errorf("open gave %v, %v, want ErrNotBuilt", s, err)
	}
}
