package broker

import (
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
