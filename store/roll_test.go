package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tillgate/internal/payment"
)

func TestRollCarriesOverWhatIsOpen(t *testing.T) {
	b := newBox(t)
	begun, granted, owed, resolved := b.sale("begun", "order-1"), b.sale("granted", ""), b.sale("owed", ""), b.sale("resolved", "")
	granted.FulfilWithin = 60000
	for _, tx := range []payment.Transaction{begun, granted, owed, resolved} {
		b.begin(tx)
	}
	ok := approved(owed)
	if err := b.Append([]payment.Step{
		b.step(payment.StepAuthorised, "granted", approved(granted)),
		{Kind: payment.StepGranted, ID: "granted", At: b.now},
		{Kind: payment.StepOwed, ID: "owed", At: b.now, Outcome: &ok, Reason: "deadline"},
		b.step(payment.StepDoubted, "resolved", outcome(payment.InDoubt)),
		b.step(payment.StepResolved, "resolved", outcome(payment.Failed)),
	}, nil); err != nil {
		t.Fatal(err)
	}
	b.Acknowledge("local", b.LastSeq())
	check := func() {
		t.Helper()
		open, err := b.Open()
		if err != nil || len(open) != 4 {
			t.Fatalf("%d open, %v; want 4", len(open), err)
		}
		for i, want := range []payment.Record{{State: payment.StateBegun}, {State: payment.StateGranted}, {State: payment.StateOwed, OwedReason: "deadline"}, {State: payment.StateFinal, EvidenceOwed: true}} {
			if open[i].State != want.State || open[i].OwedReason != want.OwedReason || open[i].EvidenceOwed != want.EvidenceOwed {
				t.Errorf("open %d: %s is %s", i, open[i].ID, open[i].State)
			}
		}
	}
	check()
	for n := uint64(2); n < 5; n++ {
		b.sellUntil("fill"+string(rune('0'+n)), n)
		check()
		if err := os.Remove(segmentPath(b.options.Dir, n-1)); err != nil { // nothing open may need it
			t.Fatal(err)
		}
		b.reopen()
		check()
	}
	b.finish("begun", outcome(payment.Declined))
	if err := b.Append([]payment.Step{b.step(payment.StepFinished, "granted", approved(granted))}, nil); err != nil {
		t.Fatal(err)
	}
	if open, _ := b.Open(); len(open) != 2 {
		t.Errorf("%d open, want 2", len(open))
	}
}

func TestRetention(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name   string
		before func(*box) // while the segments are filled
		after  func(*box) // before the last roll-over
		want   int        // segments
	}{
		{"nothing has aged", nil, nil, 5},
		{"all have aged", nil, func(b *box) { b.ackAll(); b.now.Time = b.now.Time.Add(400 * day) }, 2},
		{"aged, not delivered to one", nil, func(b *box) {
			b.Acknowledge("local", b.LastSeq())
			b.now.Time = b.now.Time.Add(400 * day)
		}, 5},
		{"the clock is not to be trusted now", nil, func(b *box) {
			b.ackAll()
			b.now = payment.Moment{Time: b.now.Time.Add(400 * day), Clock: payment.ClockUnsynced}
		}, 5},
		{"the clock was not to be trusted then", func(b *box) {
			b.now = payment.Moment{Time: time.Unix(0, 0), Clock: payment.ClockUnsynced}
		}, func(b *box) {
			b.ackAll()
			b.now = payment.Moment{Time: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), Clock: payment.ClockSynced}
		}, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t, func(o *Options) { o.Retention = 30 * day })
			if c.before != nil {
				c.before(b)
			}
			b.sell("first")
			b.sellUntil("a", 4)
			if c.after != nil {
				c.after(b)
			}
			b.sellUntil("b", 5)
			if got := b.Segments(); got != c.want {
				t.Errorf("%d segments, want %d", got, c.want)
			}
			b.reopen()
			if got := b.Segments(); got != c.want {
				t.Errorf("%d segments after a restart, want %d", got, c.want)
			}
			_, _, err := b.Begin(b.sale("first", ""))
			if c.want == 5 {
				if err != nil {
					t.Errorf("known id: %v", err)
				}
				return
			}
			wantReason(t, err, payment.ReasonExpired)
			_, err = b.Find("first")
			wantReason(t, err, payment.ReasonExpired)
			wantReason(t, b.Append([]payment.Step{b.step(payment.StepFinished, "first", outcome(payment.Failed))}, nil), payment.ReasonExpired)
			_, err = b.Find("nobody")
			wantReason(t, err, payment.ReasonNotFound)
			// What is left of an expired segment is its sidecar: without it, its ids
			// are in doubt as long as the process runs, and not used again.
			if err := os.Remove(sidecarPath(b.options.Dir, 1)); err != nil {
				t.Fatal(err)
			}
			_, _, err = b.Begin(b.sale("first", ""))
			wantReason(t, err, payment.ReasonExpired)
		})
	}
}

func (b *box) ackAll() {
	for _, d := range b.options.Destinations {
		b.Acknowledge(d, b.LastSeq())
	}
}

func TestGapAtTheBound(t *testing.T) {
	b := newBox(t, func(o *Options) { o.MaxSegments = 3 })
	b.begin(b.sale("open", ""))
	b.Acknowledge("local", 0)
	b.sellUntil("a", 3)
	b.Acknowledge("local", b.LastSeq())
	b.sellUntil("b", 6)
	if got := b.Segments(); got != 3 {
		t.Errorf("%d segments, want 3", got)
	}
	b.find("open")
	events, err := b.Pending("uplink", 5)
	if err != nil || len(events) != 5 || events[0].Type != payment.EventGap {
		t.Fatalf("%d events, %v, first %v; want a gap", len(events), err, events)
	}
	var gap payment.Gap
	if err := json.Unmarshal(events[0].Data, &gap); err != nil || gap.From != 1 || gap.To != events[0].Seq || gap.To+1 != events[1].Seq {
		t.Errorf("gap %+v, %v, numbered %d, followed by %d", gap, err, events[0].Seq, events[1].Seq)
	}
	first, _ := json.Marshal(events)
	b.reopen()
	again, err := b.Pending("uplink", 5)
	if second, _ := json.Marshal(again); err != nil || !bytes.Equal(first, second) {
		t.Errorf("after a restart, %v: the same events have other bytes\n%s\n%s", err, first, second)
	}
	ranged, err := b.Range(2, 4, 10)
	if err != nil || len(ranged) != 1 || ranged[0].Seq != 4 {
		t.Errorf("range within the gap: %v, %v", ranged, err)
	}
	b.Acknowledge("uplink", events[0].Seq)
	if next, err := b.Pending("uplink", 1); err != nil || next[0].Seq != events[1].Seq || next[0].Type == payment.EventGap {
		t.Errorf("after the gap: %v, %v", next, err)
	}
}

func TestSidecarIsMadeAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(path string) error
	}{
		{"gone", os.Remove},
		{"cut off", func(p string) error { return os.Truncate(p, 100) }},
		{"bit flipped", func(p string) error {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			b[sidecarHeader+3] ^= 4
			return os.WriteFile(p, b, 0o640)
		}},
		{"of another segment", func(p string) error {
			b, err := os.ReadFile(filepath.Join(filepath.Dir(p), "0000000002.idx"))
			if err != nil {
				return err
			}
			return os.WriteFile(p, b, 0o640)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBox(t)
			b.begin(b.sale("open", "order-1"))
			b.sell("old")
			b.begin(b.sale("paid", "order-2"))
			b.finish("paid", approved(b.sale("paid", "order-2")))
			b.sellUntil("a", 4)
			path := sidecarPath(b.options.Dir, 1)
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			// While it runs the segment is read instead.
			if err := c.spoil(path); err != nil {
				t.Fatal(err)
			}
			b.find("old")
			if _, _, err := b.Begin(b.sale("again", "order-2")); payment.ReasonOf(err) != payment.ReasonOrderBusy {
				t.Errorf("an order that is paid was taken again: %v", err)
			}
			if events, err := b.Range(1, 3, 3); err != nil || len(events) != 3 || events[0].Seq != 1 {
				t.Errorf("events without the sidecar: %d, %v", len(events), err)
			}
			b.reopen()
			b.find("old")
			got, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(got[:48], want[:48]) || !bytes.Equal(got[sidecarHeader:], want[sidecarHeader:]) {
				t.Errorf("made again differently, %v", err)
			}
			if r, err := b.Verify(context.Background()); err != nil || !r.OK() {
				t.Errorf("verify: %+v, %v", r, err)
			}
		})
	}
}

func TestCursorRidesWithTheNextCommit(t *testing.T) {
	b := newBox(t)
	for range 5 {
		b.sell("id-" + string(rune('a'+b.LastSeq())))
	}
	b.Acknowledge("local", 3)
	b.Acknowledge("local", 2)  // never back
	b.Acknowledge("local", 99) // nor beyond the newest
	b.Acknowledge("nobody", 1) // nor for somebody unknown
	crashed := copyDir(t, b.options.Dir)
	if got := pendingSeq(t, b.Store, "local"); got != 4 {
		t.Errorf("next event %d, want 4", got)
	}
	o := b.options
	o.Dir = crashed
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := pendingSeq(t, s, "local"); got != 1 {
		t.Errorf("next event %d after a crash before the next commit, want 1", got)
	}
	s.Close()
	b.begin(b.sale("next", ""))
	o.Dir = copyDir(t, b.options.Dir)
	if s, err = Open(o); err != nil {
		t.Fatal(err)
	}
	if got := pendingSeq(t, s, "local"); got != 4 {
		t.Errorf("next event %d after a crash behind the next commit, want 4", got)
	}
	s.Close()
	b.Acknowledge("uplink", 2)
	b.reopen()
	if got := pendingSeq(t, b.Store, "uplink"); got != 3 {
		t.Errorf("next event %d after a proper end, want 3", got)
	}
}

func pendingSeq(t testing.TB, s *Store, destination string) uint64 {
	t.Helper()
	events, err := s.Pending(destination, 1)
	if err != nil || len(events) != 1 {
		t.Fatalf("pending for %s: %v, %v", destination, events, err)
	}
	return events[0].Seq
}

// copyDir is what a power cut would leave if every write so far had landed.
func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return to
}

func TestNewDestinationBeginsAtTheNewestEvent(t *testing.T) {
	b := newBox(t)
	b.sell("one")
	b.options.Destinations = append(b.options.Destinations, "cloud")
	b.reopen()
	if events, err := b.Pending("cloud", 9); err != nil || len(events) != 0 {
		t.Errorf("%d events, %v; want none", len(events), err)
	}
	b.sell("two")
	if got := pendingSeq(t, b.Store, "cloud"); got != 2 {
		t.Errorf("first event %d, want 2", got)
	}
	if _, err := b.Pending("nobody", 9); err == nil {
		t.Error("events for a destination that nobody configured")
	}
}

func TestBackupOfARunningJournal(t *testing.T) {
	b := newBox(t)
	b.begin(b.sale("open", "order-1"))
	b.sellUntil("a", 3)
	to := filepath.Join(t.TempDir(), "copy")
	if err := b.Backup(context.Background(), to); err != nil {
		t.Fatal(err)
	}
	if err := b.Backup(context.Background(), to); err == nil {
		t.Error("a backup over another")
	}
	b.sell("later")
	o := b.options
	o.Dir, o.Board = to, "board-2"
	var board *BoardError
	if _, err := Open(o); !errors.As(err, &board) {
		t.Fatalf("open on another board: %v", err)
	}
	o.ReadOnly, o.Board = true, ""
	r, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	report, err := r.Verify(context.Background())
	if err != nil || !report.OK() || report.Segments != 3 || report.Open != 1 {
		t.Errorf("verify of the copy: %+v, %v", report, err)
	}
	if _, _, err := r.Begin(b.sale("x", "")); !errors.Is(err, ErrReadOnly) {
		t.Errorf("begin: %v, want %v", err, ErrReadOnly)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	o.ReadOnly, o.Board = false, "board-2"
	if err := Adopt(o); err != nil {
		t.Fatal(err)
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if rec, err := s.Find("open"); err != nil || rec.State != payment.StateBegun {
		t.Errorf("open payment in the copy: %s, %v", rec.State, err)
	}
	_, err = s.Find("later")
	wantReason(t, err, payment.ReasonNotFound)
}

func TestVerifyFindsDamage(t *testing.T) {
	b := newBox(t)
	b.sell("one")
	b.sellUntil("a", 3)
	if r, err := b.Verify(context.Background()); err != nil || !r.OK() || r.Payments != r.Events {
		t.Fatalf("sound journal: %+v, %v", r, err)
	}
	path := segmentPath(b.options.Dir, 1)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(file, []byte(`"stan":"000042"`))
	file[at+8] ^= 1
	if err := os.WriteFile(path, file, 0o640); err != nil {
		t.Fatal(err)
	}
	r, err := b.Verify(context.Background())
	if err != nil || r.OK() || r.Faults[0].Segment != 1 {
		t.Errorf("a flipped bit in segment 1: %+v, %v", r, err)
	}
}

func TestHistory(t *testing.T) {
	b := newBox(t)
	start := b.now.Time
	a, c := b.sale("a", "order-1"), b.sale("c", `order "<2>`)
	c.Terminal = "till-2"
	b.begin(a)
	b.begin(c)
	b.sellUntil("fill", 3)
	middle := b.now.Time
	b.finish("a", outcome(payment.Declined))
	b.sell("last")
	ids := func(q Query) (out []payment.ID) {
		for rec, err := range b.History(q) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rec.ID)
		}
		return out
	}
	all := ids(Query{Oldest: true})
	back := ids(Query{})
	for i := range all {
		if all[i] != back[len(back)-1-i] {
			t.Fatalf("oldest and newest first differ at %d", i)
		}
	}
	if all[0] != "a" || all[1] != "c" || back[0] != "last" {
		t.Errorf("order of begin: %v ... %v", all[:2], back[0])
	}
	for _, q := range []struct {
		name string
		q    Query
		want []payment.ID
	}{
		{"order", Query{Order: "order-1"}, []payment.ID{"a"}},
		{"order with characters that JSON escapes", Query{Order: `order "<2>`}, []payment.ID{"c"}},
		{"terminal", Query{Terminal: "till-2"}, []payment.ID{"c"}},
		{"result", Query{Result: payment.Declined}, []payment.ID{"a"}},
		{"state", Query{State: payment.StateBegun}, []payment.ID{"c"}},
		{"authorisation code", Query{Auth: authOf("last")}, []payment.ID{"last"}},
		{"card and limit", Query{Last4: "6163", Limit: 1}, []payment.ID{"last"}},
		{"another card", Query{Last4: "6164"}, nil},
		{"since", Query{Since: middle.Add(time.Second)}, []payment.ID{"last"}},
		{"until", Query{Until: start.Add(3 * time.Second)}, []payment.ID{"c", "a"}},
	} {
		got := ids(q.q)
		if len(got) != len(q.want) || (len(got) > 0 && got[0] != q.want[0]) {
			t.Errorf("%s: %v, want %v", q.name, got, q.want)
		}
	}
	var since []payment.ID
	for rec, err := range b.Since(middle.Add(time.Second)) {
		if err != nil {
			t.Fatal(err)
		}
		since = append(since, rec.ID)
	}
	if len(since) != 1 || since[0] != "last" {
		t.Errorf("since: %v, want last", since)
	}
}
