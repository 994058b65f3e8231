package ssi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

// The methods of the document (chapter 2) and of later firmware that are sent.
const (
	mPurchase    = "Purchase"
	mVoid        = "Void"
	mPartialVoid = "PartialVoid"
	mRefund      = "Refund"
	mCash        = "Cash"
	mDeposit     = "Deposit"
	mPreauth     = "Preauthorization"
	mSalePreauth = "SalePreauth"
	mVoidPreauth = "VoidPreauth"
	mCashBack    = "CashBack"
	mBalance     = "Balance"
	mEcho        = "Echo"

	mZReport = "ZReport"
	mXReport = "XReport"

	mGetStatus         = "GetStatus"
	mInterrupt         = "Interrupt"
	mRestart           = "Restart"
	mRestartPaymentApp = "RestartPaymentApp" // Android only

	mGetLastResult        = "GetLastResult"
	mGetResultByUid       = "GetResultByUid" // 1.2.6
	mGetLastReceipt       = "GetLastReceipt"
	mGetLastReport        = "GetLastReport"
	mGetLastReportReceipt = "GetLastReportReceipt"
	mGetMerchantList      = "GetMerchantList"
	mGetTerminalInfo      = "GetTerminalInfo"
	mPingDevice           = "PingDevice"
	mPrintXml             = "PrintXml"    // Android only
	mPrintPdfUrl          = "PrintPdfUrl" // Android only

	methodUnknown = "Unknown" // of an answer to a request whose method could not be read (5.1)
)

// request is one message to the terminal. All its values are strings, except
// isDetailReport, which is a boolean (4.3.2).
type request struct {
	Method string         `json:"method"`
	Step   string         `json:"step,omitempty"`
	Params *requestParams `json:"params,omitempty"`
}

type requestParams struct {
	TransAmount      string `json:"transAmount,omitempty"`
	CashAmount       string `json:"cashAmount,omitempty"`
	EndAmount        string `json:"endAmount,omitempty"`
	TransCurrency    string `json:"transCurrency,omitempty"`
	RRN              string `json:"rrn,omitempty"`
	AuthCode         string `json:"authCode,omitempty"`
	InvoiceNum       string `json:"invoiceNum,omitempty"`
	MerchantID       string `json:"merchantId,omitempty"`
	TerminalID       string `json:"terminalId,omitempty"`
	DiscountedAmount string `json:"discountedAmount,omitempty"`
	TransactionUid   string `json:"transactionUid,omitempty"`
	IsDetailReport   *bool  `json:"isDetailReport,omitempty"`
	LRC              string `json:"lrc,omitempty"` // of Receipt
	FontStyle        string `json:"fontStyle,omitempty"`
	Receipt          string `json:"receipt,omitempty"` // PrintXml: what to print
	URL              string `json:"url,omitempty"`
}

// encode writes the JSON of a request as it is: '&', '<' and '>' are not
// escaped, since nobody knows whether a terminal would read that.
func (r request) encode() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// answers says whether a can be the answer to r. Some firmware leaves the
// method out; a request that could not be read is answered with "Unknown", or
// without a method, and an error.
func (r request) answers(a answer) bool {
	if a.Method == "" || strings.EqualFold(string(a.Method), methodUnknown) {
		return a.Method == "" || a.failed()
	}
	return strings.EqualFold(string(a.Method), r.Method)
}

// request writes tx down in the terminal's language.
func (t *terminal) request(tx payment.Transaction) (request, error) {
	s := t.settings
	if err := check(s, tx.Request); err != nil {
		return request{}, err
	}
	if !tx.Amount.IsZero() && tx.Amount.Currency != t.currency {
		return request{}, fmt.Errorf("the terminal takes %s", t.currency)
	}
	uid := s.uid(tx.Attempt)
	if uid == "" && s.UID != UIDOff || !plain(uid) {
		return request{}, errors.New("the attempt has no id that can be sent")
	}
	switch tx.Operation {
	case payment.Reversal:
		return t.reversalOf(tx, uid)
	case payment.Reconciliation:
		return t.reportRequest(mZReport, tx.Merchant, false), nil
	}
	return t.withCard(tx, uid)
}

// methods are the commands that name an amount, and Balance.
var methods = map[payment.Operation]string{
	payment.Purchase: mPurchase, payment.Refund: mRefund, payment.CashAdvance: mCash, payment.Deposit: mDeposit,
	payment.Preauthorization: mPreauth, payment.Completion: mSalePreauth, payment.Balance: mBalance,
}

func (t *terminal) withCard(tx payment.Transaction, uid string) (request, error) {
	s := t.settings
	p := &requestParams{TransAmount: digits(tx.Amount.Minor), TransactionUid: uid}
	currency := tx.Amount.Currency
	if tx.Operation == payment.Balance {
		p.TransAmount, currency = "", t.currency
	}
	var ok bool
	if p.TransCurrency, ok = payment.CurrencyNumber(currency); !ok {
		return request{}, errors.New("the amount has no currency of ISO 4217")
	}
	p.MerchantID, p.TerminalID = t.merchantOf(tx)
	r := request{Method: t.method(tx), Params: p}
	switch tx.Operation {
	case payment.Refund:
		if p.RRN = tx.Original.RRN; p.RRN == "" {
			return request{}, errors.New("the original has no RRN, which a refund needs")
		}
	case payment.Completion:
		p.TransAmount, p.EndAmount = digits(tx.Original.Amount.Minor), p.TransAmount
		p.RRN, p.AuthCode = tx.Original.RRN, tx.Original.Auth
	case payment.Purchase:
		if !tx.Cashback.IsZero() {
			p.CashAmount = digits(tx.Cashback.Minor)
			if s.Cashback == CashbackBeside {
				p.TransAmount = digits(tx.Amount.Minor - tx.Cashback.Minor)
			}
			break
		}
		r.Step = map[string]string{StepsOne: "0", StepsTwo: "1"}[s.Steps]
		if n := s.discounted(tx.Amount.Minor); n > 0 {
			p.DiscountedAmount = digits(n)
		}
	}
	return r, nil
}

// merchantOf is for whom tx is made. What belongs to an earlier payment is made
// for the merchant of that one, where the terminal has to be told at all.
func (t *terminal) merchantOf(tx payment.Transaction) (mid, tid string) {
	o := tx.Original
	if tx.Merchant == "" && o.MID != "" && t.settings.MerchantID != "" && plain(o.MID) && plain(o.TID) {
		mid = o.MID
		if t.settings.TerminalID != "" {
			tid = o.TID
		}
		return mid, tid
	}
	return t.settings.merchant(tx.Merchant)
}
