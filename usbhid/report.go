package usbhid

import (
	"context"
	"errors"
)

// errReport ends a stream: from here on it is not known what is data.
var errReport = errors.New("a report's count is larger than the report: is its framing another one?")

// reportIn takes the data out of reports. A report of another id is not for us.
type reportIn struct {
	from   inEndpoint
	report Report
	buf    []byte // of one report
}

func (r *reportIn) ReadContext(ctx context.Context, b []byte) (int, error) {
	n, err := r.from.ReadContext(ctx, r.buf)
	data, bad := r.report.data(r.buf[:n])
	if bad != nil {
		err = errors.Join(bad, err)
	}
	return copy(b, data), err
}

// data is what a report carries.
func (r Report) data(b []byte) ([]byte, error) {
	if r.ID != 0 {
		if len(b) == 0 || b[0] != r.ID {
			return nil, nil
		}
		b = b[1:]
	}
	if r.Raw || len(b) == 0 {
		return b, nil
	}
	count := int(b[0])
	if count >= len(b) {
		return nil, errReport
	}
	return b[1 : 1+count], nil
}

// reportOut puts data into reports.
type reportOut struct {
	to     outEndpoint
	report Report
	buf    []byte // of one report
}

func (r *reportOut) WriteContext(ctx context.Context, b []byte) (int, error) {
	clear(r.buf)
	at := 0
	if r.report.ID != 0 {
		r.buf[at] = r.report.ID
		at++
	}
	if !r.report.Raw {
		b = b[:min(len(b), 255)]
		at++
	}
	n := copy(r.buf[at:], b)
	if !r.report.Raw {
		r.buf[at-1] = byte(n)
	}
	if _, err := r.to.WriteContext(ctx, r.buf); err != nil {
		return 0, err
	}
	return n, nil
}
