package broker

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestSubjects(t *testing.T) {
	for _, tt := range []struct {
		filter string
		want   []string
	}{
		{"tillgate/v1/k/#", []string{"tillgate.v1.k", "tillgate.v1.k.>"}},
		{"tillgate/+/command/+", []string{"tillgate.*.command.*"}},
		{"a/payment.final", []string{"a.payment//final"}},
		{"#", nil}, {"", nil}, {"a//b", nil}, {"/a", nil}, {"a/b+", nil}, {"a/#/b", nil}, {"a b", nil}, {"$SYS/x", nil}, {"a/>", nil}, {"*", nil},
	} {
		got, err := subjects(tt.filter)
		if !slices.Equal(got, tt.want) || (err == nil) != (tt.want != nil) {
			t.Errorf("subjects(%q) = %v, %v, want %v", tt.filter, got, err, tt.want)
		}
	}
}

func TestConfigIsRefused(t *testing.T) {
	for name, in := range map[string]string{
		"empty":         ``,
		"unknown":       `{"store_dir":"/x","users":[{"name":"a","password":"b"}],"open":true}`,
		"no users":      `{"store_dir":"/x"}`,
		"no store":      `{"users":[{"name":"a","password":"b"}]}`,
		"no password":   `{"store_dir":"/x","users":[{"name":"a"}]}`,
		"twice":         `{"store_dir":"/x","users":[{"name":"a","password":"b"},{"name":"a","password":"c"}]}`,
		"all topics":    `{"store_dir":"/x","users":[{"name":"a","password":"b","subscribe":["#"]}]}`,
		"over the size": `{"store_dir":"` + strings.Repeat("x", maxConfig) + `"}`,
	} {
		if _, err := readConfig(strings.NewReader(in)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestReadPassword(t *testing.T) {
	path := filepath.Join(t.TempDir(), "password")
	write := func(s string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("open sesame\n", 0o600)
	if got, err := ReadPassword(path); err != nil || got != "open sesame" {
		t.Errorf("password of %d bytes, %v", len(got), err)
	}
	for name, bad := range map[string]func(){
		"others may read": func() { write("x", 0o644) },
		"empty":           func() { write("\n", 0o600) },
		"long":            func() { write(strings.Repeat("x", 300), 0o600) },
	} {
		bad()
		if _, err := ReadPassword(path); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
