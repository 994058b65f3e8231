package gateway

import "errors"

// explained is why a terminal could not be reached, with what a person can do.
type explained struct {
	error
	found string // what the line looks like, beside the error
	next  string
}

func (e *explained) Error() string {
	if e.found == "" {
		return e.error.Error()
	}
	return e.error.Error() + "; " + e.found
}

func (e *explained) Unwrap() error { return e.error }

// explain asks who knows the line.
func (l *lane) explain(err error) error {
	if l.cfg.Explain == nil {
		return err
	}
	found, next := l.cfg.Explain(err)
	return &explained{err, found, next}
}

// nextAfter is what a person can do about err, "" if nothing is known.
func nextAfter(err error) string {
	if e, ok := errors.AsType[*explained](err); ok {
		return e.next
	}
	return ""
}
