package mqtt

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"tillgate/internal/payment"
)

// Bounds of a command.
const (
	MaxCommand = 16 << 10 // bytes of its payload
	maxDepth   = 4        // objects within objects; a command needs two
	maxMembers = 64       // of all objects together
	maxEcho    = 128      // characters of request_id
)

// Envelope is the payload of command/{verb}: the members of
// [payment.Command], and how it travels. verb and operation may be left out;
// the topic names them.
type Envelope struct {
	payment.Command

	// Session is quoted from info. A command that moves money or closes a
	// batch is refused without it, so that one that slept in somebody's queue
	// charges nobody.
	Session string `json:"session,omitempty"`

	// TTL is how long after its arrival the command may still be started; 0
	// means [DefaultTTL].
	TTL payment.Millis `json:"ttl_ms,omitempty"`

	// Client is the last level of the reply's topic: 1 to 64 letters, digits,
	// '_' or '-'. Empty means [AnyClient].
	Client string `json:"client,omitempty"`

	// RequestID is echoed in the reply, at most 128 characters.
	RequestID string `json:"request_id,omitempty"`
}

// AnyClient receives the replies to commands that name no client.
const AnyClient = "any"

// DefaultTTL is how long a command may wait in our own queue.
const DefaultTTL payment.Millis = 10_000

// Reply is the payload of reply/{client}.
type Reply struct {
	payment.Reply
	RequestID string `json:"request_id,omitempty"` // of the command
	Session   string `json:"session"`              // of this connection
}

// needsSession says whether a verb must quote the session.
func needsSession(v payment.Verb) bool { _, ok := v.Operation(); return ok }

// decode reads the payload of command/{verb}. The error is a refusal whose text
// names the member, never its value. What could be read of the addressing is in
// the envelope even then, so that the refusal finds its way.
func decode(verb string, payload []byte) (Envelope, error) {
	e := Envelope{Client: AnyClient}
	if len(payload) <= MaxCommand {
		e.address(payload)
	}
	e.Verb = payment.Verb(verb)
	if !slices.Contains(payment.Verbs(), e.Verb) {
		e.Verb = ""
		return e, payment.Refuse(payment.ReasonInvalid, "command: no such verb")
	}
	if len(payload) > MaxCommand {
		return e, payment.Refuse(payment.ReasonOversized, "command has more than %d bytes", MaxCommand)
	}
	if err := checkShape(payload); err != nil {
		return e, payment.Refuse(payment.ReasonInvalid, "command: %v", err)
	}
	var in Envelope
	d := json.NewDecoder(bytes.NewReader(payload))
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return e, payment.Refuse(payment.ReasonInvalid, "command: %s", describe(err))
	}
	return e.adopt(in)
}

// adopt checks what is not the gateway's to check.
func (e Envelope) adopt(in Envelope) (Envelope, error) {
	op, _ := e.Verb.Operation()
	var v payment.Invalid
	add := func(field, text string) { v = append(v, payment.Problem{Field: field, Text: text}) }
	if in.Verb != "" && in.Verb != e.Verb {
		add("verb", "is not the one of the topic")
	}
	if in.Operation != "" && in.Operation != op {
		add("operation", "is not the one of the topic")
	}
	if in.Client != "" {
		if p := levelProblem(in.Client); p != "" {
			add("client", p)
		}
	}
	if !echoable(in.RequestID) {
		add("request_id", fmt.Sprintf("has more than %d characters, or control characters", maxEcho))
	}
	if in.TTL < 0 || in.TTL > payment.InMillis(payment.MaxTimeout) {
		add("ttl_ms", fmt.Sprintf("must be between 0 and %d", payment.InMillis(payment.MaxTimeout)))
	}
	if len(in.Session) > maxLevel {
		add("session", fmt.Sprintf("is longer than %d characters", maxLevel))
	}
	for _, t := range []struct{ field, text string }{{"by", in.By}, {"reason", in.Reason}} {
		if utf8.RuneCountInString(t.text) > payment.MaxText {
			add(t.field, fmt.Sprintf("is longer than %d characters", payment.MaxText))
		}
	}
	if v != nil {
		return e, payment.Refuse(payment.ReasonInvalid, "%v", v)
	}
	in.Verb, in.Operation = e.Verb, op
	orElse(&in.Client, AnyClient)
	orElse(&in.TTL, DefaultTTL)
	return in, nil
}

// address reads where the reply goes, leniently.
func (e *Envelope) address(payload []byte) {
	var m map[string]json.RawMessage
	if json.Unmarshal(payload, &m) != nil {
		return
	}
	text := func(name string) (s string) { _ = json.Unmarshal(m[name], &s); return s }
	if c := text("client"); levelProblem(c) == "" {
		e.Client = c
	}
	if r := text("request_id"); echoable(r) {
		e.RequestID = r
	}
	if id := text("id"); len(id) <= payment.MaxID && echoable(id) {
		e.ID = payment.ID(id)
	}
}

func echoable(s string) bool {
	return utf8.RuneCountInString(s) <= maxEcho && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f || r == utf8.RuneError })
}

// checkShape refuses what encoding/json would let pass: broken UTF-8, members
// given twice or in another case (the last one would win), depth, and more
// than one value.
func checkShape(payload []byte) error {
	if !utf8.Valid(payload) {
		return errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(payload))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("is not a JSON object")
	}
	members := 0
	if err := checkObject(d, 1, &members); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("has something after its JSON object")
	}
	return nil
}

func checkObject(d *json.Decoder, depth int, members *int) error {
	if depth > maxDepth {
		return fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("is not JSON, near byte %d", d.InputOffset())
		}
		name, _ := t.(string)
		if *members++; *members > maxMembers {
			return fmt.Errorf("has more than %d members", maxMembers)
		}
		if name != strings.ToLower(name) {
			return fmt.Errorf("unknown member %q", payment.Excerpt(name))
		}
		if seen[name] {
			return fmt.Errorf("member %q is given twice", payment.Excerpt(name))
		}
		seen[name] = true
		if err := checkValue(d, depth, members); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("is not JSON, near byte %d", d.InputOffset())
	}
	return nil
}

func checkValue(d *json.Decoder, depth int, members *int) error {
	t, err := d.Token()
	if err != nil {
		return fmt.Errorf("is not JSON, near byte %d", d.InputOffset())
	}
	switch t {
	case json.Delim('{'):
		return checkObject(d, depth+1, members)
	case json.Delim('['):
		return errors.New("has a list where none belongs")
	}
	return nil
}

// describe words an error of encoding/json without the value that caused it.
func describe(err error) string {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("member %q does not take a %s", payment.Excerpt(t.Field), firstWord(t.Value))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return "unknown member " + payment.Excerpt(name)
	}
	if errors.Is(err, payment.ErrAmount) {
		return "amount: " + payment.ErrAmount.Error() + `, want {"minor":123456,"currency":"VND"} with a currency of ISO 4217 and its exponent`
	}
	return "is not a command"
}

func firstWord(s string) string { w, _, _ := strings.Cut(s, " "); return w }
