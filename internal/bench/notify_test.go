package bench

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tillgate/internal/gateway"
	"tillgate/internal/notify"
	"tillgate/internal/payment"
	"tillgate/link"
	"tillgate/link/zengi"
)

// BenchmarkNotice is a genuine notification from its first byte to the 200 that
// says it is durable: HTTP on loopback, AES-256-CBC and HMAC-SHA256, the match,
// and one commit with its event. The goal is p99 below three times an fdatasync.
func BenchmarkNotice(b *testing.B) {
	s, commits := openStore(b, history(b))
	g, err := gateway.New(gateway.Options{Journal: s, Notices: true})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	running := make(chan struct{})
	go func() { defer close(running); _ = g.Run(ctx) }()
	defer func() { cancel(); <-running }()

	settings := zengi.Driver().Notify.Settings().(*zengi.Settings)
	settings.KeyFile = filepath.Join(b.TempDir(), "key")
	if err := os.WriteFile(settings.KeyFile, []byte(strings.Repeat("5c", 32)), 0o600); err != nil {
		b.Fatal(err)
	}
	n, err := zengi.Driver().Notify.Open(link.NotifyConfig{Name: "zengi", Currency: "VND", Settings: settings})
	if err != nil {
		b.Fatal(err)
	}
	l, err := notify.Listen(notify.Options{Address: "127.0.0.1:0", Gateway: g, Senders: []notify.Sender{{
		Name: "zengi", Path: "/ipn", Notifier: n, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		Accepted: zengi.Driver().Notify.Accepted, Refused: zengi.Driver().Notify.Refused,
	}}})
	if err != nil {
		b.Fatal(err)
	}
	listening := make(chan error, 1)
	serving, stop := context.WithCancel(context.Background())
	go func() { listening <- l.Serve(serving) }()
	defer func() { stop(); <-listening }()
	sim, err := zengi.Driver().Notify.Simulate(link.NotifySimulatorConfig{Settings: settings})
	if err != nil {
		b.Fatal(err)
	}
	client := &http.Client{}
	post := func(body []byte, header http.Header) {
		r, err := http.NewRequest(http.MethodPost, "http://"+l.Addr().String()+"/ipn", bytes.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		r.Header = header
		a, err := client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, a.Body)
		a.Body.Close()
		if a.StatusCode != http.StatusOK {
			b.Fatalf("answered %d", a.StatusCode)
		}
	}
	d := newDisk(b)
	var told, again, flushes, bare sample
	before := int64(0)
	for i := 0; b.Loop(); i++ {
		posts, err := sim.Requests(link.NotifyStory{Operation: payment.Purchase, Name: "nobody-knows-it", Amount: payment.Money{Minor: 1000, Currency: "VND"}})
		if err != nil {
			b.Fatal(err)
		}
		body, err := io.ReadAll(posts[0].Body)
		if err != nil {
			b.Fatal(err)
		}
		began := time.Now()
		post(body, posts[0].Header)
		if i == 0 { // the connection, and the journal that is read first
			before = commits.Load()
			continue
		}
		told.add(time.Since(began))
		began = time.Now()
		post(body, posts[0].Header)
		again.add(time.Since(began))
		flushes.add(d.flush())
		bare.add(d.commit())
	}
	if len(told) == 0 {
		return
	}
	b.ReportMetric(micros(told.p(0.5)), "p50-us")
	b.ReportMetric(micros(told.p(0.99)), "p99-us")
	b.ReportMetric(micros(again.p(0.5)), "known-p50-us")
	b.ReportMetric(micros(again.p(0.99)), "known-p99-us")
	b.ReportMetric(micros(flushes.p(0.5)), "F-p50-us")
	b.ReportMetric(micros(flushes.p(0.99)), "F-p99-us")
	b.ReportMetric(micros(bare.p(0.99)), "C-p99-us")
	b.ReportMetric(float64(told.p(0.5))/float64(flushes.p(0.5)), "p50-xF")
	b.ReportMetric(float64(told.p(0.99))/float64(flushes.p(0.99)), "p99-xF")
	b.ReportMetric(float64(told.p(0.99))/float64(bare.p(0.99)), "p99-xC")
	b.ReportMetric(float64(commits.Load()-before)/float64(len(told)), "commits/notice")
}
