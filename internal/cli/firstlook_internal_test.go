package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestReplaceKeepsTheOldFile: what cannot be written leaves what was there.
func TestReplaceKeepsTheOldFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "f")
	if err := replace(file, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file+".new", 0o700); err != nil { // nothing can be written there
		t.Fatal(err)
	}
	if err := replace(file, []byte("new"), 0o600); err == nil {
		t.Error("a file that was not written is said to be")
	}
	if b, err := os.ReadFile(file); string(b) != "old" || err != nil {
		t.Errorf("got %q, %v", b, err)
	}
}

// TestClippedText is whole characters within its bound.
func TestClippedText(t *testing.T) {
	for _, text := range []string{"short", strings.Repeat("x", 1000), "x" + strings.Repeat("ế", 1000)} {
		got := clipped(text)
		if len(got) > maxFindingText || !utf8.ValidString(got) || !strings.HasPrefix(text, got) || len(text) > maxFindingText && len(got) < maxFindingText-4 {
			t.Errorf("%.10q: %d bytes, ends with %q", text, len(got), got[len(got)-3:])
		}
	}
}
