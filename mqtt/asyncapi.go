package mqtt

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"tillgate/internal/payment"
)

// channel is one kind of topic in the contract.
type channel struct {
	name, address string // address with {box}, {terminal} …
	receive       bool   // the gateway hears it; else it publishes
	qos           int
	retain        bool
	about         string
	example       any // of the payload's Go type; a string is plain text
}

// contract lists every topic, commands first.
func contract() []channel {
	const root = "tillgate/v1/{box}/"
	var all []channel
	for _, v := range payment.Verbs() {
		all = append(all, channel{"command-" + string(v), root + "command/" + string(v), true, 1, false, "ask for " + string(v), exampleCommand(v)})
	}
	at := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	event := CloudEvent{
		SpecVersion: "1.0", ID: "kiosk-7/ab12/42", Source: "/tillgate/kiosk-7", Type: "tillgate.payment.final.v1", Subject: "payment/p-1", Time: at,
		ContentType: "application/json", Sequence: "0000000000000042", Clock: payment.ClockSynced, Data: json.RawMessage(`{"id":"p-1","state":"final","outcome":{"result":"approved"}}`),
	}
	alert := payment.Alert{Code: payment.AlertInDoubt, Text: "payment p-1 is in doubt", IDs: []payment.ID{"p-1"}, Since: at}
	reply := Reply{Reply: payment.Reply{Verb: payment.VerbPurchase, ID: "p-1", Status: payment.ReplyAccepted}, RequestID: "r-1", Session: exampleSession}
	terminal := payment.TerminalStatus{Name: "pos1", Driver: "ecrvn", Link: payment.LinkOnline, Stage: payment.StageIdle, Sellable: true, Reasons: []payment.Reason{}}
	return append(all,
		channel{"reply", root + "reply/{client}", false, 1, false, "the answer to a command, at once", reply},
		channel{"replay", root + "replay/{client}", false, 1, false, "events asked for again, with the bytes they had", event},
		channel{"event", root + "event/{type}", false, 1, false, "what the journal announces, in order, at least once", event},
		channel{"status", root + "status", false, 1, true, "online, stopping, or offline (last will)", StatusOnline},
		channel{"info", root + "info", false, 1, true, "the session to quote, and versions", Info{Box: "kiosk-7", Session: exampleSession, Epoch: "ab12", Commands: true, Contract: "v1", Versions: map[string]string{"tillgate": "1.0.0"}}},
		channel{"health", root + "health", false, 1, true, "the whole box; younger than three intervals means alive", Health{Time: at, Interval: 30000, OK: true, Reasons: []payment.Reason{}, Terminals: []payment.TerminalStatus{terminal}, Alerts: []payment.AlertCode{}}},
		channel{"sellable", root + "sellable", false, 1, true, "whether the box and each terminal can sell, and why not", Sellable{Reasons: []payment.Reason{payment.ReasonOffline}, Terminals: map[string]TerminalSellable{"pos1": {Reasons: []payment.Reason{payment.ReasonOffline}}}}},
		channel{"outbox", root + "outbox", false, 1, true, "how far the events are", OutboxState{Epoch: "ab12", LastSeq: 42, Delivered: 42}},
		channel{"terminal-status", root + "terminal/{terminal}/status", false, 1, true, "offline, settling or online", string(payment.LinkOnline)},
		channel{"terminal-state", root + "terminal/{terminal}/state", false, 1, true, "idle, waiting-card, pin, host, printing or remove-card", string(payment.StageIdle)},
		channel{"terminal-progress", root + "terminal/{terminal}/progress", false, 0, false, "news of a running payment; never a result", payment.Progress{ID: "p-1", Terminal: "pos1", Stage: payment.StagePIN}},
		channel{"alert", root + "alert/{code}", false, 1, true, "a person should look; an empty payload clears it", alert},
	)
}

const exampleSession = "mew6iqcibpkhzow2vxql"

// exampleCommand is a command as a controller would send it.
func exampleCommand(v payment.Verb) Envelope {
	e := Envelope{Client: "till", RequestID: "r-1"}
	op, money := v.Operation()
	switch v {
	case payment.VerbUpdate:
		e.Bundle = "https://updates.example.com/tillgate-v1.4.0-arm64.bundle"
	case payment.VerbReplay:
		e.From, e.To = 40, 42
	case payment.VerbReconcile, payment.VerbTotals, payment.VerbDiagnose, payment.VerbRestart:
		e.Terminal = "pos1"
	case payment.VerbPause, payment.VerbResume, payment.VerbAccept:
		e.Terminal, e.By = "pos1", "Lan"
	default:
		e.ID = "p-1"
	}
	if money {
		e.Session, e.TTL = exampleSession, 5000
	}
	if op.MovesMoney() {
		e.Terminal, e.Amount = "pos1", payment.Money{Minor: 123456, Currency: "VND"}
	}
	if op.ReadsCard() {
		e.Terminal = "pos1"
	}
	switch v {
	case payment.VerbPurchase:
		e.Order, e.FulfilWithin = "bill-77", 60_000
	case payment.VerbRefund, payment.VerbReversal, payment.VerbCompletion:
		e.ID, e.Original.Payment = "p-2", "p-1"
	case payment.VerbRollback:
		e.Reason = "the cup fell over"
	case payment.VerbResolve:
		e.Result, e.By, e.Reason = payment.Approved, "Lan", "slip seen"
	}
	return e
}

// AsyncAPI is the contract as an AsyncAPI 3.0 document in JSON, made from the
// Go types. The same program always gives the same bytes; info shows their
// SHA-256.
func AsyncAPI() ([]byte, error) {
	schemas := &schemaSet{defs: map[string]any{}}
	channels, operations, messages := map[string]any{}, map[string]any{}, map[string]any{}
	for _, c := range contract() {
		payload, err := examplePayload(c.example)
		if err != nil {
			return nil, err
		}
		contentType, schema := "application/json", any(nil)
		switch c.example.(type) {
		case string:
			contentType, schema = "text/plain", map[string]any{"type": "string"}
		case CloudEvent:
			contentType = "application/cloudevents+json"
		}
		if schema == nil {
			schema = schemas.of(c.example)
		}
		messages[c.name] = map[string]any{
			"summary": c.about, "contentType": contentType, "payload": schema,
			"examples": []any{map[string]any{"payload": payload}},
		}
		channels[c.name] = map[string]any{
			"address": c.address, "description": c.about, "parameters": parameters(c.address),
			"messages": map[string]any{c.name: ref("#/components/messages/" + c.name)},
		}
		action := "send"
		if c.receive {
			action = "receive"
		}
		operations[c.name] = map[string]any{
			"action": action, "channel": ref("#/channels/" + c.name),
			"bindings": map[string]any{"mqtt": map[string]any{"qos": c.qos, "retain": c.retain, "bindingVersion": "0.2.0"}},
		}
	}
	doc := map[string]any{
		"asyncapi": "3.0.0",
		"info": map[string]any{
			"title": "Tillgate", "version": "1.0.0",
			"description": "Card payments in a kiosk over MQTT 3.1.1. Members and values may be added; an unknown value of result or reason means not paid yet, not done.",
		},
		"defaultContentType": "application/json",
		"channels":           channels, "operations": operations,
		"components": map[string]any{"messages": messages, "schemas": schemas.defs},
	}
	return json.MarshalIndent(doc, "", " ")
}

// examplePayload is the example as it travels.
func examplePayload(v any) (any, error) {
	if s, ok := v.(string); ok {
		return s, nil
	}
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	if _, command := v.(Envelope); command {
		return trim(b)
	}
	return json.RawMessage(b), nil
}

// trim leaves out what the topic of a command says already.
func trim(b []byte) (json.RawMessage, error) {
	var m map[string]json.RawMessage
	if err := json.Unmarshal(b, &m); err != nil {
		return nil, err
	}
	maps.DeleteFunc(m, func(name string, v json.RawMessage) bool {
		return string(v) == `""` && slices.Contains([]string{"verb", "operation", "id"}, name)
	})
	return json.Marshal(m)
}

func ref(to string) map[string]any { return map[string]any{"$ref": to} }

func parameters(address string) map[string]any {
	p := map[string]any{}
	for name, about := range map[string]string{
		"box": "name of the box: letters, digits, '_', '-'", "client": "as the command names it; \"any\" if it names none",
		"type": "type of the event", "terminal": "name of the terminal, other characters than letters, digits, '_', '-', '.', '~' as %XX", "code": "code of the alert",
	} {
		if containsParameter(address, name) {
			p[name] = map[string]any{"description": about}
		}
	}
	return p
}
