package mqtt_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tillgate/internal/payment"
	"tillgate/mqtt"
)

// Every JSON example of docs/mqtt.md, marked with its name in the contract,
// decodes strictly; commands pass the real decoder.
func TestDocumentedExamples(t *testing.T) {
	doc := manual(t)
	blocks := regexp.MustCompile("(?s)```json (\\S+)\n(.*?)\n```").FindAllStringSubmatch(doc, -1)
	if len(blocks) < 10 {
		t.Fatalf("%d examples found", len(blocks))
	}
	for _, b := range blocks {
		if verb, command := strings.CutPrefix(b[1], "command-"); command {
			e, err := mqtt.Decode(verb, []byte(b[2]))
			if err != nil {
				t.Errorf("%s: %v", b[1], err)
			} else if op, _ := payment.Verb(verb).Operation(); op.MovesMoney() {
				if err := e.Validate(); err != nil {
					t.Errorf("%s: %v", b[1], err)
				}
			}
			continue
		}
		all := mqtt.Contract()
		i := slices.IndexFunc(all, func(c mqtt.Channel) bool { return c.Name == b[1] })
		if i < 0 {
			t.Errorf("%s is not in the contract", b[1])
			continue
		}
		d := json.NewDecoder(strings.NewReader(b[2]))
		d.DisallowUnknownFields()
		if err := d.Decode(reflect.New(reflect.TypeOf(all[i].Example)).Interface()); err != nil {
			t.Errorf("%s: %v", b[1], err)
		}
	}
	for _, c := range mqtt.Contract() {
		topic := strings.TrimPrefix(c.Address, "tillgate/v1/{box}/")
		if !c.Receive && !strings.Contains(doc, "`"+topic+"`") {
			t.Errorf("topic %s is not documented", topic)
		}
	}
}

// The documented ACL file is enough for the gateway.
func TestDocumentedACL(t *testing.T) {
	m := regexp.MustCompile("(?s)```\n(user gateway\n.*?)```").FindStringSubmatch(manual(t))
	if m == nil {
		t.Fatal("no ACL file in the document")
	}
	s := debians(t, m[1])
	h := newHouse()
	h.emit(payment.EventFinal, 1)
	e, _ := run(t, options(s, h))
	connected(t, e)
	until(t, "cursor", func() bool { return h.at("local") == 2 })
	c := *s
	c.kiosk = "controller"
	k := control(t, &c)
	if r := k.ask("purchase", "any", `{`+sale+`,"session":"`+k.session()+`"}`); r.Status != payment.ReplyAccepted {
		t.Errorf("reply is %+v", r)
	}
	k.publish("refund", `{`+sale+`,"session":"`+k.session()+`"}`, false)
	k.ask("lookup", "any", `{"id":"p-1"}`)
	for _, c := range h.commands() {
		if c.Verb == payment.VerbRefund {
			t.Error("the controller could refund")
		}
	}
}

// The documented way to learn the session.
func TestDocumentedSessionLine(t *testing.T) {
	if _, err := exec.LookPath("mosquitto_sub"); err != nil {
		t.Skip("mosquitto_sub is not installed: apt-get install mosquitto-clients")
	}
	m := regexp.MustCompile(`(?m)^SESSION=(.*)$`).FindStringSubmatch(manual(t))
	s := embedded(t)
	e, _ := run(t, options(s, newHouse()))
	connected(t, e)
	control(t, s).session() // info lies there
	line := strings.ReplaceAll(m[1], "1883", s.url[strings.LastIndex(s.url, ":")+1:])
	cmd := exec.Command("sh", "-c", "echo "+line)
	cmd.Env = append(os.Environ(), "PASSWORD="+s.kioskPassword)
	out, err := cmd.CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != e.State().Session {
		t.Errorf("session is %q, %v, want %s", out, err, e.State().Session)
	}
}

// Every word that a controller may send or be told is in the document.
func TestDocumentedWords(t *testing.T) {
	doc := manual(t)
	n := 0
	for file, kind := range map[string]string{"command.go": "Verb|ReplyStatus|PrintKind", "event.go": "EventType", "refusal.go": "Reason", "outcome.go": "Result", "record.go": "State"} {
		source, err := os.ReadFile(filepath.Join("..", "internal", "payment", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^\t\w+ +(?:`+kind+`) += "([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
			if n++; !strings.Contains(doc, "`"+m[1]+"`") {
				t.Errorf("%s of %s is not documented", m[1], file)
			}
		}
	}
	if n < 80 {
		t.Errorf("%d words found", n)
	}
}

func manual(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "docs", "mqtt.md"))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
