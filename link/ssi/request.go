package ssi

import (
	"bytes"
	"encoding/json"
	"strings"
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
