package link

import (
	"context"
	"errors"
	"log/slog"
)

// Profile is what a driver's settings are to it: filled, and able to say what is
// wrong with them.
type Profile interface{ Validate() error }

// LocalProfile is a Profile that needs more at some addresses than at others:
// ValidateAt says what else is wrong with it for a terminal there, as Validate
// does. It reads no file.
type LocalProfile interface {
	Profile
	ValidateAt(address string) error
}

// Prepare is the first step of a driver's Open: it fills what a configuration
// leaves open, the protocol's usual currency and settings included, and checks the
// settings. The log names the terminal from here on. Its error is an [Error], of
// which nothing was sent.
func Prepare[P Profile](c Config, currency string, usual func() P) (Config, P, error) {
	settings, ok := c.Settings.(P)
	if !ok {
		settings = usual()
	}
	if err := settings.Validate(); err != nil {
		return c, settings, &Error{Op: "open", Err: err}
	}
	c.Settings = settings
	if c.Longest <= 0 {
		c.Longest = DefaultLongest
	}
	if c.Currency == "" {
		c.Currency = currency
	}
	if c.Dial == nil {
		c.Dial = func(context.Context) (Conn, error) {
			return nil, errors.New("the configuration has no way to open the address")
		}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = c.Log.With("terminal", c.Name)
	return c, settings, nil
}
