package cli

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"tillgate/firmware"
	"tillgate/internal/payment"
)

// ask takes the announcement of a bundle. It is fetched although the gateway, or the
// box, is started anew meanwhile.
func (u *updates) ask(_ context.Context, address string) error {
	if err := firmware.CheckAddress(address); err != nil {
		return payment.Refuse(payment.ReasonInvalid, "%v", err)
	}
	if keys, err := u.trusted(); err != nil || len(keys) == 0 {
		return payment.Refuse(payment.ReasonUnsupported, "this box trusts no key: put the public key of who makes its updates into %s", u.keys)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.address {
	case address:
		return nil // it was not heard that it is on its way
	case "":
	default:
		return payment.Refuse(payment.ReasonBusy, "another bundle is being fetched")
	}
	if err := u.put(u.announcement(), address); err != nil {
		return err
	}
	u.fetchNext(address)
	return nil
}

// announcement is the file that has the address of the announced bundle.
func (u *updates) announcement() string { return filepath.Join(u.inbox, "address.json") }

// fetchNext wakes fetch; u.mu is held.
func (u *updates) fetchNext(address string) {
	u.address = address
	select {
	case u.asked <- struct{}{}:
	default: // it is awake
	}
}

func (u *updates) trusted() (firmware.Keys, error) {
	return (&firmware.Updater{Dir: u.dir, Keys: u.keys}).TrustedKeys()
}

// fetch brings one bundle at a time, first the one that an earlier process was
// fetching.
func (u *updates) fetch(ctx context.Context) {
	var address string
	if b, err := os.ReadFile(u.announcement()); err == nil && json.Unmarshal(b, &address) == nil && firmware.CheckAddress(address) == nil {
		u.mu.Lock()
		u.fetchNext(address)
		u.mu.Unlock()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.asked:
		}
		u.mu.Lock()
		address := u.address
		u.mu.Unlock()
		err := u.bring(ctx, address)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			u.log.Warn("announced update not fetched", "bundle", address, "err", err)
		}
		u.mu.Lock()
		u.address, u.unfetched = "", err
		if err := os.Remove(u.announcement()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			u.log.Warn("an announced update will be fetched again", "err", err)
		}
		u.mu.Unlock()
	}
}

// bring fetches a bundle, looks whether it is worth root's time, and asks root.
func (u *updates) bring(ctx context.Context, address string) error {
	if err := os.MkdirAll(u.inbox, 0o750); err != nil {
		return err
	}
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
