package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"tillgate/firmware"
	"tillgate/internal/control"
	"tillgate/internal/gateway"
	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// updates is the gateway's part of an update of the box: it sells nothing while
// it is on trial, tells how updates end, and fetches bundles that are announced.
// What it fetches it only leaves for root's part, which believes nothing.
type updates struct {
	dir   string // of the versions; "" or not there: this box is not updated
	keys  string
	inbox string // where root's part looks for requests
	log   *slog.Logger

	version string
	gateway *gateway.Gateway
	edges   []*mqtt.Edge
	append  func([]payment.Step, []payment.Event) error
	now     func() payment.Moment

	asked chan string // addresses of bundles; one waits at most

	looked time.Time // of the first look that is told
}

func newUpdates(dir, keys, data, version string, log *slog.Logger) *updates {
	return &updates{dir: dir, keys: keys, inbox: filepath.Join(data, "firmware"), version: version, log: log, asked: make(chan string, 1)}
}

// onTrial says whether the version that runs has still to prove itself. A state
// that cannot be read is none.
func (u *updates) onTrial() bool {
	s, err := firmware.ReadState(u.dir)
	return err == nil && s.OnTrial()
}

// Hold and Release are the control socket's.
func (u *updates) Hold(ctx context.Context, lease time.Duration) error {
	return u.gateway.Hold(ctx, lease)
}

func (u *updates) Release() { u.gateway.Release() }

// Health is how the gateway is. A terminal answers also while it is settling.
func (u *updates) Health() control.Health {
	h := control.Health{Version: u.version, Terminals: map[string]bool{}, Destinations: map[string]bool{}, Stuck: u.gateway.Stuck()}
	for _, t := range u.gateway.Status().Terminals {
		h.Terminals[t.Name] = t.Link != payment.LinkOffline
	}
	for _, e := range u.edges {
		s := e.State()
		h.Destinations[s.Destination] = s.Connected
	}
	if h.Stuck == nil {
		h.Stuck = []string{}
	}
	return h
}

// ask takes the announcement of a bundle.
func (u *updates) ask(_ context.Context, address string) error {
	if err := firmware.CheckAddress(address); err != nil {
		return payment.Refuse(payment.ReasonInvalid, "%v", err)
	}
	if keys, err := u.trusted(); err != nil || len(keys) == 0 {
		return payment.Refuse(payment.ReasonUnsupported, "this box trusts no key: put the public key of who makes its updates into %s", u.keys)
	}
	select {
	case u.asked <- address:
		return nil
	default:
		return payment.Refuse(payment.ReasonBusy, "another bundle is being fetched")
	}
}

func (u *updates) trusted() (firmware.Keys, error) {
	return (&firmware.Updater{Dir: u.dir, Keys: u.keys}).TrustedKeys()
}

// lookEvery is how soon the end of a trial is noticed.
const lookEvery = time.Second

// run follows root's part until ctx ends.
func (u *updates) run(ctx context.Context) error {
	fetching := make(chan struct{})
	go func() { defer close(fetching); u.fetch(ctx) }()
	defer func() { <-fetching }()
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	trial := u.onTrial()
	for {
		if was := trial; was {
			if trial = u.onTrial(); !trial {
				u.log.Info("the new version is confirmed")
				u.gateway.Release()
			}
		}
		u.announce()
		u.announceLook()
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

// announce tells once how an update ended.
func (u *updates) announce() {
	s, err := firmware.ReadState(u.dir)
	if err != nil || s.Phase != firmware.PhaseNone || s.Last.Outcome == "" {
		return
	}
	if s.Last.Outcome == firmware.RolledBack {
		u.gateway.Raise(payment.AlertFirmware, "version "+string(s.Last.Version)+" did not prove itself and was taken back: "+s.Last.Text)
	} else {
		u.gateway.Clear(payment.AlertFirmware)
	}
	file := filepath.Join(u.inbox, "announced.json")
	var told firmware.Result
	if b, err := os.ReadFile(file); err == nil && json.Unmarshal(b, &told) == nil && told == s.Last {
		return
	}
	event := payment.NewEvent(payment.EventFirmware, "firmware/"+string(s.Last.Version), u.now(), false, s.Last)
	if err := u.append(nil, []payment.Event{event}); err != nil {
		return // the journal's own alert is raised; the next round tries again
	}
	if err := u.put(file, s.Last); err != nil {
		u.log.Warn("the end of an update will be told again", "err", err)
	}
}

func (u *updates) put(file string, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		err = os.MkdirAll(u.inbox, 0o750)
	}
	if err != nil {
		return err
	}
	return replace(file, b, 0o640)
}

// replace writes a file that is either the old one or the new one, whatever
// happens meanwhile to this process.
func replace(file string, b []byte, mode fs.FileMode) error {
	if err := os.WriteFile(file+".new", b, mode); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}

// fetch brings one bundle at a time.
func (u *updates) fetch(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case address := <-u.asked:
			if err := u.bring(ctx, address); err != nil && ctx.Err() == nil {
				u.log.Warn("announced update not fetched", "bundle", address, "err", err)
				u.gateway.Raise(payment.AlertFirmware, "the announced update could not be fetched: "+err.Error())
			}
		}
	}
}

// bring fetches a bundle, looks whether it is worth root's time, and asks root.
func (u *updates) bring(ctx context.Context, address string) error {
	if err := os.MkdirAll(u.inbox, 0o750); err != nil {
		return err
	}
	u.forgetOld()
	file, err := firmware.Fetcher{Dir: u.inbox}.Fetch(ctx, address)
	if err != nil {
		return err
	}
	keys, err := u.trusted()
	if err == nil {
		_, err = headOf(file, keys)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return replace(filepath.Join(u.inbox, firmware.RequestFile), []byte(filepath.Base(file)+"\n"), 0o640)
}

// forgetOld removes bundles that were installed or given up.
func (u *updates) forgetOld() {
	files, _ := filepath.Glob(filepath.Join(u.inbox, "*.bundle"))
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.log.Warn("an old bundle stays", "file", f, "err", err)
		}
	}
}
