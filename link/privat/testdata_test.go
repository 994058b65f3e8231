package privat

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func load(t testing.TB, name string) map[string]json.RawMessage {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// frameOf is a frame that the document prints byte by byte.
func frameOf(t testing.TB, name string) []byte {
	t.Helper()
	var text string
	if err := json.Unmarshal(load(t, "frames.json")[name], &text); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

// messages are those that the document prints as JSON.
func messages(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for name, m := range load(t, "messages.json") {
		if len(m) > 0 && m[0] == '{' {
			all[name] = append([]byte(nil), m...)
		}
	}
	return all
}
