package zengi

import (
	"log/slog"
	"net/http"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Driver is the protocol for the list of drivers. It has no terminal.
func Driver() link.Driver {
	return link.Driver{
		Name: "zengi", Title: "Zengi payment notifications (IPN), Vietnam", Currency: "VND", Explain: Explain,
		Notify: &link.NotifyDriver{
			Path:     "/ipn",
			Settings: func() any { return defaults() },
			Open:     open,
			Accepted: link.NotifyAnswer{Status: http.StatusOK, ContentType: "application/json", Body: `{"result":"ok"}`},
			Refused:  link.NotifyAnswer{Status: http.StatusBadRequest, ContentType: "application/json", Body: `{"result":"refused"}`},
			Certify:  Certify,
			Simulate: newService,
		},
	}
}

// notifier opens the notifications of one partner.
type notifier struct {
	*profile
	currency string
}

func open(c link.NotifyConfig) (link.Notifier, error) {
	p, err := load(c.Settings.(*Settings))
	if err != nil {
		return nil, err
	}
	log := c.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if p.Mode == modeECB {
		log.Warn("mode: ecb shows which blocks of notifications are equal", "sender", c.Name)
	}
	if p.Sign == signNone && p.Mode != modeGCM {
		log.Warn("notifications are not signed: whoever has one can change it", "sender", c.Name)
	}
	return &notifier{p, c.Currency}, nil
}

// Decode verifies and decodes one request (document, 1 to 3).
func (n *notifier) Decode(r link.NotifyRequest) ([]payment.Notice, error) {
	o, err := n.open(r)
	if err != nil {
		return nil, err
	}
	if o.bad != nil {
		if n.Sign == signNone && n.Mode != modeGCM {
			return nil, errPadding // a wrong key looks like this
		}
		return nil, unreadable("the decrypted text: %v", o.bad)
	}
	notice, err := n.notice(o.ipn, n.currency)
	if err != nil {
		return nil, err
	}
	return []payment.Notice{notice}, nil
}
