package config_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"tillgate/internal/config"
)

// problemsOf are those of a box whose terminals have these addresses and further
// settings.
func problemsOf(t *testing.T, terminals ...string) string {
	t.Helper()
	text := "box: kiosk-1\nterminals:\n"
	for i, more := range terminals {
		text += fmt.Sprintf("  - {name: t%d, driver: plain, currency: VND, max_amount: 1, %s}\n", i, more)
	}
	_, err := config.Parse("box.yaml", []byte(text), drivers())
	if err == nil {
		return ""
	}
	if _, ok := errors.AsType[config.Problems](err); !ok {
		t.Fatal(err)
	}
	return err.Error()
}

// A step that a terminal's address cannot have, or that would reach another
// terminal, is refused before it is wanted.
func TestRecoverySteps(t *testing.T) {
	const relay = `recovery: {steps: [relay]}`
	for _, c := range []struct {
		terminals []string
		want      string // "" is none
	}{
		{[]string{`address: "/dev/ttyUSB0?power=GPIO27&reset=GPIO22", recovery: {steps: [drain, rebind, usb-reset, hub-power, reset, relay, restart-app, restart], usb_port: "1-1.4"}`}, ""},
		{[]string{`address: "usb:079b:0028", recovery: {steps: [drain, usb-reset]}`}, ""},
		{[]string{`address: "tcp://127.0.0.1:1", recovery: {steps: [drain, restart]}`}, ""},
		{[]string{`address: "tcp://127.0.0.1:1", recovery: {steps: []}`}, ""},
		{[]string{`address: "/dev/ttyUSB0", recovery: {steps: [usbreset]}`}, `did you mean usb-reset?`},
		{[]string{`address: "/dev/ttyUSB0", recovery: {steps: [drain, drain]}`}, "drain is there twice"},
		{[]string{`address: "http://127.0.0.1:1", recovery: {steps: [drain]}`}, "drain is for a line of bytes"},
		{[]string{`address: "tcp://127.0.0.1:1", recovery: {steps: [usb-reset]}`}, "usb-reset is for a terminal at a serial or usb address"},
		{[]string{`address: "/dev/ttyUSB0", ` + relay}, "relay needs the GPIO line"},
		{[]string{`address: "/dev/ttyUSB0", recovery: {steps: [reset]}`}, "reset needs the GPIO line"},
		{[]string{`address: "/dev/ttyUSB0", recovery: {usb_port: "usb1"}`}, "is not a port like 1-1.4"},
		{[]string{`address: "/dev/ttyUSB0", recovery: {after: 9s}`}, "must be between 10s and"},
		{[]string{`address: "/dev/ttyUSB0", recovery: {every: 25h}`}, "must be between 10s and"},
		{[]string{`address: "/dev/ttyUSB0", recovery: {power_off: 2m}`}, "must be between 100ms and"},
		{[]string{`address: "/dev/ttyUSB0", recovery: {per_day: 0}`}, "must be between 1 and 100"},
		{[]string{`address: "/dev/ttyUSB0?power=GPIO27", ` + relay, `address: "/dev/ttyUSB1?power=GPIO17"`}, ""},
		{[]string{`address: "/dev/ttyUSB0?power=GPIO27", ` + relay, `address: "/dev/ttyUSB1?power=!GPIO27"`}, "relay would reach terminals[1] (\"t1\") too"},
		{[]string{`address: "/dev/ttyUSB0?power=GPIO27"`, `address: "/dev/ttyUSB1?power=GPIO27", ` + relay}, "relay would reach terminals[0] (\"t0\") too"},
		{[]string{`address: "/dev/ttyUSB0?reset=GPIO27", recovery: {steps: [reset]}`, `address: "/dev/ttyUSB1?reset=GPIO27"`}, "reset would reach terminals[1]"},
		{[]string{`address: "/dev/ttyUSB0?power=GPIO27", device: one, ` + relay, `address: "/dev/ttyUSB1?power=GPIO27", device: one`}, ""},
	} {
		got := problemsOf(t, c.terminals...)
		if !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%v: got %q, want %q", c.terminals, got, c.want)
		}
	}
}
