package bpos

import (
	"context"
	"strings"

	"tillgate/internal/payment"
)

const (
	maxLines = 160 // lines of a receipt that are kept
	maxWidth = 160 // bytes of a line: 48 characters of Cyrillic and some
)

// slip reads the receipt of the operation that was just done, of a decline too,
// or nil if there is none.
func (t *terminal) slip(ctx context.Context) []string {
	if a, err := t.ask(ctx, "ReqCurrReceipt"); err != nil || a.result != resultDone {
		return nil
	}
	lines, err := t.paper(ctx)
	if err != nil {
		return nil
	}
	return lines
}

// paper reads the property Receipt.
func (t *terminal) paper(ctx context.Context) ([]string, error) {
	v, err := t.get(ctx, "Receipt", "RRN")
	if err != nil {
		return nil, err
	}
	return receiptLines(v.Text("Receipt"), strings.TrimSpace(v.Text("RRN"))), nil
}

// receiptLines are what the terminal would print. Card numbers that it did not
// mask are masked here; known is a number that is none.
func receiptLines(text, known string) []string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n \x00"), "\n") {
		if len(lines) == maxLines {
			break
		}
		lines = append(lines, payment.Clip(strings.TrimRight(payment.Printable(payment.MaskNumbers(line, known)), " "), maxWidth))
	}
	if len(lines) == 1 && lines[0] == "" {
		return nil
	}
	return lines
}
