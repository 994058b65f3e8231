package cli

import (
	"fmt"
	"maps"
	"os/signal"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"time"

	"tillgate/internal/discover"
	"tillgate/internal/payment"
	"tillgate/internal/uevent"
	"tillgate/link"
	"tillgate/serialio"
)

type discoverCmd struct {
	JSON      bool `name:"json" xor:"form" help:"Print what was found as JSON, one a line; with --follow, what is pulled out with \"gone\": true."`
	All       bool `help:"Show USB devices that are certainly no terminal, too."`
	Follow    bool `help:"Go on, and tell what is plugged in and pulled out."`
	UdevRules bool `name:"udev-rules" xor:"form" help:"Print the udev rules for card terminals instead."`
}

func (discoverCmd) Help() string {
	return `Serial ports and USB devices, what they probably are, who has them open, and
the lines for the configuration. Nothing is opened: whether a terminal
answers, and to which protocol, is for 'tillgate doctor' to find out.

    tillgate discover
    tillgate discover --follow      # plug it in and see
    tillgate discover --json
    tillgate discover --udev-rules | sudo tee /etc/udev/rules.d/` + discover.RulesFile
}

func (d *discoverCmd) Run(a *app) error {
	if d.UdevRules {
		fmt.Fprint(a.Out, discover.Rules())
		return nil
	}
	found := discover.Scan("/", d.All)
	for _, f := range found {
		d.show(a, f)
	}
	if !d.JSON {
		d.summary(a, found)
	}
	if d.Follow {
		return d.follow(a, found)
	}
	return nil
}

func (d *discoverCmd) summary(a *app, found []discover.Found) {
	for _, t := range discover.Troubles("/", found) {
		fmt.Fprintf(a.Out, "! %s\n  -> %s\n", t.What, t.Next)
	}
	if len(found) == 0 {
		fmt.Fprintln(a.Out, "No serial port and no USB device that may be a terminal. Is the cable in, and the terminal on?\nSome are in a charging or HID mode until their menu says COM, CDC or ECR. To see all devices: tillgate discover --all")
		return
	}
	fmt.Fprint(a.Out, "\nLines for the configuration:\n\n", lines(a.drivers, found[0].Address))
}

// lines are those of a configuration for a terminal at an address. Who drives it is
// not known: they are good as they stand, and say what goes with each driver.
func lines(all []link.Driver, address string) string {
	text := fmt.Sprintf(`terminals:
  - name: front
    driver: %s   # what the terminal speaks: %s
    address: %s%s
    currency: %s   # what it works in; usual: %s
    max_amount: "5000000"
`, all[0].Name, strings.Join(protocols(all), ", "), address, speedsOf(all, address), all[0].Currency, currenciesOf(all))
	for _, d := range all {
		if d.KeySetting != "" {
			text += fmt.Sprintf("    #profile: {%s: /etc/tillgate/front.key}   # with %s\n", d.KeySetting, d.Name)
		}
	}
	return text
}

// currenciesOf says which currency is usual for which driver.
func currenciesOf(all []link.Driver) string {
	by := map[string][]string{}
	for _, d := range all {
		if d.Open != nil {
			by[d.Currency] = append(by[d.Currency], d.Name)
		}
	}
	return each(by)
}

func each(by map[string][]string) string {
	var said []string
	for _, what := range slices.Sorted(maps.Keys(by)) {
		said = append(said, what+" for "+strings.Join(by[what], ", "))
	}
	return strings.Join(said, "; ")
}

// protocols names the drivers of terminals.
func protocols(all []link.Driver) (found []string) {
	for _, d := range all {
		if d.Open != nil {
			found = append(found, d.Name)
		}
	}
	return found
}

// speedsOf says how drivers set the line of a serial address.
func speedsOf(all []link.Driver, address string) string {
	by := map[string][]string{}
	for _, d := range all {
		if a, err := d.Address(address); err == nil && d.Open != nil && a.Line() != "" {
			by[a.Line()] = append(by[a.Line()], d.Name)
		}
	}
	if len(by) == 0 {
		return ""
	}
	return "   # " + each(by) + "; for another speed: ?baud="
}

// show prints one.
func (d *discoverCmd) show(a *app, f discover.Found) {
	if d.JSON {
		_ = asJSON(a.Out, f)
		return
	}
	where := f.Path
	if where == "" {
		where = "USB " + f.USB.Port
	}
	fmt.Fprintf(a.Out, "%s  %s\n", where, payment.Printable(f.What))
	if f.Terminal {
		fmt.Fprintln(a.Out, "    known as a card terminal")
	}
	if u := f.USB; u != nil {
		serial := "no serial number"
		if u.Serial != "" {
			serial = "serial number " + payment.Printable(u.Serial)
		}
		fmt.Fprintf(a.Out, "    USB %s at %s, %s\n", u.ID, u.Port, serial)
	}
	fmt.Fprintf(a.Out, "    address: %s\n", f.Address)
	if f.Direct != "" {
		fmt.Fprintf(a.Out, "    without the kernel's driver: %s\n", f.Direct)
	}
	for _, h := range serialio.Holders(f.Path) {
		fmt.Fprintf(a.Out, "    open in %v\n", h)
	}
	for _, n := range f.Notes {
		fmt.Fprintf(a.Out, "    ! %s\n", n)
	}
}

// follow tells what changes, until Ctrl-C.
func (d *discoverCmd) follow(a *app, before []discover.Found) error {
	ctx, stop := signal.NotifyContext(a.ctx, syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	l, err := uevent.Listen()
	if err != nil {
		return err
	}
	look := func() {
		now := discover.Scan("/", d.All)
		for _, f := range without(before, now) {
			if d.JSON {
				_ = asJSON(a.Out, gone{f, true})
			} else {
				fmt.Fprintf(a.Out, "- %s is gone\n", payment.Printable(f.Address))
			}
		}
		for _, f := range without(now, before) {
			d.show(a, f)
		}
		before = now
	}
	look() // what has changed before anybody listened
	if !d.JSON {
		fmt.Fprintln(a.Err, "Waiting for plugs; Ctrl-C ends it.")
	}
	return l.Follow(ctx, 200*time.Millisecond, func(burst []uevent.Event, lost bool) {
		if lost || slices.ContainsFunc(burst, func(e uevent.Event) bool { return e.Subsystem == "tty" || e.Subsystem == "usb" }) {
			look()
		}
	})
}

// gone is what was found before, for programs.
type gone struct {
	discover.Found
	Gone bool `json:"gone"`
}

// without lists those of a that are not in b.
func without(a, b []discover.Found) (out []discover.Found) {
	for _, x := range a {
		seen := false
		for _, y := range b {
			seen = seen || reflect.DeepEqual(x, y)
		}
		if !seen {
			out = append(out, x)
		}
	}
	return out
}
