package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tillgate/internal/payment"
)

// Client talks to a running gateway. It is safe for concurrent use.
type Client struct {
	path string
	http *http.Client
}

// Dial makes sure that a gateway answers on the socket at path. The error is
// written for the person who typed the command.
func Dial(path string) (*Client, error) {
	c, err := net.DialTimeout("unix", path, 2*time.Second)
	if err != nil {
		return nil, unreachable(path, err)
	}
	c.Close()
	return &Client{path: path, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		},
		DisableCompression: true,
	}}}, nil
}

// Path is the socket.
func (c *Client) Path() string { return c.path }

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Do sends one command. A refusal is a Reply, not an error; an error means
// that nobody knows whether the gateway has taken it: look the id up.
func (c *Client) Do(ctx context.Context, cmd payment.Command) (payment.Reply, error) {
	var r payment.Reply
	resp, err := c.post(ctx, "/v1/commands", cmd)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	return r, decode(resp.Body, &r)
}

// Follow sends one command and yields what becomes of it, the reply first. It
// ends with the payment's last state, or with an error.
func (c *Client) Follow(ctx context.Context, cmd payment.Command) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		resp, err := c.post(ctx, "/v1/commands?follow=1", cmd)
		if err != nil {
			yield(Line{}, err)
			return
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			var r payment.Reply
			err := decode(resp.Body, &r)
			yield(Line{Reply: &r}, err)
			return
		}
		each(resp.Body, yield)
	}
}

// Status is the whole box, now.
func (c *Client) Status(ctx context.Context) (payment.Status, error) {
	return get[payment.Status](ctx, c, "/v1/status")
}

// Terminals lists the terminals of the box.
func (c *Client) Terminals(ctx context.Context) ([]Terminal, error) {
	return get[[]Terminal](ctx, c, "/v1/terminals")
}

// Version tells what the running gateway is made of.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return get[Version](ctx, c, "/v1/version")
}

// Entry is one payment with its steps; a refusal says that there is none.
func (c *Client) Entry(ctx context.Context, id payment.ID) (Entry, error) {
	return get[Entry](ctx, c, "/v1/journal/"+url.PathEscape(string(id)))
}

// History yields the records that q selects, newest first.
func (c *Client) History(ctx context.Context, q Query) iter.Seq2[payment.Record, error] {
	v := url.Values{}
	for key, text := range map[string]string{"order": q.Order, "last4": q.Last4, "auth": q.Auth, "terminal": q.Terminal} {
		if text != "" {
			v.Set(key, text)
		}
	}
	for key, t := range map[string]time.Time{"since": q.Since, "until": q.Until} {
		if !t.IsZero() {
			v.Set(key, t.Format(time.RFC3339))
		}
	}
	if q.Limit != 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	return stream[payment.Record](ctx, c, "/v1/journal?"+v.Encode())
}

// Events yields events from a number on, 0 for the last twenty; with follow
// also those to come, until ctx ends.
func (c *Client) Events(ctx context.Context, from uint64, follow bool) iter.Seq2[payment.Event, error] {
	v := url.Values{}
	if from > 0 {
		v.Set("from", strconv.FormatUint(from, 10))
	}
	if follow {
		v.Set("follow", "1")
	}
	return stream[payment.Event](ctx, c, "/v1/events?"+v.Encode())
}

// Verify has the journal check itself.
func (c *Client) Verify(ctx context.Context) (Check, error) {
	var k Check
	resp, err := c.post(ctx, "/v1/journal/verify", nil)
	if err != nil {
		return k, err
	}
	defer resp.Body.Close()
	if err := answered(resp); err != nil {
		return k, err
	}
	return k, decode(resp.Body, &k)
}

// Backup has the gateway copy the journal into a folder that does not exist
// yet, named by its full path. The gateway writes it, as its own user.
func (c *Client) Backup(ctx context.Context, dir string) error {
	resp, err := c.post(ctx, "/v1/journal/backup", copyTo{dir})
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return answered(resp)
}

func (c *Client) post(ctx context.Context, route string, v any) (*http.Response, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, http.MethodPost, route, bytes.NewReader(b))
}

func (c *Client) send(ctx context.Context, method, route string, body io.Reader) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, method, "http://tillgate"+route, body)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(r)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return nil, fmt.Errorf("the gateway on %s did not answer: %w", c.path, err)
	}
	return resp, nil
}

func get[T any](ctx context.Context, c *Client, route string) (T, error) {
	var v T
	resp, err := c.send(ctx, http.MethodGet, route, nil)
	if err != nil {
		return v, err
	}
	defer resp.Body.Close()
	if err := answered(resp); err != nil {
		return v, err
	}
	return v, decode(resp.Body, &v)
}

func stream[T any](ctx context.Context, c *Client, route string) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		resp, err := c.send(ctx, http.MethodGet, route, nil)
		if err == nil {
			defer resp.Body.Close()
			err = answered(resp)
		}
		if err != nil {
			yield(none, err)
			return
		}
		each(resp.Body, yield)
	}
}

// answered turns an answer that is not what was asked for into an error; one
// with a reason becomes a [payment.Refusal].
func answered(resp *http.Response) error {
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var p problem
	if decode(resp.Body, &p) != nil || p.Error == "" {
		return fmt.Errorf("the gateway answered %s: is it of another version?", resp.Status)
	}
	return p.err()
}

func (p problem) err() error {
	if p.Reason != "" {
		return &payment.Refusal{Reason: p.Reason, Text: p.Error}
	}
	return errors.New(p.Error)
}

// maxLine is the longest line of a stream in bytes: a record with its receipt.
const maxLine = 1 << 20

func decode(r io.Reader, v any) error {
	if err := json.NewDecoder(io.LimitReader(r, maxLine)).Decode(v); err != nil {
		return fmt.Errorf("the gateway's answer cannot be read: %w", err)
	}
	return nil
}

// each yields the lines of a stream. A line with an error ends it.
func each[T any](r io.Reader, yield func(T, error) bool) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for s.Scan() {
		var v T
		var p problem
		err := json.Unmarshal(s.Bytes(), &v)
		if err == nil && json.Unmarshal(s.Bytes(), &p) == nil && p.Error != "" {
			err = p.err()
		}
		if !yield(v, err) || err != nil {
			return
		}
	}
	if err := s.Err(); err != nil {
		var none T
		yield(none, fmt.Errorf("the gateway's answer broke off: %w", err))
	}
}
