package payment_test

import (
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
)

func TestInventory(t *testing.T) {
	was := payment.Inventory{Identity: "S1/T1", Serial: "S1", TID: "T1", Software: "2.0"}
	for name, tt := range map[string]struct {
		now  payment.Inventory
		want []string
	}{
		"the same":                   {was, nil},
		"nothing told":               {payment.Inventory{}, nil},
		"more told":                  {payment.Inventory{Serial: "S1", Model: "M"}, nil},
		"software":                   {payment.Inventory{Serial: "S1", Software: "2.1"}, []string{"software"}},
		"another terminal":           {payment.Inventory{Identity: "S2/T1", Serial: "S2", TID: "T1", Software: "2.0"}, []string{"serial"}},
		"another account":            {payment.Inventory{Identity: "S1/T2", Serial: "S1", TID: "T2"}, []string{"tid"}},
		"an identity, nothing else":  {payment.Inventory{Identity: "K2"}, []string{"identity"}},
		"everything is another one":  {payment.Inventory{Identity: "S2/T2", Serial: "S2", TID: "T2", Software: "9"}, []string{"serial", "tid", "software"}},
		"an identity beside the TID": {payment.Inventory{Identity: "?/T1", TID: "T1"}, nil},
	} {
		if got := tt.now.Differs(was); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v, want %v", name, got, tt.want)
		}
	}
	if got, want := (payment.Inventory{Serial: "S2"}).Known(was), (payment.Inventory{Identity: "S1/T1", Serial: "S2", TID: "T1", Software: "2.0"}); got != want {
		t.Errorf("known: got %+v, want %+v", got, want)
	}
	dirty := payment.Inventory{Serial: " a\x00\x1b[31m\xff\"b ", Software: strings.Repeat("я", 80)}
	if got := dirty.Clean(); got.Serial != "a[31mb" || got.Software != strings.Repeat("я", 32) {
		t.Errorf("clean: got %+v", got)
	}
}
