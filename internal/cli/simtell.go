package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"tillgate/internal/config"
	"tillgate/internal/payment"
	"tillgate/link"
)

// tellFlags say what a simulated service tells, and to whom.
type tellFlags struct {
	Sender    string   `help:"Sender of the configuration whose keys and path are used. Default: the first of the protocol." placeholder:"NAME"`
	To        string   `help:"URL to post to. Default: the listener of the configuration." placeholder:"URL"`
	Operation string   `default:"purchase" enum:"purchase,reversal,refund,preauthorization,completion,reconciliation" help:"What is told of: ${enum}."`
	Payment   string   `help:"What it calls our payment: its id, attempt or order." placeholder:"NAME"`
	Amount    string   `default:"123456" help:"Amount in the major unit." placeholder:"AMOUNT"`
	Settled   []string `help:"With reconciliation: what was settled, as NAME or NAME=RRN." placeholder:"NAME=RRN,..."`
}

func (s *simCmd) tell(a *app, driver link.Driver) error {
	c, err := config.Load(a.table.Config, a.drivers)
	if err != nil {
		return fmt.Errorf("%w\na protocol that only tells needs the keys of a configuration: name it with --config", err)
	}
	sender, err := configuredSender(a, driver, s.Tell.Sender)
	if err != nil {
		return err
	}
	sim, err := driver.Notify.Simulate(link.NotifySimulatorConfig{Settings: sender.Settings, Script: s.Script, Currency: sender.Currency})
	if err != nil {
		return err
	}
	amount, err := payment.ParseMoney(s.Tell.Amount, sender.Currency)
	if err != nil {
		return &exit{exitUsage, "amount: " + err.Error()}
	}
	story := link.NotifyStory{Operation: payment.Operation(s.Tell.Operation), Name: s.Tell.Payment, Amount: amount}
	for _, text := range s.Tell.Settled {
		name, rrn, _ := strings.Cut(text, "=")
		story.Settled = append(story.Settled, payment.Settled{Name: name, RRN: rrn})
	}
	p := poster{base: s.Tell.To, path: sender.Path, accepted: driver.Notify.Accepted, out: a.Out}
	if p.base == "" {
		if c.Notify.Address == "" {
			return &exit{exitUsage, "say where to post with --to: " + a.table.Config + " has no listener"}
		}
		p.base = "http://" + c.Notify.Address
		if c.Notify.Cert != "" {
			p.base = "https://" + c.Notify.Address
		}
	}
	if err := p.trust(c.Notify.Cert); err != nil {
		return err
	}
	for i := range max(1, len(s.Script)) {
		word := "approve"
		if len(s.Script) > 0 {
			word = s.Script[i]
		}
		posts, err := sim.Requests(story)
		if err != nil {
			return err
		}
		p.all(a.ctx, word, posts)
	}
	if p.wrong > 0 {
		return fmt.Errorf("%d of %d were not answered as they should be", p.wrong, p.sent)
	}
	return nil
}

// poster posts what a simulated service made.
type poster struct {
	base, path  string
	accepted    link.NotifyAnswer
	out         io.Writer
	client      *http.Client
	sent, wrong int
}

// trust believes the listener's own certificate, whoever has signed it, and the
// system's.
func (p *poster) trust(file string) error {
	p.client = &http.Client{Timeout: time.Minute, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if file == "" {
		return nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return fmt.Errorf("%s has no certificate in PEM", file)
	}
	own := block.Bytes
	p.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, // VerifyConnection compares with the one certificate there may be
		VerifyConnection: func(s tls.ConnectionState) error {
			if !bytes.Equal(s.PeerCertificates[0].Raw, own) {
				return x509.CertificateInvalidError{Cert: s.PeerCertificates[0], Reason: x509.NotAuthorizedToSign, Detail: "it is not the one of cert_file"}
			}
			return nil
		},
	}}
	return nil
}

// all posts in order and says what was answered, equal answers together.
func (p *poster) all(ctx context.Context, word string, posts []link.NotifyPost) {
	answers, longest := map[string]int{}, time.Duration(0)
	for _, post := range posts {
		began := time.Now()
		text, ok := p.one(ctx, post)
		longest = max(longest, time.Since(began))
		p.sent++
		if !ok {
			p.wrong++
		}
		answers[text]++
	}
	for _, text := range slices.Sorted(maps.Keys(answers)) {
		fmt.Fprintf(p.out, "%-16s %4d x  %s  (%v at most)\n", word, answers[text], text, longest.Round(time.Millisecond))
	}
}

// one posts once; ok says that the answer is what it should be.
func (p *poster) one(ctx context.Context, post link.NotifyPost) (text string, ok bool) {
	path := post.Path
	if path == "" {
		path = p.path
	}
	body := post.Body
	if post.Gap > 0 {
		body = &slowly{ctx, body, post.Gap}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(p.base, "/")+path, body)
	if err != nil {
		return err.Error(), false
	}
	maps.Copy(r.Header, post.Header)
	r.ContentLength = post.Size
	a, err := p.client.Do(r)
	if err != nil {
		if e, is := errors.AsType[interface {
			error
			Unwrap() error
		}](err); is {
			err = e.Unwrap()
		}
		return "no answer: " + err.Error(), post.Refused || post.Gap > 0
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, 1024))
	if err != nil {
		return "half an answer: " + err.Error(), post.Refused
	}
	taken := a.StatusCode == p.accepted.Status && string(b) == p.accepted.Body
	return fmt.Sprintf("%d %s", a.StatusCode, strings.TrimSpace(string(b))), taken != post.Refused || (post.Gap > 0 && !taken)
}

// slowly reads a byte at a time.
type slowly struct {
	ctx context.Context
	r   io.Reader
	gap time.Duration
}

func (s *slowly) Read(b []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(s.gap):
	}
	return s.r.Read(b[:1])
}
