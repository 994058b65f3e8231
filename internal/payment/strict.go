package payment

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"
)

// decodeStrict reads exactly one JSON value into v and refuses members that v
// does not have.
func decodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// Millis is a duration that travels as an integer number of milliseconds.
type Millis int64

func (m Millis) Duration() time.Duration { return time.Duration(m) * time.Millisecond }

// InMillis rounds a duration down to whole milliseconds.
func InMillis(d time.Duration) Millis { return Millis(d / time.Millisecond) }
