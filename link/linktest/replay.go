package linktest

import (
	"fmt"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"tillgate/link"
)

// Exchange is one request and what a terminal answered to it.
type Exchange struct {
	// Want is the request. {name} stands for any text without separators of the
	// protocol, which Answer may repeat as {name}; {*} at the end stands for the
	// rest.
	Want string
	// Answer is sent as it is, but for {name}.
	Answer string
}

// Replay plays a captured dialogue: it is the terminal's end of a line. A
// request that differs, and exchanges that were not reached, fail the test.
func Replay(t testing.TB, exchanges []Exchange) link.Conn {
	ours, theirs := net.Pipe()
	done := make(chan error, 1)
	go func() { done <- replay(theirs, exchanges) }()
	t.Cleanup(func() {
		ours.Close()
		if err := <-done; err != nil {
			t.Errorf("replay: %v", err)
		}
	})
	return ours
}

func replay(c net.Conn, exchanges []Exchange) error {
	defer c.Close()
	buf := make([]byte, 64<<10)
	for i, x := range exchanges {
		c.SetReadDeadline(time.Now().Add(time.Minute))
		n, err := c.Read(buf)
		if err != nil {
			return fmt.Errorf("exchange %d of %d was not reached: %w", i+1, len(exchanges), err)
		}
		names := pattern(x.Want).FindStringSubmatch(string(buf[:n]))
		if names == nil {
			return fmt.Errorf("exchange %d: got %q, want %q", i+1, buf[:n], x.Want)
		}
		answer := x.Answer
		for j, name := range pattern(x.Want).SubexpNames() {
			if name != "" {
				answer = strings.ReplaceAll(answer, "{"+name+"}", names[j])
			}
		}
		c.SetWriteDeadline(time.Now().Add(time.Minute))
		if _, err := c.Write([]byte(answer)); err != nil {
			return fmt.Errorf("exchange %d: %w", i+1, err)
		}
	}
	return nil
}

func pattern(want string) *regexp.Regexp {
	want, open := strings.CutSuffix(want, "{*}")
	s := regexp.MustCompile(`\\\{(\w+)\\\}`).ReplaceAllString(regexp.QuoteMeta(want), `(?P<$1>[^|&]+)`)
	if open {
		s += ".*"
	}
	return regexp.MustCompile("^(?s:" + s + ")$")
}
