package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"tillgate/internal/control"
	"tillgate/internal/payment"
)

func TestCommandCarriesWhoSentIt(t *testing.T) {
	b := newBox()
	b.reply = func(c payment.Command) payment.Reply {
		return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted}
	}
	c := start(t, b)
	r, err := c.Do(within(t), purchase("a1"))
	if err != nil || r.Status != payment.ReplyAccepted || r.ID != "a1" {
		t.Fatalf("reply is %+v, %v", r, err)
	}
	got := b.got[0]
	if want := fmt.Sprint("uid:", os.Getuid()); got.Client != want || got.Front != "cli" {
		t.Errorf("command came from %q by %q, want cli by %q", got.Front, got.Client, want)
	}
	if got.Operation != payment.Purchase {
		t.Errorf("operation is %q, want what the verb says", got.Operation)
	}
}

func TestBadCommandsAreRefusedAndNeverReachTheGateway(t *testing.T) {
	b := newBox()
	b.reply = func(c payment.Command) payment.Reply { return payment.Reply{ID: c.ID, Status: payment.ReplyAccepted} }
	c := start(t, b)
	raw := rawClient(c.Path())
	for _, tt := range []struct {
		name, kind, body string
		want             payment.Reason
	}{
		{"not JSON", "application/json", "pay 5", payment.ReasonInvalid},
		{"empty", "application/json", "", payment.ReasonInvalid},
		{"unknown member", "application/json", `{"verb":"purchase","id":"a","front":"mqtt:local"}`, payment.ReasonInvalid},
		{"unknown verb", "application/json", `{"verb":"steal","id":"a"}`, payment.ReasonInvalid},
		{"contradiction", "application/json", `{"verb":"refund","id":"a","operation":"purchase"}`, payment.ReasonInvalid},
		{"a float", "application/json", `{"verb":"purchase","id":"a","amount":{"minor":1.5,"currency":"VND"}}`, payment.ReasonInvalid},
		{"two values", "application/json", `{"verb":"purchase","id":"a"}{"verb":"purchase","id":"b"}`, payment.ReasonInvalid},
		{"a form", "text/plain", `{"verb":"purchase","id":"a"}`, payment.ReasonInvalid},
		{"oversized", "application/json", `{"verb":"purchase","id":"` + strings.Repeat("a", control.MaxCommand) + `"}`, payment.ReasonOversized},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, err := raw.Post("http://x/v1/commands", tt.kind, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var r payment.Reply
			if err := json.NewDecoder(resp.Body).Decode(&r); err != nil {
				t.Fatal(err)
			}
			if r.Status != payment.ReplyRefused || r.Reason != tt.want || r.Text == "" {
				t.Errorf("reply is %+v, want refused as %s", r, tt.want)
			}
		})
	}
	if len(b.got) != 0 {
		t.Errorf("the gateway got %v", b.got)
	}
}

func rawClient(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
}

// TestFollow lets a payment go through its states while somebody follows.
func TestFollow(t *testing.T) {
	b := newBox()
	rec := payment.Record{Transaction: payment.Transaction{Request: payment.Request{ID: "a1", Terminal: "front"}, Baseline: payment.Baseline{Identity: "hidden"}}, State: payment.StateBegun}
	b.reply = func(c payment.Command) payment.Reply {
		b.set(rec)
		return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted, Payment: &rec}
	}
	c := start(t, b)
	var story []string
	for line, err := range c.Follow(within(t), purchase("a1")) {
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case line.Reply != nil:
			story = append(story, string(line.Reply.Status))
			if line.Reply.Payment.Baseline.Identity != "" {
				t.Error("the reply shows the driver's evidence")
			}
		case line.Progress != nil:
			story = append(story, string(line.Progress.Stage))
			b.setTerminal(payment.TerminalStatus{Name: "front", Link: payment.LinkOffline, Error: "unplugged"})
		case line.Terminal != nil:
			story = append(story, string(line.Terminal.Link))
			done := rec
			done.State, done.Outcome = payment.StateFinal, payment.Outcome{Result: payment.Approved}
			b.set(done)
		case line.Payment != nil && line.Payment.State == payment.StateBegun:
			story = append(story, "begun")
			b.progress <- payment.Progress{ID: "other", Stage: payment.StagePIN}
			b.progress <- payment.Progress{ID: "a1", Stage: payment.StageWaitingCard}
		case line.Payment != nil:
			story = append(story, string(line.Payment.Outcome.Result))
		}
	}
	if got, want := strings.Join(story, " "), "accepted begun waiting-card offline approved"; got != want {
		t.Errorf("the story is %q, want %q", got, want)
	}
}

func TestFollowEndsWithARefusal(t *testing.T) {
	b := newBox()
	b.reply = func(c payment.Command) payment.Reply {
		return payment.Refused(c, payment.Refuse(payment.ReasonBusy, "the terminal serves somebody else"))
	}
	c := start(t, b)
	n := 0
	for line, err := range c.Follow(within(t), purchase("a1")) {
		if n++; err != nil || line.Reply.Reason != payment.ReasonBusy {
			t.Errorf("line is %+v, %v", line, err)
		}
	}
	if n != 1 {
		t.Errorf("got %d lines, want 1", n)
	}
}

// TestStoppingEndsStreams makes sure that a follower does not keep the gateway
// from ending: the clean-up of start waits for Serve, the one before it for
// the follower.
func TestStoppingEndsStreams(t *testing.T) {
	ctx := within(t)
	ended := make(chan struct{})
	t.Cleanup(func() {
		<-ended
		if ctx.Err() != nil {
			t.Error("the stream ended with its own context, not with the server")
		}
	})
	b := newBox()
	b.set(payment.Record{Transaction: payment.Transaction{Request: payment.Request{ID: "a1"}}})
	c := start(t, b)
	following := make(chan struct{})
	go func() {
		defer close(ended)
		for range c.Events(ctx, 1, true) {
			close(following) // one event only
		}
	}()
	<-following
}

func TestJournal(t *testing.T) {
	b := newBox()
	b.set(payment.Record{Transaction: payment.Transaction{Request: payment.Request{ID: "a1"}, Baseline: payment.Baseline{Identity: "hidden"}}, State: payment.StateFinal})
	c := start(t, b)
	ctx := within(t)

	var ids []string
	for rec, err := range c.History(ctx, control.Query{Order: "o1", Limit: 3, Since: time.Unix(5, 0)}) {
		if err != nil || rec.Order != "o1" || rec.Baseline.Identity != "" {
			t.Errorf("record %+v, %v", rec, err)
		}
		ids = append(ids, string(rec.ID))
	}
	if got := strings.Join(ids, " "); got != "p0 p1 p2" {
		t.Errorf("history is %s, want p0 p1 p2", got)
	}
	e, err := c.Entry(ctx, "a1")
	if err != nil || e.Payment.ID != "a1" || len(e.Steps) != 1 || e.Steps[0].Transaction.Baseline.Identity != "" || e.Payment.Baseline.Identity != "" {
		t.Errorf("entry is %+v, %v", e, err)
	}
	if _, err := c.Entry(ctx, "none"); payment.ReasonOf(err) != payment.ReasonNotFound {
		t.Errorf("an unknown id gives %v, want not-found", err)
	}
	if k, err := c.Verify(ctx); err != nil || !k.OK || k.Segments != 2 {
		t.Errorf("verify gives %+v, %v", k, err)
	}
	for name, q := range map[string]control.Query{"last4": {Last4: "12345"}, "limit": {Limit: -1}, "order": {Order: strings.Repeat("x", 300)}} {
		for _, err := range c.History(ctx, q) {
			if payment.ReasonOf(err) != payment.ReasonInvalid {
				t.Errorf("%s: got %v, want invalid", name, err)
			}
		}
	}
	for _, err := range c.History(ctx, control.Query{Order: "broken"}) {
		if err == nil || !strings.Contains(err.Error(), "segment 3") {
			t.Errorf("a broken segment gives %v", err)
		}
	}
}

func TestBackup(t *testing.T) {
	b := newBox()
	c := start(t, b)
	ctx := within(t)
	var got []string
	b.backup = func(dir string) error { got = append(got, dir); return nil }
	if err := c.Backup(ctx, "/mnt/copy"); err != nil || !slices.Equal(got, []string{"/mnt/copy"}) {
		t.Errorf("backup went to %v, %v", got, err)
	}
	for _, dir := range []string{"copy", "", "/mnt/../etc/copy"} {
		if err := c.Backup(ctx, dir); payment.ReasonOf(err) != payment.ReasonInvalid {
			t.Errorf("backup to %q gives %v, want invalid", dir, err)
		}
	}
	if len(got) != 1 {
		t.Errorf("bad folders reached the journal: %v", got)
	}
	b.backup = func(string) error { return errors.New("no space left on device") }
	if err := c.Backup(ctx, "/mnt/copy"); err == nil || !strings.Contains(err.Error(), "no space") {
		t.Errorf("got %v, want the reason", err)
	}
}

func TestEvents(t *testing.T) {
	b := newBox()
	for i := range 30 {
		b.set(payment.Record{Transaction: payment.Transaction{Request: payment.Request{ID: payment.ID(fmt.Sprint("e", i))}}})
	}
	c := start(t, b)
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	first, last, n := uint64(0), uint64(0), 0
	for e, err := range c.Events(ctx, 0, true) {
		if err != nil {
			t.Fatal(err)
		}
		if first == 0 {
			first = e.Seq
		} else if e.Seq != last+1 {
			t.Errorf("event %d follows %d", e.Seq, last)
		}
		last = e.Seq
		if n++; last == 30 {
			b.set(payment.Record{Transaction: payment.Transaction{Request: payment.Request{ID: "news"}}})
		}
		if last == 31 {
			break
		}
	}
	if first != 11 || last != 31 {
		t.Errorf("events %d to %d, want 11 to 31", first, last)
	}
	n = 0
	for range c.Events(ctx, 1, false) {
		n++
	}
	if n != 31 {
		t.Errorf("%d events from 1 on, want 31", n)
	}
}

func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"verb":"purchase","id":"a","amount":{"minor":5,"currency":"VND"}}`))
	f.Add([]byte(`{"verb":"resolve","id":"a","result":"approved","by":"n","reason":"r","force":true}`))
	b := newBox()
	b.reply = func(c payment.Command) payment.Reply { return payment.Reply{ID: c.ID, Status: payment.ReplyDone} }
	h := control.Handler(control.Options{Gateway: gatewayOf{b}, Journal: journalOf{b}})
	f.Fuzz(func(t *testing.T, body []byte) {
		b.got = nil
		code, out := control.Post(h, body)
		var r payment.Reply
		if err := json.Unmarshal(out, &r); err != nil || r.Status == "" {
			t.Fatalf("answer %d %q is no reply: %v", code, out, err)
		}
		if (code == http.StatusOK) != (len(b.got) == 1) {
			t.Fatalf("answer %d, and the gateway got %d commands", code, len(b.got))
		}
		if len(b.got) == 1 && !slices.Contains(payment.Verbs(), b.got[0].Verb) {
			t.Fatalf("verb %q reached the gateway", b.got[0].Verb)
		}
	})
}
