package ssi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"tillgate/link/frame"
)

// Explain writes what captured bytes mean: frames, or bare JSON as HTTP has it.
// Card numbers are masked; track, card holder and PAR are told only to be
// there. The error says that the bytes are not valid.
func Explain(w io.Writer, b []byte) error {
	if t := bytes.TrimSpace(b); len(t) > 0 && t[0] == '{' {
		return explainMessage(w, t)
	}
	in := newFrames(bytes.NewReader(b))
	var problems []error
	used, found := 0, false
	for {
		data, err := in.next()
		if errors.Is(err, frame.ErrCorrupt) {
			problems, found = append(problems, err), true
			continue
		}
		if err != nil {
			break
		}
		found, used = true, used+headerSize+len(data)+1
		fmt.Fprintf(w, "frame, %d bytes of data, check byte %02x\n", len(data), lrc(data))
		problems = append(problems, explainMessage(w, data))
	}
	if in.pending() > 0 {
		problems = append(problems, fmt.Errorf("a frame without an end: %d bytes", in.pending()))
	}
	if n := len(b) - used - in.pending(); n > 0 {
		fmt.Fprintf(w, "%d bytes beside it that belong to nothing\n", n)
	}
	if !found {
		problems = append(problems, errors.New("neither a frame nor JSON"))
	}
	return errors.Join(problems...)
}

func explainMessage(w io.Writer, b []byte) error {
	a, err := decode(b)
	if err != nil {
		return err
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(b, &keys); err != nil {
		return fmt.Errorf("%w: no JSON object", errAnswer)
	}
	kind := "request"
	if has(keys, "error") || has(keys, "errorCode") || has(keys, "status") {
		kind = "answer"
	}
	fmt.Fprintf(w, "%s %s%s\n", kind, a.Method, meaning(a, kind))
	row(w, "status", string(a.Status))
	row(w, "errorCode", string(a.Code))
	row(w, "errorDescription", string(a.Description))
	row(w, "details", string(a.Details))
	explainFields(w, reflect.ValueOf(a.Params))
	for i, r := range a.Params.Rows {
		fmt.Fprintf(w, "  transaction %d\n", i+1)
		explainFields(w, reflect.ValueOf(r))
	}
	var inner map[string]json.RawMessage
	for key, raw := range keys {
		if strings.EqualFold(key, "params") && json.Unmarshal(raw, &inner) == nil {
			for _, k := range dropped {
				if has(inner, k) {
					row(w, k, "(dropped)")
				}
			}
		}
	}
	return nil
}

// dropped are keys of params that hold card data we do not keep.
var dropped = []string{"track2", "cardHolderName", "parValue", "balance"}

func has(keys map[string]json.RawMessage, key string) bool {
	for k := range keys {
		if strings.EqualFold(k, key) {
			return true
		}
	}
	return false
}

// explainFields writes the fields that the decoder kept; there is nothing else
// left to write.
func explainFields(w io.Writer, v reflect.Value) {
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		if t.Anonymous {
			explainFields(w, f)
			continue
		}
		key := t.Tag.Get("json")
		switch x := f.Interface().(type) {
		case text:
			row(w, key, string(x))
		case prose:
			row(w, key, string(x))
		case card:
			row(w, key, x.String())
		case names:
			row(w, key, strings.Join(x, ", "))
		case apps:
			row(w, key, strings.Join(x, ", "))
		case app:
			row(w, key, strings.TrimSpace(string(x.Name+" "+x.Version)))
		case paper:
			for _, line := range x.lines {
				row(w, key, line)
			}
			if x.images {
				row(w, key, "(images)")
			}
		}
	}
}

// meaning is what a message says about money.
func meaning(a answer, kind string) string {
	switch {
	case kind == "request":
		return ""
	case strings.EqualFold(string(a.Method), mGetLastResult), strings.EqualFold(string(a.Method), mGetResultByUid):
		return ": " + judge(a).String()
	case a.failed():
		return ": refused, " + errorCodes[a.code()].text
	}
	return ": accepted"
}

func row(w io.Writer, name, value string) {
	if value != "" {
		fmt.Fprintf(w, "  %-18s %s\n", name, value)
	}
}
