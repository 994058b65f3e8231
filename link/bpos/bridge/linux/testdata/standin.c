// Stand-in for the vendor's libBPOSLib.so, written for the tests: the same
// exported names and prototypes, and behind them a line of text for each call to
// a test, which has the simulated terminal. It is not the library's wire, which is
// the maker's secret.
//
//	name TAB argument TAB ...   numbers in decimal, texts in hex
//	number TAB text in hex      what the function returns, and writes
//
// CommOpenTCP connects to an address, CommOpen to a Unix socket. SetScreen 666
// crashes, 667 never returns, 668 prints on standard output.
#define _GNU_SOURCE
#include <netdb.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

typedef unsigned char byte;

enum { NOT_OPENED = 5, FAILED_TO_OPEN = 2, FAILED_TO_ENUMERATE = 3, RECEIVE = 12 };

static FILE *to, *from;
static int initialised;

static int opened(int fd) {
	if (fd < 0) return FAILED_TO_OPEN;
	from = fdopen(fd, "r");
	to = fdopen(dup(fd), "w");
	return 0;
}

static void hex(const char *s) {
	for (; *s; s++) fprintf(to, "%02x", (byte)*s);
}

// Sends one call, and reads the number and, if text is not null, the text.
static int ask(char *text, const char *name, const char *kinds, ...) {
	static char line[1 << 20];
	va_list args;
	int number = 0, n = 0;
	char *data;
	if (!initialised) return 6;
	if (!to) return NOT_OPENED;
	fputs(name, to);
	va_start(args, kinds);
	for (; *kinds; kinds++) {
		fputc('\t', to);
		if (*kinds == 's') hex(va_arg(args, char *));
		else fprintf(to, "%d", va_arg(args, int));
	}
	va_end(args);
	fputc('\n', to);
	fflush(to);
	if (!fgets(line, sizeof line, from)) return RECEIVE;
	number = atoi(line);
	data = strchr(line, '\t');
	if (!text) return number;
	for (; data && sscanf(data + 1 + 2 * n, "%2hhx", (byte *)text + n) == 1; n++);
	text[n] = 0;
	return number;
}

int BPOSLib_InitializeBPOS() { initialised = 1; return 0; }
int BPOSLib_UninitializeBPOS() { initialised = 0; return 0; }

int BPOSLib_CommOpenTCP(const char *host, const char *port) {
	struct addrinfo *list, want = {.ai_socktype = SOCK_STREAM};
	int fd = -1;
	if (getaddrinfo(host, port, &want, &list)) return FAILED_TO_OPEN;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen)) { close(fd); fd = -1; }
	freeaddrinfo(list);
	int code = opened(fd);
	return code ? code : ask(0, "CommOpenTCP", "ss", host, port);
}

int BPOSLib_CommOpen(const char *device, int baud) {
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(a.sun_path, sizeof a.sun_path, "%s", device);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a)) { close(fd); fd = -1; }
	int code = opened(fd);
	return code ? code : ask(0, "CommOpen", "si", device, baud);
}

int BPOSLib_CommOpenAuto(int baud) { return baud ? FAILED_TO_ENUMERATE : FAILED_TO_OPEN; }

int BPOSLib_CommClose() {
	if (to) { fclose(to); fclose(from); }
	to = from = 0;
	return 0;
}

int BPOSLib_SetScreen(int n) {
	if (n == 666) *(volatile int *)0 = n;
	if (n == 667) for (;;) pause();
	if (n == 668) { printf("{\"id\":1,\"code\":0}\nnoise\n"); fflush(stdout); }
	return ask(0, "SetScreen", "i", n);
}

byte BPOSLib_LastErrorCode() { return to ? (byte)ask(0, "LastErrorCode", "") : 2; }

#define METHOD0(name) int BPOSLib_##name() { return ask(0, #name, ""); }
#define METHOD1(name, k0, t0) int BPOSLib_##name(t0 a) { return ask(0, #name, k0, a); }
#define METHOD2(name, k, t0, t1) int BPOSLib_##name(t0 a, t1 b) { return ask(0, #name, k, a, b); }
#define METHOD3(name, k, t0, t1, t2) int BPOSLib_##name(t0 a, t1 b, t2 c) { return ask(0, #name, k, a, b, c); }
#define METHOD4(name, k, t0, t1, t2, t3) int BPOSLib_##name(t0 a, t1 b, t2 c, t3 d) { return ask(0, #name, k, a, b, c, d); }
#define BYTE(name) byte BPOSLib_##name() { return (byte)ask(0, #name, ""); }
#define NUMBER(name) int BPOSLib_##name() { return ask(0, #name, ""); }
#define TEXT(name) int BPOSLib_##name(char *to) { return ask(to, #name, ""); }

int BPOSLib_LibraryVersion(char *to) { strcpy(to, "stand-in"); return 0; }

METHOD0(Confirm) METHOD0(Cancel) METHOD0(GetTxnNum) METHOD0(ReqCurrReceipt) METHOD0(POSGetInfo) METHOD0(POSExTransaction) METHOD0(CloseApp)
METHOD0(Ping) METHOD0(CheckTerminal) METHOD0(ReqDataFile) METHOD0(ReadCard) METHOD0(ReadBankCard)
METHOD1(Settlement, "b", byte) METHOD1(PrintBatchTotals, "b", byte) METHOD1(PrintLastSettleCopy, "b", byte) METHOD1(PrintBatchJournal, "b", byte)
METHOD1(GetBatchTotals, "b", byte) METHOD1(CheckConnection, "b", byte) METHOD1(SetErrorLang, "b", byte) METHOD1(ReadKey, "b", byte)
METHOD1(DisplayText, "b", byte) METHOD1(ExchangeStatuses, "b", byte) METHOD1(GetTxnDataByOrder, "i", int) METHOD1(SetControlMode, "b", bool)
METHOD1(SetExtraPrintData, "s", char *) METHOD1(SetExtraXmlData, "s", char *)
METHOD2(Void, "ib", int, byte) METHOD2(GetTxnDataByInv, "ib", int, byte) METHOD2(ReqReceiptByInv, "ib", int, byte)
METHOD2(CorrectTransaction, "ii", int, int) METHOD2(SelectApp, "si", char *, int) METHOD2(StartScenario, "is", int, char *)
METHOD2(useLogging, "bs", byte, char *) METHOD2(UseMac, "bs", byte, char *)
METHOD3(Purchase, "iib", int, int, byte) METHOD3(PurchaseService, "bis", byte, int, char *) METHOD3(IdentifyCard, "bsb", byte, char *, byte)
METHOD3(Balance, "bsb", byte, char *, byte) METHOD3(SendFile, "sbb", char *, byte, byte)
METHOD4(Refund, "iibs", int, int, byte, char *) METHOD4(Deposit, "bisb", byte, int, char *, byte) METHOD4(CashAdvance, "bisb", byte, int, char *, byte)
METHOD4(Completion, "bisi", byte, int, char *, int) METHOD4(SetLine, "bbsb", byte, byte, char *, byte)
BYTE(LastResult) BYTE(LastStatMsgCode) BYTE(SlipPrinted) BYTE(TxnType) BYTE(EntryMode) BYTE(SignVerif) BYTE(TrnStatus) BYTE(Key) BYTE(TermStatus)
NUMBER(ResponseCode) NUMBER(Amount) NUMBER(AddAmount) NUMBER(InvoiceNum) NUMBER(TrnBatchNum) NUMBER(FlagAcquirer) NUMBER(TxnNum) NUMBER(DiscountAttribute)
NUMBER(TotalsDebitAmt) NUMBER(TotalsDebitNum) NUMBER(TotalsCreditAmt) NUMBER(TotalsCreditNum) NUMBER(TotalsCancelledAmt) NUMBER(TotalsCancelledNum)
TEXT(LastErrorDescription) TEXT(LastStatMsgDescription) TEXT(Receipt) TEXT(PAN) TEXT(PanHash) TEXT(TerminalID) TEXT(MerchantID)
TEXT(AuthCode) TEXT(emvAID) TEXT(ExpDate) TEXT(CardHolder) TEXT(IssueName) TEXT(RRN) TEXT(Track3) TEXT(AddData) TEXT(CryptedData) TEXT(ExtraCardData)
TEXT(TerminalInfo) TEXT(DiscountName) TEXT(ECRDataTM) TEXT(Currency) TEXT(RNK) TEXT(CurrencyCode) TEXT(ScenarioData) TEXT(DataFile)
