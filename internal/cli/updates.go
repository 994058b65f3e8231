package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
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

	looked time.Time // of the first look that is told

	asked     chan struct{} // there is an address
	mu        sync.Mutex
	address   string // of the announced bundle until it is fetched or given up; also in a file
	unfetched error  // why the last announced bundle is not there
}

func newUpdates(dir, keys, data, version string, log *slog.Logger) *updates {
	return &updates{dir: dir, keys: keys, inbox: filepath.Join(data, "firmware"), version: version, log: log, asked: make(chan struct{}, 1)}
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
	if err != nil || s.Phase != firmware.PhaseNone {
		return
	}
	if text := u.trouble(s.Last); text != "" {
		u.gateway.Raise(payment.AlertFirmware, text)
	} else {
		u.gateway.Clear(payment.AlertFirmware)
	}
	file := filepath.Join(u.inbox, "announced.json")
	var told firmware.Result
	if b, err := os.ReadFile(file); s.Last.Outcome == "" || err == nil && json.Unmarshal(b, &told) == nil && told == s.Last {
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

// trouble is the text of the alert; "" where there is none.
func (u *updates) trouble(last firmware.Result) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.unfetched != nil:
		return "the announced update could not be fetched: " + u.unfetched.Error()
	case last.Outcome == firmware.RolledBack:
		return "version " + string(last.Version) + " did not prove itself and was taken back: " + last.Text
	}
	return ""
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
// happens meanwhile to this process or its box.
func replace(file string, b []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(file+".new", file)
}
