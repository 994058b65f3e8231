package bpos

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// record is one transaction as the properties of the library show it: the one
// that was just made, or one of the terminal's journal. Holder, expiry date and
// tracks have no field: the bridge does not give them.
type record struct {
	kind, status    int64 // TxnType, TrnStatus
	amount, add     int64
	invoice, batch  int64
	code            int64 // ResponseCode
	rrn, auth, time string
	tid, mid        string
	card            payment.PAN
	issuer, aid     string
	entry           int64
	signature       bool
	currency        string // numeric or alphabetic, as the terminal has it
	addData, rnk    string
}

// properties of a record, in one request.
var properties = []string{
	"TxnType", "TrnStatus", "Amount", "AddAmount", "InvoiceNum", "TrnBatchNum", "ResponseCode", "RRN", "AuthCode", "DateTime", "TerminalID", "MerchantID",
	"PAN", "IssuerName", "emvAID", "EntryMode", "SignVerif", "CurrencyCode", "AddData", "RNK",
}

// maxField bounds what is kept of a text, in bytes.
const maxField = 128

func readRecord(v bridge.Values) record {
	text := func(name string) string { return payment.Clip(strings.TrimSpace(v.Text(name)), maxField) }
	return record{
		kind: v.Number("TxnType"), status: v.Number("TrnStatus"), amount: v.Number("Amount"), add: v.Number("AddAmount"),
		invoice: v.Number("InvoiceNum"), batch: v.Number("TrnBatchNum"), code: v.Number("ResponseCode"),
		rrn: text("RRN"), auth: text("AuthCode"), time: text("DateTime"), tid: text("TerminalID"), mid: text("MerchantID"),
		card: payment.MaskPAN(v.Text("PAN")), issuer: text("IssuerName"), aid: text("emvAID"), entry: v.Number("EntryMode"),
		signature: v.Number("SignVerif") == 1, currency: text("CurrencyCode"), addData: payment.Clip(payment.MaskNumbers(strings.TrimSpace(v.Text("AddData"))), maxField), rnk: text("RNK"),
	}
}

// record reads the properties of the last operation.
func (t *terminal) record(ctx context.Context) (record, error) {
	v, err := t.get(ctx, properties...)
	if err != nil {
		return record{}, err
	}
	return readRecord(v), nil
}

// key tells one record from another; "" if it has nothing that could.
func (r record) key() string {
	if r.invoice == 0 && r.rrn == "" {
		return ""
	}
	return fmt.Sprintf("%d/%d/%d/%s", r.batch, r.kind, r.invoice, r.rrn)
}

// byInvoice reads a record of the open batch. ok is false if there is none.
func (t *terminal) byInvoice(ctx context.Context, invoice int64, merchant int) (r record, ok bool, err error) {
	a, err := t.ask(ctx, "GetTxnDataByInv", invoice, merchant)
	if err != nil || a.result != resultDone {
		return record{}, false, err
	}
	if r, err = t.record(ctx); err != nil {
		return record{}, false, err
	}
	return r, r.invoice == invoice, nil
}

// byOrder reads the n-th record of the journal, from 1.
func (t *terminal) byOrder(ctx context.Context, n int64) (r record, ok bool, err error) {
	a, err := t.ask(ctx, "GetTxnDataByOrder", n)
	if err != nil || a.result != resultDone {
		return record{}, false, err
	}
	r, err = t.record(ctx)
	return r, err == nil, err
}

// count is how many records the journal has.
func (t *terminal) count(ctx context.Context) (int64, error) {
	a, err := t.ask(ctx, "GetTxnNum")
	if err != nil {
		return 0, err
	}
	if a.result != resultDone {
		return 0, fmt.Errorf("GetTxnNum: %w", a.err())
	}
	v, err := t.get(ctx, "TxnNum")
	if err != nil {
		return 0, err
	}
	return v.Number("TxnNum"), nil
}

// mark is the journal of a terminal at one moment, as it is kept in ours: how
// many records, and its two ends. The guide does not say whether order 1 is the
// oldest or the newest.
type mark struct {
	Count int64  `json:"count"`
	First string `json:"first,omitempty"` // key of order 1
	Last  string `json:"last,omitempty"`  // key of order Count
	Batch int64  `json:"batch,omitempty"`

	// Of a reversal or completion: what the terminal says of the original.
	Taken bool `json:"taken,omitempty"` // it was taken back already
}

// look reads the journal's ends. records are those of order 1 and of order count.
func (t *terminal) look(ctx context.Context) (m mark, first, last record, err error) {
	if m.Count, err = t.count(ctx); err != nil || m.Count == 0 {
		return m, first, last, err
	}
	read := func(n int64) (r record, err error) {
		r, ok, err := t.byOrder(ctx, n)
		if err == nil && !ok {
			err = fmt.Errorf("GetTxnDataByOrder: %w", errState)
		}
		return r, err
	}
	if last, err = read(m.Count); err != nil {
		return m, first, last, err
	}
	first = last
	if m.Count > 1 {
		if first, err = read(1); err != nil {
			return m, first, last, err
		}
	}
	m.First, m.Last, m.Batch = first.key(), last.key(), last.batch
	return m, first, last, nil
}

func (m mark) bytes() []byte {
	b, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers only
	}
	return b
}

func readMark(b []byte) (m mark, ok bool) {
	err := json.Unmarshal(b, &m)
	return m, err == nil && m.Count >= 0
}

// same says whether the journal is what it was.
func (m mark) same(o mark) bool { return m.Count == o.Count && m.First == o.First && m.Last == o.Last }

// invoiceOf is the invoice number of a reference, 0 if it has none.
func invoiceOf(o payment.Reference) int64 {
	n, err := strconv.ParseInt(o.Receipt, 10, 64)
	if err != nil || n < 1 || n > bridge.MaxNumber {
		return 0
	}
	return n
}

// info reads who the terminal is: profile and serial number, which follow the
// version of its software (guide, get_TerminalInfo).
func (t *terminal) info(ctx context.Context) (string, error) {
	a, err := t.ask(ctx, "POSGetInfo")
	if err != nil {
		return "", err
	}
	if a.result != resultDone {
		return "", &link.Error{Op: "POSGetInfo", Err: a.err()}
	}
	v, err := t.get(ctx, "TerminalInfo")
	if err != nil {
		return "", err
	}
	info := payment.Clip(v.Text("TerminalInfo"), maxField*2)
	t.identity = identityOf(info)
	return info, nil
}

// identityOf drops the version of the software, which changes with an update,
// and the list of acquirers.
func identityOf(info string) string {
	if _, id, ok := strings.Cut(info, " "); ok {
		info = id
	}
	id, _, _ := strings.Cut(info, "/")
	return strings.TrimSpace(id)
}

// softwareOf is the version of the software in the same text.
func softwareOf(info string) string {
	if software, _, ok := strings.Cut(info, " "); ok {
		return software
	}
	return ""
}
