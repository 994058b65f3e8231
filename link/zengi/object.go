package zengi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

const (
	maxMembers = 100  // of one object
	maxValue   = 1024 // bytes of one value that is kept
)

// object is a JSON object as it came: members in order, each a text or raw.
type object struct {
	names []string          // as they were written
	texts map[string]string // by plain name
	raw   map[string]json.RawMessage
}

// plainName is a name without what the document itself is not sure of:
// transactionType and transaction_type, reqId and reqID are one.
func plainName(s string) string { return strings.ToLower(strings.ReplaceAll(s, "_", "")) }

// get is the text of a member, or "".
func (o object) get(name string) string { return o.texts[plainName(name)] }

// parseObject reads one object. A comma before a closing brace is forgiven: the
// document's own sample has one. Two members of one name with different values
// are not. Errors name no value.
func parseObject(b []byte) (object, error) {
	o := object{texts: map[string]string{}, raw: map[string]json.RawMessage{}}
	d := json.NewDecoder(bytes.NewReader(tidy(b)))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return o, errors.New("not a JSON object")
	}
	for d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return o, errors.New("a member without a name")
		}
		if len(o.names) >= maxMembers {
			return o, fmt.Errorf("more than %d members", maxMembers)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return o, fmt.Errorf("member %d: not JSON", len(o.names)+1)
		}
		plain := plainName(name)
		if before, twice := o.raw[plain]; twice && !bytes.Equal(before, raw) {
			return o, fmt.Errorf("member %d: a second value for one name", len(o.names)+1)
		}
		o.names = append(o.names, name)
		o.raw[plain], o.texts[plain] = raw, textOf(raw)
	}
	if _, err := d.Token(); err != nil {
		return o, errors.New("an object without an end")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return o, errors.New("something after the object")
	}
	return o, nil
}

// textOf is a value as text: a string's content, a number or boolean as written,
// and "" for null, objects and lists.
func textOf(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	switch raw[0] {
	case '"':
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	case '{', '[', 'n':
		return ""
	}
	return string(raw)
}

// tidy drops commas before a closing brace or bracket, outside strings.
func tidy(b []byte) []byte {
	out := make([]byte, 0, len(b))
	inside, escaped := false, false
	for _, c := range b {
		switch {
		case inside && escaped:
			escaped = false
		case inside:
			escaped = c == '\\'
			inside = c != '"'
		case c == '"':
			inside = true
		case c == '}' || c == ']':
			if end := bytes.TrimRight(out, " \t\r\n"); len(end) > 0 && end[len(end)-1] == ',' {
				out = end[:len(end)-1]
			}
		}
		out = append(out, c)
	}
	return out
}
