package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"tillgate/internal/control"
	"tillgate/internal/payment"
)

// box is a gateway and its journal, in memory, driven by the test.
type box struct {
	mu       sync.Mutex
	records  map[payment.ID]payment.Record
	events   []payment.Event
	durable  chan struct{}
	changed  chan struct{}
	progress chan payment.Progress
	got      []payment.Command
	reply    func(payment.Command) payment.Reply
	backup   func(dir string) error
	terminal payment.TerminalStatus
}

func newBox() *box {
	return &box{
		records: map[payment.ID]payment.Record{}, durable: make(chan struct{}), changed: make(chan struct{}),
		progress: make(chan payment.Progress, 8),
		terminal: payment.TerminalStatus{Name: "front", Link: payment.LinkOnline},
	}
}

func (b *box) Do(_ context.Context, c payment.Command) payment.Reply {
	b.mu.Lock()
	b.got = append(b.got, c)
	f := b.reply
	b.mu.Unlock()
	return f(c)
}

func (b *box) Status() payment.Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return payment.Status{Sellable: true, Terminals: []payment.TerminalStatus{b.terminal}}
}

func (b *box) Progress() (<-chan payment.Progress, func()) { return b.progress, func() {} }

func (b *box) set(rec payment.Record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records[rec.ID] = rec
	b.events = append(b.events, payment.Event{Seq: uint64(len(b.events) + 1), Type: payment.EventFinal, Subject: payment.About(rec.ID), Data: json.RawMessage(`{}`)})
	close(b.durable)
	b.durable = make(chan struct{})
}

func (b *box) setTerminal(t payment.TerminalStatus) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.terminal = t
	close(b.changed)
	b.changed = make(chan struct{})
}

func (b *box) Find(id payment.ID) (payment.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rec, ok := b.records[id]
	if !ok {
		return rec, payment.Refuse(payment.ReasonNotFound, "no payment %s", id)
	}
	return rec, nil
}

func (b *box) Steps(id payment.ID) ([]payment.Step, error) {
	rec, err := b.Find(id)
	return []payment.Step{{Kind: payment.StepBegun, ID: id, Transaction: &rec.Transaction}}, err
}

func (b *box) History(q control.Query) iter.Seq2[payment.Record, error] {
	return func(yield func(payment.Record, error) bool) {
		if q.Order == "broken" {
			yield(payment.Record{}, errors.New("segment 3: checksum"))
			return
		}
		for i := range 5 {
			rec := payment.Record{State: payment.StateFinal}
			rec.ID, rec.Order, rec.Baseline.Identity = payment.ID(fmt.Sprint("p", i)), q.Order, "hidden"
			if !yield(rec, nil) {
				return
			}
		}
	}
}

func (b *box) Verify(context.Context) (control.Check, error) {
	return control.Check{OK: true, Segments: 2}, nil
}

func (b *box) Backup(_ context.Context, dir string) error { return b.backup(dir) }

func (b *box) Range(from, to uint64, most int) ([]payment.Event, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events[from-1 : min(to, from-1+uint64(most), uint64(len(b.events)))]), nil
}

func (b *box) LastSeq() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.events))
}

// Changed is both the gateway's and the journal's: a test gives each its own.
type gatewayOf struct{ *box }

func (g gatewayOf) Changed() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.changed
}

type journalOf struct{ *box }

func (j journalOf) Changed() <-chan struct{} {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.durable
}

// start serves b on a socket of its own and returns a client; the server ends
// with the test, and leaves nothing behind.
func start(t *testing.T, b *box) *control.Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s.sock")
	s, err := control.Listen(control.Options{Path: path, Gateway: gatewayOf{b}, Journal: journalOf{b}, Version: control.Version{Version: "v1", Drivers: []string{"acme"}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx) }()
	c, err := control.Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the socket is left behind: %v", err)
		}
	})
	return c
}

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	t.Cleanup(cancel) // after all that was registered later
	return ctx
}

func purchase(id payment.ID) payment.Command {
	return payment.Command{Verb: payment.VerbPurchase, Request: payment.Request{ID: id, Amount: payment.Money{Minor: 5, Currency: "VND"}}}
}
