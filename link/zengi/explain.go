package zengi

import (
	"bufio"
	"bytes"
	"crypto/aes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Explain writes what a captured notification means: a whole HTTP request, a
// body, or a decrypted IPN. Card data is masked. The error says that the bytes
// are not valid.
func Explain(w io.Writer, b []byte) error {
	r, err := capture(b)
	if err != nil {
		return err
	}
	for _, name := range []string{"Content-Type", "X-Signature"} {
		if v := r.Header.Get(name); v != "" {
			fmt.Fprintf(w, "%-18s %s\n", name, payment.Word(v))
		}
	}
	o, err := parseObject(r.Body)
	if err != nil {
		return fmt.Errorf("the body: %w", err)
	}
	if data := o.get("data"); data != "" {
		return explainEnvelope(w, o, data)
	}
	return explainIPN(w, o)
}

// capture reads a whole HTTP request, or a body alone.
func capture(b []byte) (link.NotifyRequest, error) {
	b = bytes.TrimSpace(b)
	if len(b) == 0 {
		return link.NotifyRequest{}, errors.New("no bytes")
	}
	if !bytes.HasPrefix(b, []byte("POST ")) {
		return link.NotifyRequest{Header: http.Header{}, Body: b}, nil
	}
	h, err := http.ReadRequest(bufio.NewReader(io.MultiReader(bytes.NewReader(b), strings.NewReader("\r\n\r\n"))))
	if err != nil {
		return link.NotifyRequest{}, errors.New("neither a JSON body nor an HTTP request")
	}
	body, err := io.ReadAll(io.LimitReader(h.Body, 4<<20))
	if err != nil {
		return link.NotifyRequest{}, errors.New("the HTTP request ends in its body")
	}
	return link.NotifyRequest{Header: h.Header, Query: h.URL.RawQuery, Body: body}, nil
}

func explainEnvelope(w io.Writer, o object, data string) error {
	fmt.Fprintln(w, "encrypted notification")
	for _, name := range o.names {
		if plainName(name) != "data" {
			fmt.Fprintf(w, "  %-16s a text of %d characters beside data; perhaps the signature\n", payment.Word(name), len(o.get(name)))
		}
	}
	as := guess(data)
	sealed, err := fromText(data, as)
	if err != nil {
		return errors.New("data is neither hex nor Base64")
	}
	fmt.Fprintf(w, "  %-16s %d characters, %s of %d bytes\n", "data", len(data), as, len(sealed))
	switch {
	case bytes.HasPrefix(sealed, []byte("Salted__")):
		return errors.New("data begins with \"Salted__\": its key is made from a password, as the openssl command does it, which is not supported")
	case len(sealed) < 2*aes.BlockSize:
		return fmt.Errorf("%d bytes are too few for a notification", len(sealed))
	case len(sealed)%aes.BlockSize == 0:
		fmt.Fprintln(w, "  whole blocks: mode cbc or ecb; gcm only by chance")
	default:
		fmt.Fprintln(w, "  no whole blocks: mode gcm")
	}
	if repeats(sealed) {
		fmt.Fprintln(w, "  two blocks are equal: mode ecb")
	}
	fmt.Fprintln(w, "  With the key, `tillgate certify zengi` finds the profile that opens it.")
	return nil
}

func repeats(sealed []byte) bool {
	seen := map[string]bool{}
	for i := 0; i+aes.BlockSize <= len(sealed); i += aes.BlockSize {
		block := string(sealed[i : i+aes.BlockSize])
		if seen[block] {
			return true
		}
		seen[block] = true
	}
	return false
}

// cardData are the fields whose values are told only to be there.
var cardData = []string{"cardholder", "expdate", "tc"}

// explainIPN writes a decrypted notification with the usual profile.
func explainIPN(w io.Writer, o object) error {
	fmt.Fprintln(w, "IPN, decrypted")
	for _, name := range o.names {
		plain, text := plainName(name), o.get(name)
		switch {
		case plain == "settlementlist":
			text = "a list"
		case slices.Contains(cardData, plain) && text != "":
			text = "[there]"
		case plain == "cardnumber":
			text = payment.MaskPAN(text).String()
		case text == "" && string(o.raw[plain]) != `""`:
			text = "[no text]"
		default:
			text = mask(text)
		}
		fmt.Fprintf(w, "  %-16s %-24s %s\n", payment.Word(name), text, meanings[plain])
	}
	p := &profile{Settings: defaults()}
	n, err := p.notice(o, "VND")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "= %s of %s: %s", n.Operation, n.Outcome.Amount, n.Outcome.Result)
	if n.Outcome.Text != "" {
		fmt.Fprintf(w, " (%s)", n.Outcome.Text)
	}
	fmt.Fprintf(w, "\n= transaction %s, key %s, %d names of ours, %d settled\n", mask(n.Transaction), mask(n.Key), len(n.Names), len(n.Settled))
	return nil
}

// mask makes a value printable and hides what looks like a whole card number.
func mask(s string) string {
	if len(s) > 60 {
		s = s[:60] + "..."
	}
	s = strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
	if strings.Trim(s, "0123456789 -") == "" && payment.IsCardNumber(s) {
		return payment.MaskPAN(s).String()
	}
	return s
}

// meanings are our words for the fields (document, 3), by plain name.
var meanings = map[string]string{
	"aid": "AID", "amount": "amount, without decimals", "appname": "application label", "approvecode": "authorisation code, DE 38", "batchno": "batch",
	"billid": "the shop's bill", "cardholder": "not kept", "cardnumber": "PAN, last four digits", "cardscheme": "scheme", "currency": "currency",
	"deviceid": "serial of the terminal", "expdate": "not kept", "extradata": "what the partner sent along", "id": "transaction of the sender",
	"invoiceno": "receipt number", "isoresponsecode": "response code, DE 39", "merchantaddress": "not kept", "merchantid": "MID, DE 42",
	"merchantname": "not kept", "merchanttransid": "the shop's transaction", "mid": "MID, DE 42", "parentid": "transaction it belongs to",
	"paymenttype": "card", "refid": "RRN, DE 37", "reqid": "id of our request", "status": "result, with isoResponseCode", "swipetype": "entry mode",
	"tc": "EMV certificate, not kept", "tid": "TID, DE 41", "traceno": "STAN, DE 11", "transdatetime": "when, by the sender's clock",
	"transactiontype": "operation", "settlementlist": "what was settled",
}
