package stream

import (
	"io"
	"time"

	"tillgate/link"
)

// Patient reads from a connection for a framer that gives up half a message when
// the line falls silent. Before each read it asks how long the next byte may
// take; 0 is for ever, which is right between two messages. A read that lasted
// too long ends with [os.ErrDeadlineExceeded], and reading can go on.
//
// The connection must have no deadline for reading, and get none from others.
func Patient(conn link.Conn, idle func() time.Duration) io.Reader {
	return &patient{conn: conn, idle: idle}
}

type patient struct {
	conn    link.Conn
	idle    func() time.Duration
	limited bool // a deadline is set
}

func (p *patient) Read(b []byte) (int, error) {
	idle := p.idle()
	if limit := idle > 0; limit || p.limited {
		var until time.Time
		if limit {
			until = time.Now().Add(idle)
		}
		if err := p.conn.SetReadDeadline(until); err != nil {
			return 0, err
		}
		p.limited = limit
	}
	return p.conn.Read(b)
}
