package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"tillgate/internal/control"
	"tillgate/internal/payment"
)

// firstLookCmd is run once in the life of a box, as root, after the gateway has
// been started for the first time.
type firstLookCmd struct {
	Dir  string        `help:"Folder that keeps the result, for the gateway to tell." default:"/var/lib/tillgate-firmware" placeholder:"DIR"`
	Wait time.Duration `help:"How long the terminals are waited for." default:"60s" placeholder:"TIME"`
}

func (firstLookCmd) Help() string {
	return `It looks at the box as doctor does, says what it finds, and keeps it: the
gateway publishes it as the event gateway.first-look.

A box without settings is told about, and looked at again at the next boot.`
}

// firstLook is the data of gateway.first-look.
type firstLook struct {
	At       time.Time `json:"at"`
	OK       bool      `json:"ok"` // nothing bad was found
	Findings []finding `json:"findings"`
}

// firstLookFile is where the result is kept, for everybody to read.
const firstLookFile = "first-look.json"

// Bounds of what is kept, and published.
const (
	maxFindings    = 64
	maxFindingText = 400 // bytes of one text
)

func (c *firstLookCmd) Run(a *app) error {
	fmt.Fprintln(a.Out, "tillgate: a first look at this box")
	c.await(a)
	look := firstLook{At: time.Now().UTC().Truncate(time.Second), OK: true}
	a.examine(func(f finding) {
		f.print(a.Out)
		look.OK = look.OK && f.Level != bad
		if len(look.Findings) < maxFindings {
			look.Findings = append(look.Findings, finding{f.Check, f.Level, payment.Clip(f.Tried, maxFindingText), payment.Clip(f.Found, maxFindingText), payment.Clip(f.Next, maxFindingText)})
		}
	}, false)
	if look.OK {
		fmt.Fprintln(a.Out, "tillgate: this box is in order")
	} else {
		fmt.Fprintln(a.Out, "tillgate: this box needs a hand; look again with `tillgate doctor`")
	}
	if missing(a.table.Config) {
		return nil
	}
	b, err := json.Marshal(look)
	if err != nil {
		return err
	}
	file := filepath.Join(c.Dir, firstLookFile)
	if err := replace(file, b, 0o644); err != nil {
		return fmt.Errorf("keep the first look: %w", err)
	}
	return nil
}

// await waits until a terminal can sell: that is what people want to see. Whatever
// keeps it from that is found afterwards.
func (c *firstLookCmd) await(a *app) {
	for end := time.Now().Add(c.Wait); time.Now().Before(end) && !missing(a.table.Config); {
		if client, err := control.Dial(a.configuredSocket()); err == nil {
			s, err := client.Status(a.ctx)
			client.Close()
			if err == nil && s.Sellable {
				return
			}
		}
		select {
		case <-a.ctx.Done():
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (f finding) print(w io.Writer) {
	fmt.Fprintf(w, "%-8s %s: %s: %s\n", f.Level, f.Check, f.Tried, payment.Printable(f.Found))
	if f.Next != "" {
		fmt.Fprintf(w, "         -> %s\n", f.Next)
	}
}

// announceLook tells once what the first look at the box has found.
func (u *updates) announceLook() {
	file := filepath.Join(u.dir, firstLookFile)
	if info, err := os.Stat(file); err != nil || info.Size() > 256<<10 || info.ModTime().Equal(u.looked) {
		return
	} else {
		u.looked = info.ModTime() // once a run is enough to find out that it is told already
	}
	b, err := os.ReadFile(file)
	var look firstLook
	if err != nil || json.Unmarshal(b, &look) != nil {
		return
	}
	told := filepath.Join(u.inbox, "told-"+firstLookFile)
	var before time.Time
	if b, err := os.ReadFile(told); err == nil && json.Unmarshal(b, &before) == nil && before.Equal(look.At) {
		return
	}
	event := payment.NewEvent(payment.EventFirstLook, "", u.now(), false, look)
	if err := u.append(nil, []payment.Event{event}); err != nil {
		u.looked = time.Time{}
		return // the journal's own alert is raised; the next round tries again
	}
	if err := u.put(told, look.At); err != nil {
		u.log.Warn("the first look will be told again", "err", err)
	}
}
