package store

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tillgate/internal/payment"
)

// model is what a journal without a disk would know.
type model struct {
	*box
	rt       *rapid.T
	records  map[payment.ID]*payment.Record
	order    []payment.ID          // in the order of begin
	last     map[payment.ID]uint64 // newest segment that has it
	events   []string              // subjects, by number
	firstSeq map[uint64]uint64     // of each segment: the newest event before it
	cursors  map[string]uint64
}

func (m *model) id(label string) payment.ID {
	return rapid.SampledFrom(m.order).Draw(m.rt, label)
}

func (m *model) expired(id payment.ID) bool { return m.last[id] < m.Store.oldest().number }

// settled takes note of a roll-over: what is open moves with it.
func (m *model) settled() {
	number := m.active.number
	if _, ok := m.firstSeq[number]; ok {
		return
	}
	m.firstSeq[number] = m.active.meta.Seq
	for id, rec := range m.records {
		if rec.Open() {
			m.last[id] = number
		}
	}
}

// others are the records that a rule looks at.
func (m *model) others(match func(payment.Record) bool) (out []payment.Record) {
	for _, id := range m.order {
		if rec := *m.records[id]; !m.expired(id) && match(rec) {
			out = append(out, rec)
		}
	}
	return out
}

func (m *model) begin(tx payment.Transaction) {
	var want payment.Reason
	rec, known := m.records[tx.ID], false
	switch {
	case rec != nil && m.expired(tx.ID):
		want = payment.ReasonExpired
	case rec != nil && rec.SameContent(tx.Request):
		known = true
	case rec != nil:
		want = payment.ReasonConflict
	default:
		err := payment.CheckOrder(tx, m.others(func(r payment.Record) bool { return r.Order == tx.Order }))
		if o := tx.Original.Payment; err == nil && o != "" {
			switch original := m.records[o]; {
			case original == nil:
				err = payment.Refuse(payment.ReasonNotFound, "")
			case m.expired(o):
				err = payment.Refuse(payment.ReasonExpired, "")
			default:
				err = payment.CheckCeiling(tx, *original, m.others(func(r payment.Record) bool { return r.Original.Payment == o }))
			}
		}
		want = payment.ReasonOf(err)
	}
	_, gotKnown, err := m.Begin(tx)
	if payment.ReasonOf(err) != want || gotKnown != known || (err != nil && want == "") {
		m.rt.Fatalf("begin %s %s: known %v, %v; want %v, %q", tx.Operation, tx.ID, gotKnown, err, known, want)
	}
	m.settled()
	if err == nil && !known {
		rec := new(payment.Record)
		if err := rec.Apply(payment.Step{Kind: payment.StepBegun, ID: tx.ID, At: tx.Started, Transaction: &tx}); err != nil {
			m.rt.Fatal(err)
		}
		m.records[tx.ID], m.last[tx.ID] = rec, m.active.number
		m.order = append(m.order, tx.ID)
	}
}

func (m *model) append(steps []payment.Step, events int) {
	after, want := make(map[payment.ID]payment.Record), payment.Reason("")
	for _, st := range steps {
		rec, ok := after[st.ID]
		if !ok {
			rec = *m.records[st.ID]
		}
		if m.expired(st.ID) {
			want = payment.ReasonExpired
			break
		}
		if err := rec.Apply(st); err != nil {
			want = payment.ReasonOf(err)
			break
		}
		after[st.ID] = rec
	}
	var list []payment.Event
	for n := range events {
		list = append(list, payment.NewEvent(payment.EventFinal, fmt.Sprintf("event/%d", len(m.events)+n+1), m.now, false, n))
	}
	err := m.Append(steps, list)
	if payment.ReasonOf(err) != want || (err != nil && want == "") {
		m.rt.Fatalf("append %v: %v, want %q", steps, err, want)
	}
	m.settled()
	if err != nil {
		return
	}
	for id, rec := range after {
		m.records[id], m.last[id] = &rec, m.active.number
	}
	for _, e := range list {
		m.events = append(m.events, e.Subject)
	}
}

func (m *model) check() {
	for id, want := range m.records {
		got, err := m.Find(id)
		if m.expired(id) {
			if payment.ReasonOf(err) != payment.ReasonExpired {
				m.rt.Fatalf("find %s: %v, want expired", id, err)
			}
			continue
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if err != nil || string(a) != string(b) {
			m.rt.Fatalf("find %s: %v\n%s\n%s", id, err, a, b)
		}
	}
	open, err := m.Open()
	var want []payment.ID
	for _, id := range m.order {
		if m.records[id].Open() {
			want = append(want, id)
		}
	}
	if got := idsOf(open); err != nil || !slices.Equal(got, want) {
		m.rt.Fatalf("open %v, %v; want %v", got, err, want)
	}
	var history []payment.ID
	for rec, err := range m.History(Query{Oldest: true}) {
		if err != nil {
			m.rt.Fatal(err)
		}
		history = append(history, rec.ID)
	}
	kept := slices.DeleteFunc(slices.Clone(m.order), m.expired)
	slices.Sort(kept)
	slices.Sort(history)
	if !slices.Equal(history, kept) {
		m.rt.Fatalf("history %v, want %v", history, kept)
	}
	var asking []payment.ID
	for rec, err := range m.NeedsPerson(time.Time{}) {
		if err != nil {
			m.rt.Fatal(err)
		}
		asking = append(asking, rec.ID)
	}
	slices.Sort(asking)
	if want := slices.DeleteFunc(kept, func(id payment.ID) bool { return !m.records[id].NeedsPerson() }); !slices.Equal(asking, want) {
		m.rt.Fatalf("a person is asked for by %v, want %v", asking, want)
	}
	for name, cursor := range m.cursors {
		m.checkPending(name, cursor)
	}
}

func (m *model) checkPending(name string, cursor uint64) {
	events, err := m.Pending(name, maxEvents)
	if err != nil {
		m.rt.Fatal(err)
	}
	next, missing := cursor+1, m.firstSeq[m.Store.oldest().number]
	if next <= missing {
		if len(events) == 0 || events[0].Type != payment.EventGap || events[0].Seq != missing {
			m.rt.Fatalf("%s at %d: no gap to %d", name, cursor, missing)
		}
		events, next = events[1:], missing+1
	}
	if uint64(len(events)) != uint64(len(m.events))+1-next {
		m.rt.Fatalf("%s: %d events from %d, the newest is %d", name, len(events), next, len(m.events))
	}
	for _, e := range events {
		if e.Seq != next || e.Subject != m.events[next-1] {
			m.rt.Fatalf("%s: event %d is %s, want %d %s", name, e.Seq, e.Subject, next, m.events[next-1])
		}
		next++
	}
}

func idsOf(records []payment.Record) (ids []payment.ID) {
	for _, r := range records {
		ids = append(ids, r.ID)
	}
	return ids
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		b := newBox(t, func(o *Options) { o.SegmentSize, o.MaxSegments, o.Retention = 128<<10, 4, 24*time.Hour })
		defer b.Close()
		m := &model{
			box: b, rt: rt, records: make(map[payment.ID]*payment.Record), last: make(map[payment.ID]uint64),
			firstSeq: map[uint64]uint64{1: 0}, cursors: map[string]uint64{"local": 0, "uplink": 0},
		}
		need := func() {
			if len(m.order) == 0 {
				rt.Skip("nothing has begun")
			}
		}
		steps := []payment.StepKind{payment.StepDoubted, payment.StepAuthorised, payment.StepGranted, payment.StepOwed, payment.StepFinished, payment.StepFinished, payment.StepFinished, payment.StepResolved, payment.StepEvidence, payment.StepContradict}
		results := []payment.Result{payment.Approved, payment.Approved, payment.Declined, payment.Failed, payment.Unreversed}
		rt.Repeat(map[string]func(*rapid.T){
			"purchase": func(rt *rapid.T) {
				m.rt = rt
				tx := m.sale(fmt.Sprintf("id-%d", rapid.IntRange(0, 60).Draw(rt, "id")), "")
				if o := rapid.IntRange(0, 12).Draw(rt, "order"); o > 0 {
					tx.Order = fmt.Sprintf("order-%d", o)
				}
				tx.Split = tx.Order != "" && rapid.IntRange(0, 9).Draw(rt, "split") == 0
				m.begin(tx)
			},
			"take back": func(rt *rapid.T) {
				m.rt = rt
				need()
				original := m.id("original")
				op := rapid.SampledFrom([]payment.Operation{payment.Reversal, payment.Refund}).Draw(rt, "operation")
				m.begin(m.takeBack(op, fmt.Sprintf("back-%d", rapid.IntRange(0, 30).Draw(rt, "id")), original, rapid.SampledFrom([]int64{123456, 60000, 3456}).Draw(rt, "amount")))
			},
			"step": func(rt *rapid.T) {
				m.rt = rt
				need()
				id := m.id("id")
				o := approved(m.records[id].Transaction)
				o.Result = rapid.SampledFrom(results).Draw(rt, "result")
				m.now.Time = m.now.Time.Add(time.Second)
				m.append([]payment.Step{m.step(rapid.SampledFrom(steps).Draw(rt, "kind"), id, o)}, rapid.IntRange(0, 2).Draw(rt, "events"))
			},
			"taken back": func(rt *rapid.T) {
				m.rt = rt
				need()
				id := m.id("id")
				st := payment.Step{Kind: payment.StepTakenBack, ID: id, At: m.now, Amount: payment.Money{Minor: 3456, Currency: "VND"}}
				m.append([]payment.Step{st, m.step(payment.StepContradict, m.id("other"), outcome(payment.Failed))}, 1)
			},
			"acknowledge": func(rt *rapid.T) {
				m.rt = rt
				name := rapid.SampledFrom([]string{"local", "uplink"}).Draw(rt, "destination")
				seq := uint64(rapid.IntRange(0, len(m.events)).Draw(rt, "seq"))
				m.Acknowledge(name, seq)
				m.cursors[name] = max(m.cursors[name], seq)
			},
			"roll over": func(rt *rapid.T) {
				m.rt = rt
				if err := m.enqueue(&request{alone: m.makeRoom}); err != nil {
					rt.Fatal(err)
				}
				m.settled()
			},
			"a day passes": func(rt *rapid.T) { m.now.Time = m.now.Time.Add(25 * time.Hour) },
			"restart": func(rt *rapid.T) {
				m.rt = rt
				m.reopen()
			},
			"fault": func(rt *rapid.T) {
				m.rt = rt
				m.backoff = backoff{time.Nanosecond, time.Nanosecond}
				m.Store.options.Hook = func(point string) error {
					if point == "commit.before" {
						m.Store.options.Hook = nil
						return fmt.Errorf("fault of the test")
					}
					return nil
				}
				if err := m.Append(nil, []payment.Event{m.event(1)}); err == nil {
					rt.Fatal("the fault was not seen")
				}
				if err := m.Healthy(); err != nil {
					rt.Fatal(err)
				}
				m.settled()
			},
			"": func(rt *rapid.T) { m.rt = rt; m.check() },
		})
		if r, err := m.Verify(t.Context()); err != nil || !r.OK() {
			rt.Fatalf("verify: %+v, %v", r, err)
		}
	})
}
