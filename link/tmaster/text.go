package tmaster

import (
	"fmt"
	"strconv"
	"strings"
)

// CardNumber, Scheme and the rest of the only card that is ever presented.
const (
	CardNumber = "4731XXXXXXXX9838"
	Scheme     = "VISA"
	Issuer     = "VISA ПРИВАТ"
	EntryChip  = 2 // EntryMode of the guide: an EMV chip
	AID        = "A0000000031010"
)

func (s Slip) title() string {
	switch {
	case s.Status == StatusDeclined:
		return "в І Д Х И Л Е Н О"
	case s.Status == StatusCanceled:
		return "СКАСОВАНО"
	case s.Operation == Void || s.Operation == VoidPartly:
		return "СКАСУВАННЯ"
	case s.Operation == Refund:
		return "ПОВЕРНЕННЯ"
	}
	return "ОПЛАТА"
}

// Print is the text of a receipt, with line feeds, in UTF-8.
func (t *Terminal) Print(s Slip) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\nСУМА %s %s\n", s.title(), decimal(s.Amount), t.unit())
	if s.Discount > 0 {
		fmt.Fprintf(&b, "ЗНИЖКА %s %s\n", decimal(s.Discount), t.unit())
	}
	if s.Cash > 0 {
		fmt.Fprintf(&b, "ГОТІВКА %s %s\n", decimal(s.Cash), t.unit())
	}
	fmt.Fprintf(&b, "%s XXXXXXXXXXXX9838\nТЕРМІНАЛ %s\n%s\nКОД АВТОРИЗАЦІЇ: %s\nЧЕК N: %s\nRRN: %s", Scheme, t.TID(), s.At.Format("02.01.2006 15:04:05"), s.Auth, six(s.Invoice), s.RRN)
	return b.String()
}

// report is the text of an X or Z report of the open batch.
func (t *Terminal) report(title string) string {
	sum := t.totals()
	text := fmt.Sprintf("[ %s ]\nТЕРМ. %s В:%s\nОПЛАТА %d %s %s\nПОВЕРНЕННЯ %d %s %s\nСКАСОВАНО %d %s %s",
		title, t.tid(), six(t.state.Batch+1), sum.DebitNum, decimal(sum.DebitAmt), t.unit(), sum.CreditNum, decimal(sum.CreditAmt), t.unit(),
		sum.CancelledNum, decimal(sum.CancelledAmt), t.unit())
	if title[0] == 'Z' {
		text += "\nПІДСУМКИ ВИЛУЧЕНІ"
	}
	return text
}

func (t *Terminal) unit() string {
	if t.cfg.Currency == "UAH" {
		return "ГРН"
	}
	return t.cfg.Currency
}

// decimal writes minor units with their two decimals.
func decimal(minor int64) string { return fmt.Sprintf("%d.%02d", minor/100, minor%100) }

func six(n int) string {
	s := strconv.Itoa(n)
	return "000000"[:max(0, 6-len(s))] + s
}
