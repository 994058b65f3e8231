package cli

import (
	"os"
	"path/filepath"
	"testing"
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
