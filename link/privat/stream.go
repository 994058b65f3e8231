package privat

import (
	"bytes"
	"log/slog"

	"tillgate/link"
	"tillgate/link/stream"
)

const (
	maxLate  = 64 // answers that wait to be looked at
	maxTries = 16 // braces at which a message is looked for
)

// listen reads the connection all the time, as the document wants it. A bad frame
// costs that frame.
func listen(conn link.Conn, log *slog.Logger) *stream.Stream[answer] {
	return stream.Listen(conn, maxLate, log, newFrames(conn).next, decodeLast)
}

// decodeLast reads a frame. If it is none, an object at its end may be one: the
// rest of a message that was cut off stands before it. It is looked for at the
// last braces before a "method" or an "error"; inside a string their quotes would
// be escaped.
func decodeLast(b []byte) (answer, error) {
	a, err := decode(b)
	end := len(b)
	for tries := 0; err != nil && tries < maxTries; tries++ {
		if end = bytes.LastIndexByte(b[:end], '{'); end <= 0 {
			break
		}
		if inner := bytes.TrimLeft(b[end+1:], " \r\n\t"); bytes.HasPrefix(inner, []byte(`"method"`)) || bytes.HasPrefix(inner, []byte(`"error"`)) {
			if a, again := decode(b[end:]); again == nil {
				return a, nil
			}
		}
	}
	return a, err
}
