package qfpay

import (
	"strconv"
	"time"

	"tillgate/internal/payment"
)

// check refuses what the protocol cannot carry (Driver.Check).
func check(settings any, r payment.Request) error {
	s, ok := settings.(*Settings)
	if !ok {
		s = defaults()
	}
	switch r.Operation {
	case payment.Purchase:
		if s.Model == ModelA920 && channels[s.Channel] {
			return payment.Refuse(payment.ReasonUnsupported, "operation: an a920 takes QR codes only, no cards")
		}
		return amount(r.Amount)
	case payment.Refund:
		if s.Channel == noRefunds {
			return payment.Refuse(payment.ReasonUnsupported, "operation: Octopus has no refund")
		}
		if err := amount(r.Amount); err != nil {
			return err
		}
		if n := r.Original.Receipt; n == "" || len(n) > maxText || !carried(n) {
			return payment.Refuse(payment.ReasonInvalid, "original: a refund needs the transaction number (syssn) of an approved payment")
		}
		return nil
	case payment.Lookup, payment.Diagnosis, payment.Abort, payment.Print:
		return nil
	}
	return payment.Refuse(payment.ReasonUnsupported, "operation: the terminal's protocol has none of this kind")
}

// noRefunds is the channel whose payments QFPay does not take back (its page
// about the cloud's requests, "Refund/Void").
const noRefunds = "octopus"

func amount(m payment.Money) error {
	if m.Minor <= 0 || m.Minor > payment.MaxMinor {
		return payment.Refuse(payment.ReasonInvalid, "amount: the terminal takes more than nothing and at most 12 digits")
	}
	return nil
}

// carried says whether a text needs no escape, neither in the digest's quotes
// nor in JSON.
func carried(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' || c == '\'' || c == '"' || c == '\\' || c == '{' || c == '}' {
			return false
		}
	}
	return true
}

// trade is function 1001 for one attempt (chapter 3.1).
func (s *Settings) trade(attempt string, m payment.Money) content {
	c := function(funcTrade)
	c.addNumber("amt", major(m))
	c.add("channel", s.Channel)
	c.add("out_trade_no", attempt)
	switch s.Camera {
	case "back":
		c.addNumber("camera_id", "0")
	case "front":
		c.addNumber("camera_id", "1")
	}
	if s.ScanType != "" {
		c.add("scan_type", s.ScanType)
	}
	c.addSeconds("wait_card_timeout", s.WaitCardTimeout)
	c.addSeconds("payment_timeout", s.PaymentTimeout)
	s.common(&c)
	return c
}

// refund is function 1002 (chapter 3.2). Its amount is a text.
func (s *Settings) refund(syssn string, m payment.Money) content {
	c := function(funcRefund)
	c.add("orderId", syssn)
	c.add("refund_amount", m.Decimal())
	if s.AllowModify {
		c.addNumber("allow_modify_flag", "1")
	}
	s.common(&c)
	return c
}

func (s *Settings) common(c *content) {
	if s.MoveToBack {
		c.addNumber("moveToBack", "1")
	}
}

func (c *content) addSeconds(key string, d time.Duration) {
	if d > 0 {
		c.addNumber(key, strconv.FormatInt(int64(d/time.Second), 10))
	}
}

// query is function 4001 by our id, or by QFPay's (chapter 3.5).
func (s *Settings) query(key, id string) content {
	c := function(funcQuery)
	c.add(key, id)
	return c
}

func printReceipt(syssn string) content {
	c := function(funcPrintReceipt)
	c.add("orderId", syssn)
	return c
}
