package ssi

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Print hands over what the terminal would print, or has it print a document.
// Driven by a till the terminal prints nothing by itself: the till is given the
// text.
//
//	receipt         GetLastReceipt, of the last operation only
//	totals          XReport, then GetLastReportReceipt
//	journal         XReport in detail, then GetLastReport
//	reconciliation  GetLastReportReceipt, while a Z report is the last one
//	document        PrintPdfUrl for an address, else PrintXml; Android only
func (t *terminal) Print(ctx context.Context, p link.Printout) ([]string, error) {
	switch p.Kind {
	case payment.PrintReceipt:
		return t.receiptOf(ctx, p.Of)
	case payment.PrintTotals:
		if _, err := t.xReport(ctx, "", false); err != nil {
			return nil, err
		}
		return t.reportReceipt(ctx)
	case payment.PrintJournal:
		return t.journal(ctx)
	case payment.PrintReconciliation:
		if t.xLast {
			return nil, fmt.Errorf("%w: it keeps its last report only, which is one of the open batch by now", link.ErrUnsupported)
		}
		return t.reportReceipt(ctx)
	case payment.PrintDocument:
		return nil, t.document(ctx, p.Document)
	}
	return nil, link.ErrUnsupported
}

// receiptOf is the receipt of the last operation, which must be the one that is
// asked for: the terminal keeps no other.
func (t *terminal) receiptOf(ctx context.Context, of payment.Reference) ([]string, error) {
	last, err := t.last(ctx)
	if err != nil {
		return nil, err
	}
	r := last.Params.result
	if of.RRN != "" && of.RRN != string(r.RRN) || of.Receipt != "" && !sameNumber(of.Receipt, string(r.Invoice)) {
		return nil, fmt.Errorf("%w: it keeps the receipt of its last operation only, and this is another one; the journal has the lines of each", link.ErrUnsupported)
	}
	a, err := t.tell(ctx, request{Method: mGetLastReceipt})
	if err != nil {
		return nil, err
	}
	if a.Params.Receipt.images { // made from the fields
		return receipt(r, payment.Outcome{Amount: t.money(r.Amount), Card: payment.Card{PAN: r.PAN.PAN, Entry: entryModes[spelled(r.Entry)]}}), nil
	}
	return paperOf(a)
}

func (t *terminal) reportReceipt(ctx context.Context) ([]string, error) {
	a, err := t.tell(ctx, request{Method: mGetLastReportReceipt})
	if err != nil {
		return nil, err
	}
	return paperOf(a)
}

func paperOf(a answer) ([]string, error) {
	switch p := a.Params.Receipt; {
	case p.images:
		return nil, fmt.Errorf("%w: it hands it over as an image", link.ErrUnsupported)
	case len(p.lines) == 0:
		return nil, errors.New("the terminal keeps no receipt")
	default:
		return p.lines, nil
	}
}

// journal lists the payments of the open batch, one in a line.
func (t *terminal) journal(ctx context.Context) ([]string, error) {
	p, err := t.xReport(ctx, "", true)
	if err != nil {
		return nil, err
	}
	lines := []string{fmt.Sprintf("batch %s, %d operations", payment.Word(string(p.Batch)), len(p.Rows))}
	for _, r := range p.Rows[:min(len(p.Rows), maxLines)] {
		line := fmt.Sprintf("%s  %s  %s  receipt %s  RRN %s  %s %s", r.when(), strings.ToUpper(string(r.Trn)), t.money(r.Amount), r.Invoice, r.RRN, r.PAN, r.Bin)
		lines = append(lines, strings.TrimSpace(line))
	}
	if more := len(p.Rows) - maxLines; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return lines, nil
}

// document has the terminal print something of the shop's own: the PDF behind an
// address, XML in the terminal's notation (5.5.7), or plain text.
func (t *terminal) document(ctx context.Context, text string) error {
	if err := t.known(ctx); err != nil {
		return err
	}
	if t.identity.linux {
		return fmt.Errorf("%w: only Android terminals print documents", link.ErrUnsupported)
	}
	r := request{Method: mPrintXml, Params: &requestParams{FontStyle: t.settings.Font}}
	if u, err := url.Parse(text); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		r = request{Method: mPrintPdfUrl, Params: &requestParams{URL: text}}
	} else {
		r.Params.Receipt = markup(text)
		if r.Params.LRC = hexLRC(r.Params.Receipt); t.settings.PrintLRC == LRCDecimal {
			r.Params.LRC = decimalLRC(r.Params.Receipt)
		}
	}
	if data, err := r.encode(); err != nil || len(data) > maxData {
		return fmt.Errorf("print a document: it has more than %d bytes", maxData)
	}
	a, err := t.ask(ctx, r)
	switch {
	case err != nil:
		return err
	case a.code() == "E05":
		return fmt.Errorf("%w: it does not know %s", link.ErrUnsupported, r.Method)
	case a.failed():
		return &refusedError{r.Method, a.code(), a.why()}
	}
	return nil
}

// markup is text in the terminal's notation, each line of it as it stands there.
func markup(text string) string {
	if strings.HasPrefix(strings.TrimSpace(text), "<") {
		return text
	}
	var b strings.Builder
	b.WriteString("<receipt>")
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			line = " "
		}
		b.WriteString(`<text align="left" size="normal" weight="normal" darkness="normal">`)
		if xml.EscapeText(&b, []byte(line)) != nil {
			return ""
		}
		b.WriteString("</text>")
	}
	return b.String() + "</receipt>"
}

// The check byte of what PrintXml prints. The document has "26" and does not say
// which of the two that is (5.5.7).
func hexLRC(text string) string     { return fmt.Sprintf("%02x", lrc([]byte(text))) }
func decimalLRC(text string) string { return fmt.Sprint(lrc([]byte(text))) }
