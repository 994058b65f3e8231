package link_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tillgate/link"
)

type profile struct{ bad bool }

func (p *profile) Validate() error {
	if p.bad {
		return errors.New("it is bad")
	}
	return nil
}

func TestPrepare(t *testing.T) {
	usual := func() *profile { return &profile{} }
	c, s, err := link.Prepare(link.Config{Name: "front"}, "VND", usual)
	if err != nil || s == nil || c.Settings != s || c.Currency != "VND" || c.Longest != link.DefaultLongest || c.Log == nil {
		t.Errorf("nothing given: %+v, %v", c, err)
	}
	if conn, err := c.Dial(t.Context()); conn != nil || err == nil {
		t.Errorf("no way to open the address: got %v, %v", conn, err)
	}
	var out strings.Builder
	mine := &profile{}
	c, s, err = link.Prepare(link.Config{Name: "front", Currency: "EUR", Longest: time.Second, Settings: mine, Log: slog.New(slog.NewTextHandler(&out, nil))}, "VND", usual)
	if err != nil || s != mine || c.Currency != "EUR" || c.Longest != time.Second {
		t.Errorf("all given: %+v, %v", c, err)
	}
	if c.Log.Info("x"); !strings.Contains(out.String(), "terminal=front") {
		t.Errorf("the log does not name the terminal: %s", &out)
	}
	_, _, err = link.Prepare(link.Config{Settings: &profile{bad: true}}, "VND", usual)
	if e, ok := errors.AsType[*link.Error](err); !ok || e.Sent || e.Op != "open" {
		t.Errorf("bad settings: %v", err)
	}
}
