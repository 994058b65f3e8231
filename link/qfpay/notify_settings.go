package qfpay

import (
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"tillgate/internal/payment"
	"tillgate/internal/secretfile"
)

// NotifySettings is the profile of one sender of notifications, as the
// configuration has it. The zero value is not usable.
type NotifySettings struct {
	// KeyFile has the notification key (client_key) on one line, absolute, and
	// readable by its owner and group only. Required.
	KeyFile string `yaml:"key_file" json:"key_file,omitempty" jsonschema_description:"File with the notification key that QFPay gave out, by its whole path, on one line, readable by its owner and group only. Required."`

	// StaleAfter is how old a notification may be; 0 takes any age. QFPay repeats
	// itself for 25 hours.
	StaleAfter time.Duration `yaml:"stale_after" json:"stale_after,omitempty" jsonschema_description:"Older notifications are refused; QFPay repeats itself for 25 hours. 0 takes any age."`

	// Zone is that of the times, which name none.
	Zone string `yaml:"zone" json:"zone,omitempty" jsonschema_description:"Time zone of the notifications' times, like +08:00."`
}

func notifyDefaults() *NotifySettings {
	return &NotifySettings{StaleAfter: 72 * time.Hour, Zone: "+08:00"}
}

// Validate returns nil or a [payment.Invalid] with every reason at once.
func (s *NotifySettings) Validate() error {
	var v payment.Invalid
	check := func(ok bool, field, text string) {
		if !ok {
			v = append(v, payment.Problem{Field: field, Text: text})
		}
	}
	check(s.KeyFile == "" || filepath.IsAbs(s.KeyFile), "key_file", "must begin with a slash")
	check(s.StaleAfter == 0 || s.StaleAfter >= 26*time.Hour && s.StaleAfter <= 90*24*time.Hour, "stale_after", "must be 0, or between 26h, since QFPay repeats itself for 25, and 90 days")
	_, err := s.zone()
	check(err == nil, "zone", "must be like +08:00")
	if len(v) == 0 {
		return nil
	}
	return v
}

func (s *NotifySettings) zone() (*time.Location, error) {
	t, err := time.Parse("-07:00", s.Zone)
	if err != nil {
		return nil, err
	}
	_, offset := t.Zone()
	return time.FixedZone("UTC"+s.Zone, offset), nil
}

// Lengths of a notification key. QFPay's have 32 characters.
const (
	minNotifyKey = 16
	maxNotifyKey = 128
)

// load reads the key. The error never has a part of it.
func (s *NotifySettings) load() (posKey, error) {
	if s.KeyFile == "" {
		return posKey{}, errors.New("key_file is required: the notification key that QFPay gave out")
	}
	text, err := secretfile.Read(s.KeyFile)
	if err != nil {
		return posKey{}, err
	}
	if len(text) < minNotifyKey || len(text) > maxNotifyKey {
		return posKey{}, fmt.Errorf("%s: a notification key has %d to %d characters on one line", s.KeyFile, minNotifyKey, maxNotifyKey)
	}
	return posKey{text}, nil
}
