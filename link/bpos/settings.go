package bpos

import (
	"encoding/xml"
	"fmt"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"tillgate/internal/payment"
	"tillgate/link/bpos/bridge"
)

// Settings is the profile of one terminal. They are made by [Driver]; the zero
// value is not valid.
type Settings struct {
	// Bridge is the bridge program that is started here, and Library the vendor's
	// library that it loads: absolute paths. The terminal's address is then the
	// port that the library opens: serial (with ?baud= only) or tcp. Without Bridge
	// the address is where a bridge listens, and Port what the library opens there.
	Bridge  string `yaml:"bridge" json:"bridge,omitempty"`
	Library string `yaml:"library" json:"library,omitempty"`

	// Port is what the library opens where the bridge is on another machine:
	// "COM3", "auto" for the first port with a terminal, or "192.168.2.33:2000".
	Port string `yaml:"port" json:"port,omitempty"`

	// Baud is the speed of a serial port that Port names, or "auto" searches with.
	Baud int `yaml:"baud" json:"baud,omitempty"`

	// Merchant is the index of the merchant that sells, from 1; 0 where the bank
	// has "Bonus+" switched on. A request may name another.
	Merchant int `yaml:"merchant" json:"merchant"`

	// Keypad is "open", or "locked" where nobody can sell on the terminal by hand.
	// Only then a new record in its journal with our operation and amount counts
	// as ours, since a record names no request.
	Keypad string `yaml:"keypad" json:"keypad,omitempty"`

	// Signature is what becomes of a sale for which the customer has to sign
	// (SignVerif 1): "reverse", since nobody looks at a signature at a kiosk, or
	// "accept".
	Signature string `yaml:"signature" json:"signature,omitempty"`

	// ConfirmRefund says whether this terminal's application wants a refund
	// confirmed: "some applications" do (guide, Refund).
	ConfirmRefund bool `yaml:"confirm_refund" json:"confirm_refund"`

	// ConfirmWithin is how long a payment may wait for its goods before it is
	// confirmed. The guide does not say how long the terminal waits.
	ConfirmWithin time.Duration `yaml:"confirm_within" json:"confirm_within,omitempty"`

	// ConfirmWait is how long the terminal waits for Confirm at the most, before it
	// takes an approval back. Until then what it shows as approved is not believed.
	ConfirmWait time.Duration `yaml:"confirm_wait" json:"confirm_wait,omitempty"`

	// Discounts are percentages by DiscountName, for cards of which the terminal
	// says at status 11 that they have one: "CLUB": 5. Other cards pay in full.
	Discounts map[string]int `yaml:"discounts" json:"discounts,omitempty"`

	// Language is that of the library's messages: "en", "uk" or "ru".
	Language string `yaml:"language" json:"language,omitempty"`

	// ExtraPrint and ExtraXML go to the terminal before each operation but a
	// reversal; {id}, {order} and {amount} are replaced.
	ExtraPrint string `yaml:"extra_print" json:"extra_print,omitempty"`
	ExtraXML   string `yaml:"extra_xml" json:"extra_xml,omitempty"`

	// Application is selected after opening, if it is not "": name and index as
	// the bank tells them, "TE7E/12555".
	Application string `yaml:"application" json:"application,omitempty"`

	// Scenario is what a card acquisition runs instead of IdentifyCard: the
	// scenario's number on the terminal, and its XML, with {id} and {order}.
	Scenario     int    `yaml:"scenario" json:"scenario,omitempty"`
	ScenarioData string `yaml:"scenario_data" json:"scenario_data,omitempty"`

	// Unattended says that the terminal is of the unattended kind (iUN, SELF):
	// its status is exchanged at each heartbeat. Lines are shown while it is idle,
	// or Screen, the number of a stored one. Set the terminal's heartbeat to 10s:
	// after 15 it shows that the ECR is not connected.
	Unattended bool     `yaml:"unattended" json:"unattended,omitempty"`
	Lines      []string `yaml:"lines" json:"lines,omitempty"`
	Screen     int      `yaml:"screen" json:"screen,omitempty"`

	// MACKeyFile has the key of UseMac in hex, absolute, readable by its owner and
	// group only; "" is none.
	MACKeyFile string `yaml:"mac_key_file" json:"mac_key_file,omitempty"`

	// Poll is how often the library is asked how far the terminal is, QueryTimeout
	// how long the bridge may take to answer, and the terminal to answer a question.
	Poll         time.Duration `yaml:"poll" json:"poll,omitempty"`
	QueryTimeout time.Duration `yaml:"query_timeout" json:"query_timeout,omitempty"`

	// CheckAfter is how long a running operation may show the same status before
	// the library is told to look whether the terminal is still there; 0 is never.
	CheckAfter time.Duration `yaml:"check_after" json:"check_after,omitempty"`
}

// Values of [Settings].
const (
	KeypadOpen       = "open"
	KeypadLocked     = "locked"
	SignatureReverse = "reverse"
	SignatureAccept  = "accept"
	PortAuto         = "auto"
)

// languages of SetErrorLang.
var languages = map[string]int{"en": 0, "uk": 1, "ru": 2}

func defaults() *Settings {
	return &Settings{
		Baud: 115200, Merchant: 1, Keypad: KeypadOpen, Signature: SignatureReverse, ConfirmRefund: true, ConfirmWithin: 15 * time.Second, ConfirmWait: 2 * time.Minute,
		Language: "en", Poll: 250 * time.Millisecond, QueryTimeout: 10 * time.Second, CheckAfter: 20 * time.Second,
	}
}

var (
	comPort     = regexp.MustCompile(`^COM([1-9][0-9]{0,2})$`)
	tcpPort     = regexp.MustCompile(`^([0-9A-Za-z.-]{1,64}):([0-9]{1,5})$`)
	application = regexp.MustCompile(`^([!-.0-~]{1,15})/([0-9]{1,9})$`)
)

// Validate returns nil or a [payment.Invalid] with every reason at once.
func (s *Settings) Validate() error {
	var v payment.Invalid
	check := func(ok bool, field, format string, a ...any) {
		if !ok {
			v = append(v, payment.Problem{Field: field, Text: fmt.Sprintf(format, a...)})
		}
	}
	check(s.Bridge == "" || filepath.IsAbs(s.Bridge), "bridge", "must be an absolute path of the bridge program, as `make bridge` builds it")
	check(s.Library == "" || filepath.IsAbs(s.Library), "library", "must be an absolute path of the vendor's libBPOSLib.so")
	check((s.Library != "") == (s.Bridge != ""), "library", "goes with bridge: both, or neither where the bridge is on another machine")
	check(s.Port == "" || s.Bridge == "", "port", "is for a bridge on another machine; with bridge the terminal's address is the port")
	check(s.Port == "" || s.Port == PortAuto || comNumber(s.Port) > 0 || tcpPort.MatchString(s.Port), "port", "must be COM1 to COM255, auto, or host:port")
	check(s.Baud >= 1200 && s.Baud <= 4_000_000, "baud", "must be between 1200 and 4000000")
	check(s.Merchant >= 0 && s.Merchant <= 255, "merchant", "must be between 0 and 255")
	check(s.Keypad == KeypadOpen || s.Keypad == KeypadLocked, "keypad", "must be open or locked")
	check(s.Signature == SignatureReverse || s.Signature == SignatureAccept, "signature", "must be reverse or accept")
	check(s.ConfirmWithin >= 0 && s.ConfirmWithin <= 5*time.Minute, "confirm_within", "must be between 0 and 5m")
	check(len(s.Discounts) <= 32, "discounts", "has at most 32 names")
	for name, percent := range s.Discounts {
		check(name != "" && percent > 0 && percent < 100, "discounts", "must be names with percentages from 1 to 99")
	}
	check(s.ConfirmWait >= s.ConfirmWithin && s.ConfirmWait <= time.Hour, "confirm_wait", "must be at least confirm_within, and at most 1h")
	_, known := languages[s.Language]
	check(known, "language", "must be en, uk or ru")
	checkText := func(field, text string, most int) {
		b, err := bridge.Encode1251(text)
		check(err == nil && len(b) <= most, field, "must have at most %d characters of Windows-1251", most)
	}
	checkText("extra_print", s.ExtraPrint, maxExtraPrint)
	checkText("extra_xml", s.ExtraXML, maxExtraXML)
	checkText("scenario_data", s.ScenarioData, maxScenario)
	check(s.Scenario >= 0 && s.Scenario <= bridge.MaxNumber, "scenario", "must be between 0 and %d", bridge.MaxNumber)
	check(s.Application == "" || application.MatchString(s.Application), "application", "must be a name of up to 15 characters, a slash and a number: TE7E/12555")
	check(s.Unattended || len(s.Lines) == 0 && s.Screen == 0, "unattended", "must be true for lines and screen")
	check(len(s.Lines) <= 16, "lines", "has at most 16")
	for _, l := range s.Lines {
		checkText("lines", l, 128)
	}
	check(s.Screen >= 0 && s.Screen <= bridge.MaxNumber, "screen", "must be between 0 and %d", bridge.MaxNumber)
	check(s.MACKeyFile == "" || filepath.IsAbs(s.MACKeyFile), "mac_key_file", "must be an absolute path")
	check(s.Poll >= 50*time.Millisecond && s.Poll <= 5*time.Second, "poll", "must be between 50ms and 5s")
	check(s.QueryTimeout >= time.Second && s.QueryTimeout <= time.Minute, "query_timeout", "must be between 1s and 1m")
	check(s.CheckAfter == 0 || s.CheckAfter >= time.Second && s.CheckAfter <= 5*time.Minute, "check_after", "must be 0, or between 1s and 5m")
	if len(v) == 0 {
		return nil
	}
	return v
}

// comNumber is the number of a COM port, 0 if it is none.
func comNumber(port string) int {
	m := comPort.FindStringSubmatch(port)
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1])
	if n > 255 {
		return 0
	}
	return n
}

// Bounds of the texts that go to the terminal, in bytes of Windows-1251 (guide).
const (
	maxExtraPrint = 1024
	maxExtraXML   = 512
	maxScenario   = 1200
)

// fill replaces what a text of the profile may name. A character that Windows-1251
// does not have becomes a question mark, so that one is a byte.
func fill(text string, r payment.Request, written func(string) string) []rune {
	text = strings.NewReplacer("{id}", written(string(r.ID)), "{order}", written(r.Order), "{amount}", r.Amount.Decimal()).Replace(text)
	filled := make([]rune, 0, len(text))
	for _, c := range text {
		if _, err := bridge.Encode1251(string(c)); err != nil {
			c = '?'
		}
		filled = append(filled, c)
	}
	return filled
}

// extraPrint is the profile's text for the slip, cut to what the terminal takes.
func (s *Settings) extraPrint(r payment.Request) string {
	text := fill(s.ExtraPrint, r, func(v string) string { return v })
	return string(text[:min(len(text), maxExtraPrint)])
}

// extraXML and scenarioData are the profile's XML. Half of it would be none: ok is
// false if it is longer than the terminal takes.
func (s *Settings) extraXML(r payment.Request) (text string, ok bool) {
	xml := fill(s.ExtraXML, r, inXML)
	return string(xml), len(xml) <= maxExtraXML
}

func (s *Settings) scenarioData(r payment.Request) (text string, ok bool) {
	xml := fill(s.ScenarioData, r, inXML)
	return string(xml), len(xml) <= maxScenario
}

// inXML writes a value so that it is text in XML, whatever is in it.
func inXML(value string) string {
	var b strings.Builder
	if xml.EscapeText(&b, []byte(value)) != nil {
		return "" // a builder takes everything
	}
	return b.String()
}
