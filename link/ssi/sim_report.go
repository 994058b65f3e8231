package ssi

import (
	"fmt"
	"strconv"
	"strings"

	"tillgate/link/simulate"
)

// sum is a report as the terminal remembers it.
type sum struct {
	Z      bool   `json:"z"`
	Batch  int    `json:"batch"`
	Detail bool   `json:"detail"`
	Rows   []slip `json:"rows"`
	Voids  []slip `json:"voids"`
}

// sumUp makes a report of the open batch, of one merchant or of all.
func (s *Simulator) sumUp(c command) *sum {
	merchant := strings.TrimSpace(c.Params.MerchantID)
	r := &sum{Z: c.Method == mZReport, Batch: s.state.Batch, Detail: c.Params.IsDetailReport != nil && *c.Params.IsDetailReport}
	for i, p := range s.state.Slips {
		switch {
		case p.Closed || p.Used || merchant != "" && strings.TrimSpace(p.MID) != merchant:
		case s.state.Entries[i].Reversed:
			r.Voids = append(r.Voids, p)
		default:
			r.Rows = append(r.Rows, p)
		}
	}
	return r
}

// makeReport is an X report. It does not touch the result buffer.
func (s *Simulator) makeReport(c command) reply {
	if code, _ := s.wrongMerchant(c); code != "" {
		return refuse(c.Method, code)
	}
	s.state.Report = s.sumUp(c)
	s.fault(simulate.Save(s.file, &s.state))
	return ok(c.Method, map[string]any{})
}

// total counts the rows of the methods.
func (r *sum) total(rows []slip, methods ...string) (count, amount string) {
	n, m := 0, int64(0)
	for _, p := range rows {
		for _, method := range methods {
			if method == "" || p.Trn == method {
				n++
				m += p.Amount
			}
		}
	}
	return strconv.Itoa(n), strconv.FormatInt(m, 10)
}

func (s *Simulator) tellReport() reply {
	r := s.state.Report
	if r == nil {
		return refuse(mGetLastReport, "E20")
	}
	params := map[string]any{"responseCode": "", "isBatchEmpty": len(r.Rows) == 0, "batchNumber": six(r.Batch)}
	params["totalSaleCount"], params["totalSaleAmount"] = r.total(r.Rows, mPurchase, mCashBack)
	for name, method := range map[string]string{"FinAuth": mSalePreauth, "Refund": mRefund, "Cash": mCash, "Payment": mDeposit} {
		params["total"+name+"Count"], params["total"+name+"Amount"] = r.total(r.Rows, method)
	}
	params["totalVoidCount"], params["totalVoidAmount"] = r.total(r.Voids, "")
	if r.Detail {
		rows := []any{}
		for _, p := range r.Rows {
			date, clock, _ := strings.Cut(p.Time, " ")
			rows = append(rows, map[string]any{
				"originalTrnName": p.Trn, "transAmount": strconv.FormatInt(p.Amount, 10), "authCode": p.Auth, "date": date, "time": clock,
				"invoiceNum": six(p.Invoice), "pan": "4725XXXXXXXX1627", "responseCode": p.Response, "rrn": p.RRN, "binName": "VISA",
			})
		}
		params["transactions"] = rows
	}
	return ok(mGetLastReport, params)
}

// tellReceipt hands a receipt over: text, or on some Android terminals images.
func (s *Simulator) tellReceipt(c command) reply {
	var lines []string
	switch r, p := s.state.Report, s.state.Last; {
	case c.Method == mGetLastReceipt && p != nil:
		lines = []string{"      BANK ACQUIRER", p.Trn, "MERCHANT " + strings.TrimSpace(p.MID) + "  TERMINAL " + p.TID, p.Time, "CARD 4725XXXXXXXX1627",
			"AMOUNT " + strconv.FormatInt(p.Amount, 10), "RRN " + p.RRN + "  AUTH " + p.Auth, "RECEIPT " + six(p.Invoice), p.Result}
	case c.Method == mGetLastReportReceipt && r != nil:
		title := "X REPORT"
		if r.Z {
			title = "Z REPORT"
		}
		lines = []string{title, "BATCH " + six(r.Batch), fmt.Sprintf("%d OPERATIONS, %d VOIDED", len(r.Rows), len(r.Voids))}
	default:
		return refuse(c.Method, "E20")
	}
	if s.mood.images {
		return ok(c.Method, map[string]any{"receipt": []any{map[string]any{"type": "DynamicImageItem", "image": "89504e470d0a1a0a"}}})
	}
	return ok(c.Method, map[string]any{"receipt": strings.Join(lines, "\r\n")})
}
