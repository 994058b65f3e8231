package payment

import (
	"errors"
	"strings"
	"testing"
)

func sale() Request {
	return Request{ID: "A1", Terminal: "t1", Operation: Purchase, Amount: Money{123456, "VND"}}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		name  string
		edit  func(*Request)
		wrong string // the field, "" if valid
	}{
		{"a sale", func(*Request) {}, ""},
		{"no id", func(r *Request) { r.ID = "" }, "id"},
		{"long id", func(r *Request) { r.ID = ID(strings.Repeat("x", MaxID+1)) }, "id"},
		{"id with a blank", func(r *Request) { r.ID = "a b" }, "id"},
		{"derived id", func(r *Request) { r.ID = ReversalOf("A1") }, ""},
		{"tilde elsewhere", func(r *Request) { r.ID = "a~b" }, "id"},
		{"order with a line break", func(r *Request) { r.Order = "a\nb" }, "order"},
		{"order of broken UTF-8", func(r *Request) { r.Order = "\xff" }, "order"},
		{"long order", func(r *Request) { r.Order = strings.Repeat("đ", MaxOrder+1) }, "order"},
		{"order of 64 letters", func(r *Request) { r.Order = strings.Repeat("đ", MaxOrder) }, ""},
		{"no amount", func(r *Request) { r.Amount = Money{} }, "amount"},
		{"nought", func(r *Request) { r.Amount.Minor = 0 }, "amount"},
		{"negative", func(r *Request) { r.Amount.Minor = -1 }, "amount"},
		{"13 digits", func(r *Request) { r.Amount.Minor = MaxMinor + 1 }, "amount"},
		{"unknown currency", func(r *Request) { r.Amount.Currency = "XXX" }, "amount"},
		{"unknown operation", func(r *Request) { r.Operation = "steal" }, "operation"},
		{"reversal without original", func(r *Request) { r.Operation = Reversal }, "original"},
		{"long timeout", func(r *Request) { r.Timeout = InMillis(MaxTimeout) + 1 }, "timeout_ms"},
		{"negative fulfilment", func(r *Request) { r.FulfilWithin = -1 }, "fulfil_within_ms"},
		{"split without order", func(r *Request) { r.Split = true }, "split"},
		{"cash within the amount", func(r *Request) { r.Cashback = Money{1, r.Amount.Currency} }, ""},
		{"all of it in cash", func(r *Request) { r.Cashback = r.Amount }, "cashback"},
		{"negative cash", func(r *Request) { r.Cashback = Money{-1, r.Amount.Currency} }, "cashback"},
		{"cash of another currency", func(r *Request) { r.Cashback = Money{1, "USD"} }, "cashback"},
		{"cash of a refund", func(r *Request) { r.Operation, r.Cashback = Refund, Money{1, r.Amount.Currency} }, "cashback"},
		{"merchant with a line break", func(r *Request) { r.Merchant = "2\n" }, "merchant"},
		{"long service", func(r *Request) { r.Operation, r.Service = ServicePayment, strings.Repeat("x", MaxText+1) }, "service"},
		{"service of a refund", func(r *Request) { r.Operation, r.Service = Refund, "parts/12345" }, ""},
		{"service of a purchase", func(r *Request) { r.Service = "phone" }, "service"},
		{"amount of a reconciliation", func(r *Request) { r.Operation = Reconciliation }, "amount"},
	} {
		r := sale()
		tt.edit(&r)
		err := r.Validate()
		if tt.wrong == "" {
			if err != nil {
				t.Errorf("%s: %v", tt.name, err)
			}
			continue
		}
		v, ok := errors.AsType[Invalid](err)
		if !ok || v[0].Field != tt.wrong {
			t.Errorf("%s: %v, want a problem with %s", tt.name, err, tt.wrong)
		}
	}
}

func TestValidateSaysEverythingAtOnce(t *testing.T) {
	err := Request{ID: "a b", Order: "\x00", Operation: "steal", Amount: Money{-1, "XXX"}, Timeout: -1, FulfilWithin: -1}.Validate()
	v, _ := errors.AsType[Invalid](err)
	fields := map[string]bool{}
	for _, p := range v {
		fields[p.Field] = true
	}
	for _, f := range []string{"id", "order", "operation", "amount", "timeout_ms", "fulfil_within_ms"} {
		if !fields[f] {
			t.Errorf("nothing is said about %s: %v", f, err)
		}
	}
}

func TestSameContent(t *testing.T) {
	other := sale()
	other.Amount.Minor++
	if sale().SameContent(other) {
		t.Error("another amount is the same content")
	}
	short := Request{ID: "R", Terminal: "t1", Operation: Reversal, Original: Reference{Payment: "A1"}}
	full := short
	full.Amount, full.Original.Receipt, full.Merchant = Money{5, "VND"}, "000061", "2"
	if !short.SameContent(full) || !full.SameContent(short) {
		t.Error("a reversal is not the same after the gateway filled it in")
	}
	full.Original.Payment = "A2"
	if short.SameContent(full) {
		t.Error("a reversal of another payment is the same content")
	}
}

func TestResponseCodesThatDoNotExcludeApproval(t *testing.T) {
	for _, code := range []string{"08", "09", "10", "11", "16", "68", "", "zz", "Q1"} {
		if d := ResponseCodeOf(code).Decision; d != DecisionDoubtful {
			t.Errorf("response code %q: decision %d, want doubtful", code, d)
		}
	}
	if ResponseCodeOf("00").Decision != DecisionApproved || ResponseCodeOf("51").Decision != DecisionDeclined || ResponseCodeOf("55").Condition != CondWrongPIN {
		t.Error("00, 51 or 55 is not what ISO 8583 says")
	}
	for code, rc := range responseCodes {
		if len(code) != 2 || rc.Text == "" || (rc.Decision == DecisionDeclined && rc.Condition == "") {
			t.Errorf("response code %q: %+v", code, rc)
		}
	}
}
