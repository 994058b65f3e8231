package systemd

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// Ready says that everything has been started.
func Ready() { send(daemon.SdNotifyReady) }

// Stopping says that the process is about to end.
func Stopping() { send(daemon.SdNotifyStopping) }

// Status sets the line that `systemctl status` shows. It is cut to 200 bytes,
// and line breaks become blanks: each line is a message of its own.
func Status(text string) {
	text = strings.Join(strings.Fields(text), " ")
	send("STATUS=" + strings.ToValidUTF8(text[:min(len(text), 200)], ""))
}

// send drops the error: without systemd nobody listens, and with it nothing
// can be done about a message that did not arrive but to send the next one.
func send(state string) { _, _ = daemon.SdNotify(false, state) }

// Interval is how long systemd waits for a sign of life (WatchdogSec=); 0 if it
// does not wait for one from this process.
func Interval() time.Duration {
	d, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0
	}
	return d
}

// Watch feeds systemd's watchdog until ctx ends, as long as stuck names nobody
// who is stuck. interval is what [Interval] gives; 0 does nothing.
//
// stuck is called from one goroutine, three times in each interval. If it does
// not return, nothing is sent: that is meant.
func Watch(ctx context.Context, interval time.Duration, stuck func() []string, log *slog.Logger) {
	if interval <= 0 {
		return
	}
	t := time.NewTicker(interval / 3)
	defer t.Stop()
	was := ""
	for {
		who := strings.Join(stuck(), ", ")
		switch {
		case who == "":
			send(daemon.SdNotifyWatchdog)
		case who != was:
			log.Error("watchdog is not fed", "stuck", who, "err", errors.New("no progress within the longest time that work can take"))
		}
		was = who
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
