package store

import (
	"maps"
	"strings"
	"testing"
)

// Notes are durable, move on with the segments, and are all or nothing.
func TestNotes(t *testing.T) {
	b := newBox(t)
	note := func(name, text string) {
		t.Helper()
		if err := b.Note(name, text); err != nil {
			t.Fatal(err)
		}
	}
	check := func(when string, want map[string]string) {
		t.Helper()
		if got := b.Notes(); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	note("paused/left", "an: cleaning")
	note("paused/right", "an")
	note("paused/left", "an: paper")
	want := map[string]string{"paused/left": "an: paper", "paused/right": "an"}
	check("before", want)
	b.reopen()
	check("after a restart", want)
	b.sellUntil("fill", 3)
	check("two segments later", want)
	b.reopen()
	check("after a restart in the third segment", want)
	note("paused/right", "")
	note("never/there", "")
	delete(want, "paused/right")
	check("without one", want)
	b.reopen()
	check("without one, after a restart", want)
	b.Notes()["paused/left"] = "changed"
	check("a copy changed", want)
}

func TestNotesAreBounded(t *testing.T) {
	b := newBox(t)
	for _, c := range [][2]string{{"", "x"}, {strings.Repeat("n", maxNoteName+1), "x"}, {"n", strings.Repeat("x", maxNote+1)}} {
		if err := b.Note(c[0], c[1]); err == nil {
			t.Errorf("a note of %d and %d bytes is taken", len(c[0]), len(c[1]))
		}
	}
	for i := range maxNotes {
		if err := b.Note("n"+string(rune('A'+i)), strings.Repeat("x", maxNote)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Note("one/more", "x"); err == nil {
		t.Error("one note more is taken")
	}
	if err := b.Note("nA", "changed"); err != nil {
		t.Errorf("one that is there already: %v", err)
	}
	b.reopen()
	if got := b.Notes(); len(got) != maxNotes || got["nA"] != "changed" {
		t.Errorf("%d notes after a restart, the first is %.10q", len(got), got["nA"])
	}
}
