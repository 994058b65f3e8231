package bridge

// Kind is the type of an argument or a property, with the type of COM and of C
// that it has in the library.
type Kind int

const (
	Byte   Kind = iota // UI1, unsigned char: 0 to 255
	Number             // UI4, int: 0 to 2147483647, since the C interface has int
	Bool               // VARIANT_BOOL, bool
	Text               // BSTR, char* in Windows-1251
	Data               // SAFEARRAY of bytes; base64 on the line
)

func (k Kind) String() string { return [...]string{"byte", "number", "bool", "text", "data"}[k] }

// MaxNumber bounds a [Number].
const MaxNumber = 1<<31 - 1

// Arg is one argument of a method.
type Arg struct {
	Name string // the guide's
	Kind Kind
	Max  int // bytes of a text, in Windows-1251
}

// Method is one method of the library.
type Method struct {
	Name string // the guide's spelling; COM does not care about case
	Args []Arg

	// Terminal says that the terminal works on it: LastResult is 2 until it is done.
	Terminal bool

	// NoC says that the C interface does not have it.
	NoC bool

	// Refused is why the bridge does not call it, if it does not.
	Refused string
}

// Property is one property of the library.
type Property struct {
	Name    string
	Kind    Kind
	Max     int    // bytes of a text or of data
	C       string // its name in the C interface, if that is not Name
	NoC     bool   // the C interface does not have it
	CNumber bool   // a text here, and a number in the C interface
	Masked  bool   // a card number: its last four digits are given
	Refused string // why the bridge does not give it
}

// Bounds of the guide; where it has none, of this package.
const (
	maxText        = 1024   // of a property without a bound in the guide
	maxDescription = 100    // LastErrorDescription, LastStatMsgDescription
	maxReceipt     = 32648  // Receipt
	maxDataFile    = 204800 // DataFile
	maxScenario    = 1200   // StartScenario, and ScenarioData
)

const (
	cardData  = "card data of a payment card: nothing in Tillgate may hold it"
	cardReads = "reads a card outside a payment, and gives its data to the cash desk: nothing in Tillgate may hold it"
	removed   = "removed from the library in 2013 (guide, version 1.10); SetControlMode does it"
)

var (
	merchant  = Arg{Name: "bMerchIdx", Kind: Byte}
	amount    = Arg{Name: "ulAmount", Kind: Number}
	addAmount = Arg{Name: "ulAddAmount", Kind: Number}
	invoice   = Arg{Name: "ulInvoiceNum", Kind: Number}
	rrn       = Arg{Name: "bsRRN", Kind: Text, Max: 32}
	currency  = Arg{Name: "bsCurrCode", Kind: Text, Max: 3}
	account   = Arg{Name: "bAccNumber", Kind: Byte}
)

func number(name string) Arg         { return Arg{Name: name, Kind: Number} }
func octet(name string) Arg          { return Arg{Name: name, Kind: Byte} }
func text(name string, most int) Arg { return Arg{Name: name, Kind: Text, Max: most} }

// Methods lists the methods of the library, those of the guide's table of
// contents in its order.
func Methods() []Method {
	op := func(name string, args ...Arg) Method { return Method{Name: name, Args: args, Terminal: true} }
	local := func(name string, args ...Arg) Method { return Method{Name: name, Args: args} }
	return []Method{
		// CommOpen takes "1", which COM is given as the number of a COM port, or
		// the path of a device, which the C interface is given.
		local("CommOpen", text("bPort", 256), number("lBaudRate")),
		local("CommOpenTCP", text("bsIP", 64), text("bsPort", 5)),
		local("CommOpenAuto", number("lBaudRate")),
		local("CommClose"),
		op("CheckConnection", merchant),
		op("Purchase", amount, addAmount, merchant),
		op("Refund", amount, addAmount, merchant, rrn),
		op("Void", invoice, merchant),
		op("Balance", merchant, currency, account),
		op("Deposit", merchant, amount, currency, account),
		op("CashAdvance", merchant, amount, currency, account),
		op("Completion", merchant, amount, rrn, invoice),
		{Name: "ReadCard", Refused: cardReads},
		{Name: "ReadBankCard", Refused: cardReads},
		op("PurchaseService", merchant, amount, text("bsServiceParams", 256)),
		op("IdentifyCard", merchant, currency, account),
		op("POSGetInfo"),
		op("POSExTransaction"),
		op("Settlement", merchant),
		op("PrintBatchTotals", merchant),
		op("PrintLastSettleCopy", merchant),
		op("PrintBatchJournal", merchant),
		op("GetBatchTotals", merchant),
		op("GetTxnDataByInv", invoice, merchant),
		op("GetTxnNum"),
		op("GetTxnDataByOrder", number("ulOrderNum")),
		op("ReqCurrReceipt"),
		op("ReqReceiptByInv", invoice, merchant),
		op("Confirm"),
		op("SelectApp", text("bsAppName", 15), number("ulAppIdx")),
		op("CloseApp"),
		op("StartScenario", number("ulScenarioID"), text("bsScenarioData", maxScenario)),
		local("SetExtraPrintData", text("bsExtraPrintData", 1024)),
		local("SetExtraXmlData", text("bsExtraXmlData", 512)),
		local("SetErrorLang", octet("bErrLanguage")),
		op("SendFile", text("bsFullPath", 1024), octet("bECRDataType"), octet("bECRCommand")),
		local("CorrectTransaction", amount, addAmount),
		local("useLogging", octet("bLoggingLevel"), text("bsFilePath", 1024)),
		local("UseMac", octet("macType"), text("bsKey", 128)),
		local("Cancel"),
		op("Ping"),
		local("CheckTerminal"),
		op("ReqDataFile"),
		{Name: "EnterControlMode", Refused: removed, NoC: true},
		{Name: "ExitControlMode", Refused: removed, NoC: true},
		op("SetControlMode", Arg{Name: "isCtrlMode", Kind: Bool}),
		op("ReadKey", octet("bTimeOut")),
		op("DisplayText", octet("bBeep")),
		local("SetLine", octet("bRow"), octet("bCol"), text("bsText", 128), octet("bInvert")),
		op("SetScreen", number("ulScreenNumber")),
		op("ExchangeStatuses", octet("bECRStatus")),
	}
}

// Properties lists the properties of the library, in the guide's order.
func Properties() []Property {
	b := func(name string) Property { return Property{Name: name, Kind: Byte} }
	n := func(name string) Property { return Property{Name: name, Kind: Number} }
	t := func(name string, most int) Property { return Property{Name: name, Kind: Text, Max: most} }
	return []Property{
		b("LastResult"), b("LastErrorCode"), t("LastErrorDescription", maxDescription),
		b("LastStatMsgCode"), t("LastStatMsgDescription", maxDescription),
		n("ResponseCode"), t("Receipt", maxReceipt), t("LibraryVersion", maxText),
		{Name: "DataFile", Kind: Data, Max: maxDataFile},
		{Name: "PAN", Kind: Text, Max: maxText, Masked: true},
		{Name: "PanHash", Kind: Text, Refused: cardData},
		b("SlipPrinted"),
		{Name: "DateTime", Kind: Text, Max: 12, NoC: true},
		t("TerminalID", maxText), t("MerchantID", maxText), t("AuthCode", maxText),
		n("Amount"), n("AddAmount"), b("TxnType"), b("EntryMode"), t("emvAID", maxText),
		{Name: "ExpDate", Kind: Text, Refused: cardData},
		{Name: "CardHolder", Kind: Text, Refused: cardData},
		{Name: "IssuerName", Kind: Text, Max: maxText, C: "IssueName"},
		n("InvoiceNum"),
		{Name: "CompletionInvoiceNum", Kind: Number, NoC: true},
		t("RRN", maxText), b("SignVerif"),
		{Name: "Track3", Kind: Text, Refused: cardData},
		t("AddData", maxText),
		{Name: "CryptedData", Kind: Text, Refused: cardData},
		{Name: "ExtraCardData", Kind: Text, Refused: cardData},
		t("TerminalInfo", maxText), t("DiscountName", maxText),
		// A number in the type library of 2015 and in the C interface, a text in the
		// guide: given as a text.
		{Name: "DiscountAttribute", Kind: Text, Max: maxText, CNumber: true},
		t("ECRDataTM", maxText), b("TrnStatus"), t("Currency", maxText), n("TrnBatchNum"), t("RNK", maxText), t("CurrencyCode", maxText),
		n("FlagAcquirer"),
		n("TotalsDebitAmt"), n("TotalsDebitNum"), n("TotalsCreditAmt"), n("TotalsCreditNum"), n("TotalsCancelledAmt"), n("TotalsCancelledNum"),
		n("TxnNum"), t("ScenarioData", maxScenario), b("Key"), b("TermStatus"),
	}
}

// FindMethod finds a method by its exact name.
func FindMethod(name string) (Method, bool) {
	for _, m := range Methods() {
		if m.Name == name {
			return m, true
		}
	}
	return Method{}, false
}

// FindProperty finds a property by its exact name.
func FindProperty(name string) (Property, bool) {
	for _, p := range Properties() {
		if p.Name == name {
			return p, true
		}
	}
	return Property{}, false
}
