package qfpay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Explain writes what captured bytes mean: packets, or one request, answer or
// notification without them, with or without the head of HTTP. What is encrypted
// is opened with the printed POS-KEY, in both readings of it. Card numbers are
// masked. The error says that the bytes are not valid.
func Explain(w io.Writer, b []byte) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return errors.New("no bytes")
	}
	if _, _, v := parse(b); v == isPacket || v == isPart && len(b) >= 3 || v == isBroken {
		return explainPackets(w, b)
	}
	if bytes.HasPrefix(b, []byte("POST ")) || bytes.HasPrefix(b, []byte("HTTP/1.")) {
		_, body, ok := bytes.Cut(b, []byte("\r\n\r\n"))
		if !ok {
			return errors.New("HTTP without the end of its head")
		}
		b = body
	}
	return explainMessage(w, b)
}

func explainPackets(w io.Writer, b []byte) error {
	var problems []error
	parts := &merger{}
	for len(b) > 0 {
		p, n, v := parse(b)
		if v != isPacket {
			problems = append(problems, fmt.Errorf("%d bytes that are no packet: %s", len(b), map[verdict]string{
				isPart: "it ends early", isBroken: "the mark 2f6e is not where its length says", isNoise: "no header begins there"}[v]))
			break
		}
		b = b[n:]
		kind := map[byte]string{kindRequest: "request", kindAnswer: "answer"}[p.kind]
		if code := p.errorCode(); code != 0 {
			kind = "error: " + packetErrors[code].text
		}
		fmt.Fprintf(w, "packet type 0x%02x (%s), number %d, %d bytes, %d of %d bytes of data\n", p.kind, kind, p.number, n, len(p.data), p.whole)
		m, complete, refused := parts.add(p)
		if refused != 0 {
			problems = append(problems, fmt.Errorf("packet %d: %s", p.number, packetErrors[refused].text))
		}
		if complete && m.kind != kindError && len(m.data) > 0 {
			problems = append(problems, explainMessage(w, m.data))
		}
	}
	if parts.collecting() {
		problems = append(problems, fmt.Errorf("message %d: parts are missing", parts.number))
	}
	return errors.Join(problems...)
}

// explainMessage tells a request from an answer by what can be read.
func explainMessage(w io.Writer, b []byte) error {
	var notice struct {
		Type any `json:"notify_type"`
	}
	if unmarshal(bytes.TrimSpace(b), &notice) == nil && notice.Type != nil {
		return explainNotice(w, b)
	}
	var problems []error
	for _, key := range []string{KeyASCII, KeyHex} {
		s := defaults()
		s.Key = key
		p, err := newProfile(s, posKey{defaultKey})
		if err != nil {
			return err
		}
		a, aerr := p.read(b)
		if aerr == nil {
			explainAnswer(w, a)
			return nil
		}
		r, rerr := p.parseRequest(b)
		if rerr == nil {
			return explainRequest(w, r, p.key)
		}
		if !errors.Is(rerr, errCipher) {
			return errors.Join(aerr, rerr)
		}
		problems = append(problems, fmt.Errorf("key as %s: %w", key, rerr))
	}
	return fmt.Errorf("only what the printed POS-KEY opens can be explained: %w", errors.Join(problems...))
}

func explainRequest(w io.Writer, r request, k posKey) error {
	how := "plain"
	if r.sealed {
		how = "encrypted with the printed POS-KEY"
	}
	fmt.Fprintf(w, "request, %s\n", how)
	for _, p := range r.content.sorted() {
		fmt.Fprintf(w, "  %-18s %q\n", scrub(p.key), scrub(p.text))
	}
	switch {
	case r.content.get("func_type") == "":
		return fmt.Errorf("%w: no func_type", errRequest)
	case path(r.content.get("func_type")) == "":
		return fmt.Errorf("%w: the document has no such function", errRequest)
	case !r.genuine(k):
		fmt.Fprintf(w, "  digest             not that of the printed POS-KEY\n")
	default:
		fmt.Fprintf(w, "  digest             good\n")
	}
	return nil
}

func explainAnswer(w io.Writer, a answer) {
	text := answers[a.respcd].text
	if text == "" {
		text = "not in the document"
	}
	fmt.Fprintf(w, "answer %s (%s)\n", show(a.respcd), text)
	fmt.Fprintf(w, "  for a payment      %s\n", judge(a).decision)
	for i, r := range a.records {
		fmt.Fprintf(w, "  transaction %d\n", i+1)
		var keys []string
		for k := range r.text {
			keys = append(keys, k)
		}
		slices.Sort(keys)
		for _, k := range keys {
			fmt.Fprintf(w, "    %-18s %q\n", k, r.text[k])
		}
		if !r.card.IsZero() {
			fmt.Fprintf(w, "    %-18s %s\n", "cardno", r.card)
		}
	}
	for _, s := range []string{a.message, a.fault} {
		if s != "" {
			fmt.Fprintf(w, "  says               %q\n", s)
		}
	}
}
