package ssi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// ok is an answer without an error.
func ok(method string, params map[string]any) reply {
	return reply{say: map[string]any{"method": method, "error": false, "errorCode": "", "errorDescription": "", "params": params}}
}

// refuse is the answer to a request that is not carried out (5.1).
func refuse(method, code string) reply {
	return reply{say: map[string]any{
		"method": method, "error": true, "errorCode": code, "errorDescription": errorCodes[code].text, "params": map[string]any{"details": "simulated"},
	}}
}

func (s *Simulator) tellStatus() reply {
	rep := ok(mGetStatus, map[string]any{})
	status := s.status
	if s.state.Full && status == statusIdle {
		status = statusNeedsZ
	}
	rep.say["status"] = status
	if s.mood.old {
		return rep
	}
	delete(rep.say, "status") // as some firmware has it
	params := map[string]any{"status": status}
	if status == statusFirstStep {
		params["busyCause"] = "waits for step 2"
	}
	rep.say["params"] = params
	return rep
}

// tellResult shows a result with everything that real ones have, track 2 and
// card holder included.
func (s *Simulator) tellResult(method string, p *slip) reply {
	if p == nil {
		rep := refuse(method, "E20")
		rep.say["params"] = map[string]any{"terminalId": s.tid()}
		return rep
	}
	date, clock, _ := strings.Cut(p.Time, " ")
	params := map[string]any{
		"originalTrnName": p.Trn, "transAmount": strconv.FormatInt(p.Amount, 10), "discount": "0", "authCode": p.Auth, "date": date, "time": clock,
		"invoiceNum": "", "bankName": "Bank Acquirer", "merchantId": p.MID, "pan": "4725XXXXXXXX1627", "responseCode": p.Response,
		"rrn": p.RRN, "transactionResult": p.Result, "terminalId": p.TID, "posEntryMode": "CONTACTLESS", "binName": "VISA",
		"track2": "4402722218390184=26092011881002000001", "cardHolderName": "MR CARDHOLDER", "parEnabled": true, "parValue": "Q1HJZ28RKA1EBL470G9XYG90R5D3E",
		"balance": "0", "errorDetails": "",
	}
	if p.Invoice > 0 {
		params["invoiceNum"] = six(p.Invoice)
	}
	if !s.mood.old && p.Uid != "" {
		params["transactionUid"] = p.Uid
	}
	rep := ok(method, params)
	if p.Code != "" {
		rep.say["error"], rep.say["errorCode"], rep.say["errorDescription"] = true, p.Code, errorCodes[p.Code].text
	}
	return rep
}

func (s *Simulator) tellByUID(c command) reply {
	if s.mood.old {
		return refuse(c.Method, "E05")
	}
	for i := len(s.state.Kept) - 1; i >= 0; i-- {
		if p := s.state.Kept[i]; p.Uid == c.Params.TransactionUid {
			return s.tellResult(c.Method, &p)
		}
	}
	return refuse(c.Method, "E20")
}

// serial is that of the terminal that is at the cable.
func (s *Simulator) serial() string {
	if s.mood.serial != "" {
		return s.mood.serial
	}
	return fmt.Sprintf("V1E%07d", (207420+s.number+s.state.Unit)%10_000_000)
}

// tellInfo has the shape of an Android terminal, or of a Linux one (5.5.9).
func (s *Simulator) tellInfo() reply {
	if s.mood.linux {
		return ok(mGetTerminalInfo, map[string]any{
			"model": "SP880", "boot_version": "01.00_00_000019", "devcfg_version": "SP880.3652010.014", "os_version": "9.0.3.0_20231017",
			"napi_api_version": "NAPI_API_V2.7.0", "pci_fw_version": "D_01.00_9000300", "pos_sn": s.serial(),
		})
	}
	app := map[string]any{"name": "MonoBank", "packageName": "com.example.banking", "versionName": "1.2.0.010"}
	return ok(mGetTerminalInfo, map[string]any{
		"terminalModel": "Verifone X990", "terminalSerialNumber": s.serial(), "sdkVersion": 25, "androidVersion": "7.1.2 (N_MR1)", "currentApp": app,
		"securityDriver": map[string]any{"name": "ServiceVer", "versionName": "X990-V1.0.12(202111221449)"},
		"paymentApps":    []any{app, map[string]any{"name": "Raif", "versionName": "1.0.1.75"}}, "externalRegisterApps": []any{},
	})
}

func (s *Simulator) tellMerchants() reply {
	list := s.mood.merchantList()
	return ok(mGetMerchantList, map[string]any{"merchantCount": len(list), "merchantList": list})
}

// encode writes a message's JSON.
func (r reply) encode() []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(r.say) != nil {
		return nil // strings, numbers and booleans only
	}
	data := bytes.TrimRight(b.Bytes(), "\n")
	if r.fault == "bad-json" {
		data = data[:len(data)-1]
	}
	return data
}

// frame writes a message for a byte stream, broken as the script says.
func (r reply) frame() []byte {
	if r.fault == "garbage" {
		return bytes.Repeat([]byte{0xff, stx, 0x00, '{', '"'}, 40)
	}
	msg, err := appendFrame(nil, r.encode())
	if err != nil {
		return nil
	}
	switch r.fault {
	case "bad-lrc":
		msg[len(msg)-1] ^= 0x55
	case "bad-length":
		msg[3], msg[4] = 0xff, 0xff
	case "half-ack":
		msg = msg[:len(msg)/2]
	}
	return msg
}

// page writes a message as an answer of the web service, broken as the script
// says. HTTP has no check byte: a wrong one breaks the JSON.
func (r reply) page() []byte {
	data := r.encode()
	length := len(data)
	switch r.fault {
	case "garbage":
		return bytes.Repeat([]byte{0xff, stx, 0x00, '{', '"'}, 40)
	case "bad-lrc":
		data[0] ^= 0x55
	case "bad-length":
		length = maxData
	}
	msg := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\n\r\n", length)
	msg = append(msg, data...)
	if r.fault == "half-ack" {
		msg = msg[:len(msg)/2]
	}
	return msg
}
