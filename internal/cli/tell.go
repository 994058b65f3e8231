package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"tillgate/internal/payment"
	"tillgate/link"
)

// tell prints what runs and how to join in, then what happens.
func tell(ctx context.Context, w io.Writer, b *box, device string) error {
	introduce(w, b, device)
	var mu sync.Mutex // one line at a time
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(w, "%s  %s\n", time.Now().Format("15:04:05"), fmt.Sprintf(format, args...))
	}
	var parts sync.WaitGroup
	parts.Go(func() { tellProgress(ctx, b, say) })
	parts.Go(func() { tellStatus(ctx, b, say) })
	err := tellEvents(ctx, b, say)
	parts.Wait()
	return err
}

func introduce(w io.Writer, b *box, device string) {
	host, port, _ := net.SplitHostPort(b.config.MQTT.Broker.Address)
	self := "tillgate"
	if exe, err := os.Executable(); err == nil && strings.Contains(exe, "go-build") {
		self = "go run ."
	}
	socket := ""
	if b.config.Socket != filepath.Join(demoDir(), socketName) {
		socket = " --socket " + b.config.Socket
	}
	login := fmt.Sprintf("-h %s -p %s -u %s -P %s", host, port, b.config.MQTT.Broker.Username, b.kiosk)
	fmt.Fprintf(w, `Tillgate demo. Ctrl-C ends it; what happened stays in %s

  broker    mqtt://%s (embedded, MQTT 3.1.1)
  terminal  %s: a simulated %s on %s
  journal   %s

Pay with a card from a second window:

  %s pay 123456%s

or as a kiosk controller would, with any MQTT client. Listen:

  mosquitto_sub %s -v -t 'tillgate/v1/%s/#'

A money command quotes the session it reads from the retained topic info, so
that one that was delayed charges nobody. Ask for a payment:

  SESSION=$(mosquitto_sub %s -C 1 -t tillgate/v1/%s/info | sed 's/.*"session":"\([^"]*\)".*/\1/')
  mosquitto_pub %s -q 1 -t tillgate/v1/%s/command/purchase \
    -m '{"id":"'$(date +%%s)'","amount":{"minor":123456,"currency":"VND"},"session":"'$SESSION'"}'

Kill this process in the middle of a payment (kill -9 %d), start it again, and
see it ask the terminal what became of it.

`, b.config.Data, b.config.MQTT.Broker.Address, demoTerminal, b.config.Terminals[0].Spec.Title, device,
		filepath.Join(b.config.Data, "journal"), self, socket, login, demoBox, login, demoBox, login, demoBox, os.Getpid())
}

func tellProgress(ctx context.Context, b *box, say func(string, ...any)) {
	news, stop := b.gateway.Progress()
	defer stop()
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-news:
			say("%s: %s  %s", p.Terminal, stageText(p), p.ID)
		}
	}
}

// tellStatus says when a terminal is lost or found, and what alerts there are.
func tellStatus(ctx context.Context, b *box, say func(string, ...any)) {
	links := map[string]string{}
	alerts := map[payment.AlertCode]bool{}
	for {
		changed := b.gateway.Changed()
		s := b.gateway.Status()
		for _, t := range s.Terminals {
			text := string(t.Link)
			if t.Error != "" {
				text += ": " + payment.Printable(t.Error)
			}
			if t.Link == payment.LinkSettling && t.Payment != "" {
				text += fmt.Sprintf(": asking what became of %s (at most %v, as long as a payment can last on it)", t.Payment, longest(b, t.Name))
			}
			if links[t.Name] != text {
				links[t.Name] = text
				say("%s: terminal %s", t.Name, text)
			}
		}
		now := map[payment.AlertCode]bool{}
		for _, al := range s.Alerts {
			if now[al.Code] = true; !alerts[al.Code] {
				say("ALERT %s: %s", al.Code, payment.Printable(al.Text))
			}
		}
		for code := range alerts {
			if !now[code] {
				say("alert %s is over", code)
			}
		}
		alerts = now
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
	}
}

func longest(b *box, terminal string) time.Duration {
	for _, t := range b.config.Terminals {
		if t.Name == terminal {
			return t.Longest.Std()
		}
	}
	return link.DefaultLongest
}

func tellEvents(ctx context.Context, b *box, say func(string, ...any)) error {
	for from := b.before + 1; ; {
		changed := b.journal.Changed()
		for from <= b.journal.LastSeq() {
			events, err := b.journal.Range(from, b.journal.LastSeq(), 100)
			if err != nil {
				return err
			}
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				say("event %d  %s", e.Seq, eventText(e))
				from = e.Seq + 1
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		}
	}
}
