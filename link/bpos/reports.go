package bpos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

// Totals reads those of the open batch, of all merchants (GetBatchTotals).
func (t *terminal) Totals(ctx context.Context) ([]link.Total, error) {
	if err := t.free(ctx); err != nil {
		return nil, err
	}
	a, err := t.ask(ctx, "GetBatchTotals", 0)
	if err != nil {
		return nil, err
	}
	if a.result != resultDone {
		return nil, fmt.Errorf("GetBatchTotals: %w", a.err())
	}
	defer t.restore(ctx)
	return t.totals(ctx)
}

func (t *terminal) totals(ctx context.Context) (all []link.Total, err error) {
	kinds := []struct {
		name string
		op   payment.Operation
	}{{"Debit", payment.Purchase}, {"Credit", payment.Refund}, {"Cancelled", payment.Reversal}}
	var names []string
	for _, k := range kinds {
		names = append(names, "Totals"+k.name+"Num", "Totals"+k.name+"Amt")
	}
	v, err := t.get(ctx, names...)
	if err != nil {
		return nil, err
	}
	for _, k := range kinds {
		all = append(all, link.Total{
			Operation: k.op, Count: int(v.Number("Totals" + k.name + "Num")), Amount: payment.Money{Minor: v.Number("Totals" + k.name + "Amt"), Currency: t.currency},
		})
	}
	return all, nil
}

// free says whether a question may be put: the library is idle, and no approval
// waits for its Confirm.
func (t *terminal) free(ctx context.Context) error {
	if t.unconfirmed != "" {
		return errors.New("an approved payment waits for its goods")
	}
	if err := t.idle(ctx); err != nil {
		return err
	}
	return t.hide(ctx)
}

// Diagnose asks who the terminal is and how it is. While an approval waits for
// its Confirm only the bridge is asked.
func (t *terminal) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	d := link.Diagnosis{Identity: t.identity, Facts: map[string]string{"bridge": t.kind, "library": t.library}}
	if t.stalled {
		d.Facts["advice"] = question
	}
	if t.logFull {
		d.Blocked, d.Facts["advice"] = payment.ReasonReconcile, "the terminal's journal is full: tillgate reconcile"
	}
	if err := t.idle(ctx); err != nil || t.unconfirmed != "" {
		if errors.Is(err, errWorking) {
			err = nil
		}
		return d, err
	}
	if t.settings.Unattended {
		if err := t.exchange(ctx, &d); err != nil {
			return d, err
		}
	}
	info, err := t.info(ctx)
	if err != nil {
		return d, err
	}
	d.Identity, d.Facts["info"], d.Inventory.Software = t.identity, info, softwareOf(info)
	for k, v := range d.Facts {
		if v == "" {
			delete(d.Facts, k)
		}
	}
	return d, nil
}

// DiagnoseHost has the terminal connect to its host (CheckConnection).
func (t *terminal) DiagnoseHost(ctx context.Context) (link.Diagnosis, error) {
	if err := t.free(ctx); err != nil {
		return link.Diagnosis{}, err
	}
	a, _, err := t.run(ctx, watch{within: t.longest}, "CheckConnection", t.settings.Merchant)
	if err == nil && !a.said() {
		err = a.err()
	}
	if err != nil {
		return link.Diagnosis{}, &link.Error{Op: "CheckConnection", Err: err}
	}
	d := link.Diagnosis{Identity: t.identity, Facts: map[string]string{"host": "reached"}}
	if a.result != resultDone {
		d.Facts["host"] = a.err().Error()
	}
	t.restore(ctx)
	return d, nil
}

// The numbers of SendFile.
const (
	fileReceipt = 1
	fileBMP     = 2
	filePrint   = 1
	fileOnce    = 2 // print and delete
)

// Print has the terminal print a receipt, totals, the last reconciliation, the
// batch journal or a document, and hands over what the terminal shows of it. A
// document is a text, or the absolute path of a file on the bridge's machine: a
// picture if it ends in .bmp.
func (t *terminal) Print(ctx context.Context, p link.Printout) ([]string, error) {
	if err := t.free(ctx); err != nil {
		return nil, err
	}
	defer t.restore(ctx)
	switch p.Kind {
	case payment.PrintReceipt:
		n := invoiceOf(p.Of)
		who, ok := merchantOf(payment.Request{Merchant: p.Merchant}, t.settings.Merchant)
		if n == 0 || !ok {
			return nil, errors.New("this payment has no receipt")
		}
		if err := t.done(ctx, "ReqReceiptByInv", n, who); err != nil {
			return nil, err
		}
		return t.paper(ctx)
	case payment.PrintTotals:
		return t.printed(ctx, "PrintBatchTotals", 0)
	case payment.PrintReconciliation:
		return t.printed(ctx, "PrintLastSettleCopy", 0)
	case payment.PrintJournal:
		return t.printed(ctx, "PrintBatchJournal", 0)
	case payment.PrintDocument:
		return nil, t.document(ctx, p.Document)
	}
	return nil, link.ErrUnsupported
}

// done puts a question whose answer has to be "done".
func (t *terminal) done(ctx context.Context, method string, args ...any) error {
	a, err := t.ask(ctx, method, args...)
	if err == nil && a.result != resultDone {
		err = fmt.Errorf("%s: %w", method, a.err())
	}
	return err
}

func (t *terminal) printed(ctx context.Context, method string, args ...any) ([]string, error) {
	if err := t.done(ctx, method, args...); err != nil {
		return nil, err
	}
	return t.slip(ctx), nil
}

// document sends a file to be printed. A text is written into one of our own,
// which only a bridge on this machine can read.
func (t *terminal) document(ctx context.Context, doc string) error {
	if filepath.IsAbs(doc) || len(doc) > 2 && doc[1] == ':' {
		kind := fileReceipt
		if strings.EqualFold(filepath.Ext(doc), ".bmp") {
			kind = fileBMP
		}
		return t.done(ctx, "SendFile", doc, kind, filePrint)
	}
	if !t.local {
		return fmt.Errorf("%w: the bridge is on another machine: give the path of a file there", link.ErrUnsupported)
	}
	text, err := bridge.Encode1251(doc)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp("", "tillgate-print-*.txt")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return t.done(ctx, "SendFile", f.Name(), fileReceipt, fileOnce)
}
