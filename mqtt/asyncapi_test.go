package mqtt_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

type document struct {
	AsyncAPI string `json:"asyncapi"`
	Channels map[string]struct {
		Address  string `json:"address"`
		Messages map[string]struct {
			Ref string `json:"$ref"`
		} `json:"messages"`
	} `json:"channels"`
	Operations map[string]struct {
		Action string `json:"action"`
	} `json:"operations"`
	Components struct {
		Messages map[string]struct {
			Payload  json.RawMessage `json:"payload"`
			Examples []struct {
				Payload json.RawMessage `json:"payload"`
			} `json:"examples"`
		} `json:"messages"`
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

func contractDocument(t *testing.T) (document, []byte) {
	t.Helper()
	b, err := mqtt.AsyncAPI()
	if err != nil {
		t.Fatal(err)
	}
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		t.Fatal(err)
	}
	return d, b
}

// The document is stable, complete, refers to nothing that is not there, and
// its examples of commands pass the real decoder.
func TestAsyncAPI(t *testing.T) {
	d, b := contractDocument(t)
	if again, _ := mqtt.AsyncAPI(); !bytes.Equal(b, again) {
		t.Error("two documents differ")
	}
	if d.AsyncAPI != "3.0.0" {
		t.Errorf("version is %s", d.AsyncAPI)
	}
	var whole any
	_ = json.Unmarshal(b, &whole)
	for _, m := range regexp.MustCompile(`"\$ref": "#/([^"]+)"`).FindAllStringSubmatch(string(b), -1) {
		at := whole
		for _, step := range strings.Split(m[1], "/") {
			at, _ = at.(map[string]any)[step]
		}
		if at == nil {
			t.Errorf("reference to %s, which is not there", m[1])
		}
	}
	for _, v := range payment.Verbs() {
		name := "command-" + string(v)
		if d.Operations[name].Action != "receive" || d.Channels[name].Address != "tillgate/v1/{box}/command/"+string(v) {
			t.Errorf("%s: operation %+v, channel %+v", v, d.Operations[name], d.Channels[name])
		}
		for _, ex := range d.Components.Messages[name].Examples {
			e, err := mqtt.Decode(string(v), ex.Payload)
			if err != nil {
				t.Errorf("example of %s: %v", v, err)
				continue
			}
			if op, ok := v.Operation(); ok && op.MovesMoney() {
				if err := e.Validate(); err != nil {
					t.Errorf("example of %s: %v", v, err)
				}
			}
		}
	}
	// Every member that the decoder takes is in the schema, and no other.
	var schema struct{ Properties map[string]json.RawMessage }
	if err := json.Unmarshal(d.Components.Schemas["EnvelopeIn"], &schema); err != nil {
		t.Fatal(err)
	}
	for name := range schema.Properties {
		if _, err := mqtt.Decode("purchase", []byte(fmt.Sprintf(`{%q:null}`, name))); err != nil {
			t.Errorf("member %s is in the schema and refused: %v", name, err)
		}
	}
	for _, name := range []string{"id", "amount", "session", "ttl_ms", "client", "request_id", "original", "fulfil_within_ms", "from", "force"} {
		if schema.Properties[name] == nil {
			t.Errorf("member %s is not in the schema", name)
		}
	}
}

// Real traffic has no topic and no member that the contract lacks.
func TestTrafficMatchesTheContract(t *testing.T) {
	s := debians(t, "")
	h := newHouse()
	h.do = func(c payment.Command) payment.Reply {
		rec := payment.Record{Transaction: payment.Transaction{Request: c.Request, Attempt: "A"}, State: payment.StateFinal, Outcome: payment.Outcome{Result: payment.Approved, Amount: c.Amount}}
		h.emit(payment.EventFinal, rec)
		return payment.Reply{Verb: c.Verb, ID: c.ID, Status: payment.ReplyAccepted, Known: true, Payment: &rec}
	}
	k := control(t, s)
	e, stop := run(t, options(s, h))
	connected(t, e)
	h.Raise(payment.AlertInDoubt, "look", "p-1")
	k.ask("purchase", "till", fmt.Sprintf(`{"id":"p-1","amount":{"minor":5,"currency":"VND"},"session":%q,"client":"till"}`, k.session()))
	k.ask("replay", "till", `{"from":1,"client":"till"}`)
	h.news <- payment.Progress{ID: "p-1", Terminal: "pos1", Stage: payment.StageHost}
	until(t, "progress", func() bool { return k.last("terminal/pos1/progress") != "" })
	until(t, "event", func() bool { return k.last("event/payment.final") != "" && len(k.all("replay/till")) == 2 })
	until(t, "outbox", func() bool { return strings.Contains(k.last("outbox"), `"last_seq":2`) })
	stop()
	k.mu.Lock()
	defer k.mu.Unlock()
	used := map[string]bool{}
	for topic, payloads := range k.by {
		if strings.HasPrefix(topic, "command/") {
			continue
		}
		i := slices.IndexFunc(mqtt.Contract(), func(c mqtt.Channel) bool {
			address := regexp.MustCompile(`\\\{[a-z]+\\\}`).ReplaceAllString(regexp.QuoteMeta(c.Address), `[^/]+`)
			return !c.Receive && regexp.MustCompile("^"+address+"$").MatchString("tillgate/v1/"+box+"/"+topic)
		})
		if i < 0 {
			t.Errorf("topic %s is not in the contract", topic)
			continue
		}
		c := mqtt.Contract()[i]
		used[c.Name] = true
		for _, p := range payloads {
			if _, plain := c.Example.(string); plain || p == "" {
				continue
			}
			v := reflect.New(reflect.TypeOf(c.Example))
			dec := json.NewDecoder(strings.NewReader(p))
			dec.DisallowUnknownFields()
			if err := dec.Decode(v.Interface()); err != nil {
				t.Errorf("%s: %v in %s", topic, err, p)
			}
		}
	}
	for _, c := range mqtt.Contract() {
		if !c.Receive && !used[c.Name] {
			t.Errorf("%s was not seen", c.Name)
		}
	}
}
