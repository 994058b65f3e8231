package cli

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"tillgate/internal/config"
)

// firstBootCmd is run once in the life of a box, as root, before the gateway.
type firstBootCmd struct {
	Boot      []string `help:"Folders of the boot partition, where somebody may have put a tillgate.yaml." default:"/boot/firmware,/boot" placeholder:"DIR"`
	MachineID string   `name:"machine-id" help:"File with the id of this machine." default:"/etc/machine-id" placeholder:"FILE"`
	Secrets   string   `help:"Folder of the secrets that systemd hands to the service." default:"/etc/tillgate/secrets" placeholder:"DIR"`
	Marker    string   `help:"File that says that it has been done." default:"/var/lib/tillgate-firmware/first-boot-done" placeholder:"FILE"`
}

func (firstBootCmd) Help() string {
	return `It takes a tillgate.yaml from the boot partition if it is good, so that a card
can be prepared on any computer. "box: auto" in it becomes a name made from
the machine's id. What is wrong with it is said here and in
tillgate.yaml.problems.txt beside it. Secrets that the box can make by itself
are made.

A box that has settings keeps them. Without any, this is done again at the
next boot.`
}

func (c *firstBootCmd) Run(a *app) error {
	target := a.table.Config
	if missing(target) {
		from, err := c.take(a, target)
		if err != nil {
			return err
		}
		fmt.Fprintf(a.Out, "tillgate: settings taken from %s\n", from)
	}
	if err := c.secrets(a, target); err != nil {
		return err
	}
	if err := os.WriteFile(c.Marker, nil, 0o644); err != nil {
		return fmt.Errorf("first boot: %w", err)
	}
	return nil
}

// credentials is where the service sees the files of the folder of secrets.
const credentials = "/run/credentials/tillgate.service/secret_"

// secrets makes the one secret of the settings that is this box's to make: the
// password of the embedded broker's user, if it is a credential that is not there.
// Without password_file the gateway makes one in its data folder. Passwords of
// other brokers, certificates and the keys of services and terminals are made by
// others: doctor says which are missing.
func (c *firstBootCmd) secrets(a *app, target string) error {
	text, err := os.ReadFile(target)
	if err != nil {
		return fmt.Errorf("first boot: %w", err)
	}
	conf, err := config.Parse(target, text, a.drivers)
	if err != nil {
		return fmt.Errorf("first boot: %w", err)
	}
	name, isCredential := strings.CutPrefix(conf.MQTT.Broker.PasswordFile, credentials)
	if !conf.Local() || !isCredential || name != filepath.Base(name) {
		return nil
	}
	file := filepath.Join(c.Secrets, name)
	if !missing(file) {
		return nil
	}
	if _, err := madePassword(file); err != nil {
		return fmt.Errorf("first boot: make the password of the broker's user: %w", err)
	}
	fmt.Fprintf(a.Out, "tillgate: password of the broker's user %s made: %s\n", conf.MQTT.Broker.Username, file)
	return nil
}

// take finds, checks and installs the settings.
func (c *firstBootCmd) take(a *app, target string) (from string, err error) {
	for _, dir := range c.Boot {
		file := filepath.Join(dir, "tillgate.yaml")
		info, err := os.Stat(file)
		if err != nil {
			continue
		}
		if info.Size() > config.MaxFile {
			return "", fmt.Errorf("first boot: %s is larger than %d KiB", file, config.MaxFile>>10)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("first boot: %w", err)
		}
		if text, err = c.named(text); err != nil {
			return "", err
		}
		report := file + ".problems.txt"
		if _, err := config.Parse(file, text, a.drivers); err != nil {
			_ = os.WriteFile(report, []byte(err.Error()+"\n"), 0o644) // the partition may be read-only; it is said below as well
			return "", fmt.Errorf("first boot: the settings on the boot partition cannot be used: correct them on any computer and boot again:\n%w", err)
		}
		_ = os.Remove(report)
		return file, install(target, text)
	}
	return "", fmt.Errorf("first boot: this box has no settings: put a tillgate.yaml on the boot partition (%s) and boot again, or make %s; `tillgate config example` prints one to start from", strings.Join(c.Boot, " or "), target)
}

var autoBox = regexp.MustCompile(`(?m)^box:[ \t]*["']?auto["']?[ \t]*(#.*)?\r?$`)

// named replaces "box: auto" by a name made from the machine's id. The id
// itself is confidential (machine-id(5)), so that its hash is taken.
func (c *firstBootCmd) named(text []byte) ([]byte, error) {
	if !autoBox.Match(text) {
		return text, nil
	}
	id, err := os.ReadFile(c.MachineID)
	if err != nil || len(strings.TrimSpace(string(id))) < 32 {
		return nil, errors.Join(errors.New("first boot: this machine has no id yet, so \"box: auto\" cannot be given a name: write one"), err)
	}
	sum := sha256.Sum256([]byte("tillgate box " + strings.TrimSpace(string(id))))
	return autoBox.ReplaceAll(text, fmt.Appendf(nil, "box: box-%x", sum[:5])), nil
}

// install writes the settings for the service's user, flushed before they get
// their name.
func install(target string, text []byte) error {
	making := target + ".new"
	f, err := os.OpenFile(making, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return fmt.Errorf("first boot: %w", err)
	}
	_, err = f.Write(text)
	if g, gerr := user.LookupGroup("tillgate"); gerr == nil && os.Getuid() == 0 {
		gid, _ := strconv.Atoi(g.Gid) // a number on Linux
		err = errors.Join(err, f.Chown(0, gid))
	}
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("first boot: %w", err)
	}
	if err := os.Rename(making, target); err != nil {
		return fmt.Errorf("first boot: %w", err)
	}
	return nil
}
