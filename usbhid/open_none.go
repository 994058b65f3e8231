//go:build !libusb

package usbhid

import (
	"context"
	"fmt"
)

// Open returns [ErrNotBuilt].
func Open(ctx context.Context, o Options) (*Stream, error) {
	return nil, fmt.Errorf("open %v: %w", o, ErrNotBuilt)
}
