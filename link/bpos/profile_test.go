package bpos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/bpos/bridge"
)

func TestSettings(t *testing.T) {
	if err := defaults().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	for field, edits := range map[string][]func(*Settings){
		"bridge":         {func(s *Settings) { s.Bridge, s.Library = "bridge", "/lib" }},
		"library":        {func(s *Settings) { s.Library = "/lib" }, func(s *Settings) { s.Bridge = "/bridge" }, func(s *Settings) { s.Bridge, s.Library = "/bridge", "lib" }},
		"port":           {func(s *Settings) { s.Port = "COM0" }, func(s *Settings) { s.Port = "COM256" }, func(s *Settings) { s.Port = "/dev/ttyS0" }, func(s *Settings) { s.Port, s.Bridge, s.Library = "COM3", "/b", "/l" }},
		"baud":           {func(s *Settings) { s.Baud = 0 }},
		"merchant":       {func(s *Settings) { s.Merchant = 256 }, func(s *Settings) { s.Merchant = -1 }},
		"keypad":         {func(s *Settings) { s.Keypad = "" }},
		"signature":      {func(s *Settings) { s.Signature = "look" }},
		"confirm_within": {func(s *Settings) { s.ConfirmWithin = time.Hour }},
		"confirm_wait":   {func(s *Settings) { s.ConfirmWait = 2 * time.Hour }, func(s *Settings) { s.ConfirmWait = time.Second }},
		"discounts":      {func(s *Settings) { s.Discounts = map[string]int{"A": 100} }, func(s *Settings) { s.Discounts = map[string]int{"": 5} }},
		"language":       {func(s *Settings) { s.Language = "de" }},
		"extra_print":    {func(s *Settings) { s.ExtraPrint = strings.Repeat("x", 1025) }, func(s *Settings) { s.ExtraPrint = "漢" }},
		"extra_xml":      {func(s *Settings) { s.ExtraXML = strings.Repeat("x", 513) }},
		"application":    {func(s *Settings) { s.Application = "TE7E" }, func(s *Settings) { s.Application = "0123456789ABCDEF/1" }},
		"scenario":       {func(s *Settings) { s.Scenario = -1 }},
		"scenario_data":  {func(s *Settings) { s.ScenarioData = strings.Repeat("x", 1201) }},
		"unattended":     {func(s *Settings) { s.Lines = []string{"x"} }, func(s *Settings) { s.Screen = 1 }},
		"lines":          {func(s *Settings) { s.Unattended, s.Lines = true, make([]string, 17) }, func(s *Settings) { s.Unattended, s.Lines = true, []string{strings.Repeat("x", 129)} }},
		"screen":         {func(s *Settings) { s.Unattended, s.Screen = true, -1 }},
		"mac_key_file":   {func(s *Settings) { s.MACKeyFile = "key" }},
		"poll":           {func(s *Settings) { s.Poll = 0 }},
		"query_timeout":  {func(s *Settings) { s.QueryTimeout = 0 }},
		"check_after":    {func(s *Settings) { s.CheckAfter = time.Millisecond }},
	} {
		for i, edit := range edits {
			s := defaults()
			edit(s)
			if err := s.Validate(); err == nil || !strings.Contains(err.Error(), field+" ") {
				t.Errorf("%s %d: got %v", field, i, err)
			}
		}
	}
	for _, s := range []func(*Settings){
		func(s *Settings) { s.Bridge, s.Library = "/b", "/l" }, func(s *Settings) { s.Port = "COM12" }, func(s *Settings) { s.Port = "192.168.2.33:2000" },
		func(s *Settings) { s.Port, s.Merchant = "auto", 0 }, func(s *Settings) { s.Application = "TE7E/12555" },
		func(s *Settings) { s.Unattended, s.Lines, s.Screen = true, []string{"Вітаємо"}, 3 },
	} {
		good := defaults()
		s(good)
		if err := good.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// What the library is told to open.
func TestPort(t *testing.T) {
	for _, c := range []struct {
		address, port string
		here          bool
		want          string // "" is an error
	}{
		{"serial:///dev/ttyACM0", "", true, "CommOpen[/dev/ttyACM0 115200]"}, {"/dev/serial/by-id/usb-SAGEM?baud=9600", "", true, "CommOpen[/dev/serial/by-id/usb-SAGEM 9600]"},
		{"tcp://192.168.2.33:2000", "", true, "CommOpenTCP[192.168.2.33 2000]"},
		{"tcp://10.0.0.5:7171", "COM3", false, "CommOpen[3 115200]"}, {"tcp://10.0.0.5:7171", "192.168.2.33:2000", false, "CommOpenTCP[192.168.2.33 2000]"},
		{"tcp://10.0.0.5:7171", "auto", false, "CommOpenAuto[115200]"}, {"tcp://10.0.0.5:7171", "", false, "CommOpenAuto[115200]"},
		{"sim://bpos", "", true, "CommOpenAuto[115200]"},
		{"/dev/ttyACM0?parity=even", "", true, ""}, {"usb:0b00:0080", "", true, ""}, {"http://10.0.0.5", "", true, ""}, {"nonsense", "", true, ""},
	} {
		s := defaults()
		s.Port = c.port
		if c.here {
			s.Bridge, s.Library = "/b", "/l"
		}
		p, err := portOf(s, c.address)
		if got := fmt.Sprint(p.method, p.args); (err == nil) != (c.want != "") || err == nil && got != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.address, got, err, c.want)
		}
	}
}

// The key of UseMac is read from a file that others cannot read, and is never
// shown.
func TestMACKey(t *testing.T) {
	const key = "00112233445566778899aabbccddeeff"
	file := filepath.Join(t.TempDir(), "key")
	for _, c := range []struct {
		text string
		mode os.FileMode
		want string // in the error; "" is none
	}{{key + "\n", 0o640, ""}, {key, 0o644, "chmod"}, {"not hex", 0o600, "hex digits"}, {key[1:], 0o600, "hex digits"}} {
		os.Remove(file)
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(file, c.mode); err != nil {
			t.Fatal(err)
		}
		got, err := readKey(file)
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), strings.TrimSpace(c.text))) {
			t.Errorf("%q: got %q, %v", c.text, got, err)
		}
	}
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o600); err != nil {
		t.Fatal(err)
	}
	inWorld(t, nil, func(s *Settings) { s.MACKeyFile = file }, func(t *testing.T, w *world) {
		var told string
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, args []any) (int, bool, error) {
				if method == "UseMac" {
					told = fmt.Sprint(args)
				}
				return 0, false, nil
			}}
		}
		w.open()
		if told != "[0 "+key+"]" {
			t.Errorf("UseMac%s", told)
		}
	})
	var b bytes.Buffer
	if err := Explain(&b, []byte(`{"id":1,"call":"UseMac","args":[0,"`+key+`"]}`)); err != nil || strings.Contains(b.String(), key) {
		t.Errorf("explained as %s, %v", b.String(), err)
	}
}

// TestCodes compares the tables with those of the guide.
func TestCodes(t *testing.T) {
	raw, err := os.ReadFile("testdata/codes.json")
	if err != nil {
		t.Fatal(err)
	}
	var guide struct {
		LastStatMsgCode       map[string]string
		ResponseCode_terminal map[string]string
		TxnType, EntryMode    map[string]string
		TrnStatus, LastResult map[string]string
		LastErrorCode         map[string]string
		TerminalInfo_samples  []string
	}
	if err := json.Unmarshal(raw, &guide); err != nil {
		t.Fatal(err)
	}
	number := func(s string) int64 { n, _ := strconv.ParseInt(s, 10, 64); return n }
	for code := range guide.LastStatMsgCode {
		if _, ok := statuses[number(code)]; !ok {
			t.Errorf("LastStatMsgCode %s is not known", code)
		}
	}
	if len(statuses) != len(guide.LastStatMsgCode) || statuses[6].stage != payment.StagePIN || statuses[4].stage != "" {
		t.Error("PIN is 6, and 4 waits for a key")
	}
	for code := range guide.ResponseCode_terminal {
		if _, ok := terminalCodes[number(code)]; !ok {
			t.Errorf("ResponseCode %s is not known", code)
		}
	}
	for code := range guide.EntryMode {
		if _, ok := entryModes[number(code)]; !ok && code != "0" {
			t.Errorf("EntryMode %s is not known", code)
		}
	}
	for name, want := range map[string]int{"TrnStatus": len(guide.TrnStatus), "LastResult": len(guide.LastResult) + 2, "LastErrorCode": len(guide.LastErrorCode) + 1} {
		if want != 5 {
			t.Errorf("%s: the guide has another table", name)
		}
	}
	for op, code := range map[payment.Operation]string{
		payment.Purchase: "Purchase", payment.Refund: "Refund", payment.Reversal: "Void", payment.Completion: "Completion", payment.Deposit: "Deposit", payment.CashAdvance: "CashAdvance",
	} {
		if got := guide.TxnType[strconv.FormatInt(typeOf(op), 10)]; got != code {
			t.Errorf("%s is TxnType %q, want %s", op, got, code)
		}
	}
	for i, want := range []string{"0000005100CT20221154", "S1HA0TEP00CT71631274"} {
		if got := identityOf(guide.TerminalInfo_samples[i]); got != want {
			t.Errorf("identity: got %q, want %q", got, want)
		}
	}
	if got := softwareOf(guide.TerminalInfo_samples[0]); got != "TE7E118" {
		t.Errorf("software: got %q", got)
	}
	if got := identityOf("one word"); got != "word" {
		t.Errorf("got %q", got)
	}
}

// TestLibraryLog does what a library did in the field with a terminal that was
// not there: Purchase was accepted, and six seconds later the library had no
// acknowledgement. The log also has the order of the arguments.
func TestLibraryLog(t *testing.T) {
	log, err := os.ReadFile("testdata/library.log")
	if err != nil {
		t.Fatal(err)
	}
	text := string(log)
	var order []string
	for _, m := range regexp.MustCompile(`call Purchase\(\)\s+[^\n]*?(\w+): 120\s[^\n]*?(\w+): 0\s[^\n]*?(\w+): 1\s`).FindAllStringSubmatch(strings.ReplaceAll(text, "\n", " "), 1) {
		order = m[1:]
	}
	m, _ := bridge.FindMethod("Purchase")
	for i, a := range m.Args {
		if len(order) != 3 || !strings.HasSuffix(strings.ToLower(a.Name), strings.ToLower(order[i])) {
			t.Errorf("argument %d is %s, the log has %v", i, a.Name, order)
		}
	}
	stamp := regexp.MustCompile(`29/10/2024 (\d\d:\d\d:\d\d) 2598 (sending message|error: ACK = 0)`).FindAllStringSubmatch(text, -1)
	if len(stamp) < 2 {
		t.Fatal("the log has no exchange")
	}
	from, _ := time.Parse(time.TimeOnly, stamp[0][1])
	to, _ := time.Parse(time.TimeOnly, stamp[1][1])
	if to.Sub(from) != 6*time.Second {
		t.Errorf("the library waited %v", to.Sub(from))
	}
	inWorld(t, nil, nil, func(t *testing.T, w *world) {
		var began time.Time
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, call: func(method string, _ []any) (int, bool, error) {
				if method == "Purchase" {
					began = time.Now()
					return 0, true, nil
				}
				return 0, false, nil
			}, get: func(name string, v any) any {
				late := time.Since(began) >= to.Sub(from)
				switch {
				case began.IsZero():
				case name == "LastResult" && !late:
					return int64(resultWorking)
				case name == "LastResult":
					return int64(resultError)
				case name == "LastErrorCode":
					return int64(faultLink)
				}
				return v
			}}
		}
		w.open()
		tx := w.sale(120)
		if o, err := w.term.Execute(t.Context(), tx, link.Dialogue{}); err == nil || !link.Sent(err) || time.Since(began) < 6*time.Second {
			t.Errorf("got %+v, %v", o, err)
		}
	})
}

// Card data does not come out of the bridge, of receipts, or of what is explained.
func TestCardData(t *testing.T) {
	const pan, track = "4731171122229838", "4731171122229838=20201011234"
	inWorld(t, []string{"approve"}, func(s *Settings) { s.ExtraPrint = "CARD " + pan + "\x1b[2J" }, func(t *testing.T, w *world) {
		w.wrap = func(l bridge.Library) bridge.Library {
			return altered{Library: l, get: func(name string, v any) any {
				if name == "PAN" {
					return pan
				}
				return v
			}}
		}
		w.open()
		_, o := w.mustSell(100)
		all := fmt.Sprintf("%+v", o)
		if strings.Contains(all, pan) || strings.Contains(all, "\x1b") || !strings.Contains(all, "9838") || o.Card.PAN.Last4() != "9838" {
			t.Errorf("got %s", all)
		}
	})
	var b bytes.Buffer
	Explain(&b, []byte(`{"id":1,"values":{"Receipt":"CARD `+track+`","PAN":"`+pan+`"}}`))
	if strings.Contains(b.String(), pan) || strings.Contains(b.String(), "12341122") {
		t.Errorf("explained as %s", b.String())
	}
}

func FuzzExplain(f *testing.F) {
	for _, b := range subject().Valid {
		f.Add(b)
	}
	for _, b := range subject().Invalid {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { Explain(io.Discard, b) })
}

// What is explained is said in words: a person reads it.
func TestExplain(t *testing.T) {
	var b bytes.Buffer
	err := Explain(&b, []byte(`{"id":2,"code":7}
{"id":3,"values":{"LastErrorCode":4,"LastResult":1,"ResponseCode":1004,"TrnStatus":4,"TxnType":1,"EntryMode":3,"TermStatus":14,"LastStatMsgCode":6,"RRN":null,"DataFile":"AQID","Amount":99}}
{"id":4,"call":"Confirm"}
{"id":5,"get":["Track3"]}`))
	for _, want := range []string{
		"7 (BUSY): nothing was sent", "4 (the terminal's error: ResponseCode)", "1 (error)", "1004 (no connection with the host; doubtful)", "4 (canceled)", "1 (purchase)",
		"3 (contactless)", "14 (the batch has to be closed)", "6 (PIN entry is needed)", "(the library has it not)", "3 bytes", "Amount                 99\n", "commit point",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing in\n%s", want, b.String())
		}
	}
	if err == nil || !strings.Contains(err.Error(), "line 4") {
		t.Errorf("got %v", err)
	}
}
