package privat

import (
	"errors"
	"fmt"
	"strings"

	"tillgate/internal/payment"
)

// request writes tx down in the terminal's language.
func (t *terminal) request(tx payment.Transaction) (request, error) {
	if err := check(t.settings, tx.Request); err != nil {
		return request{}, err
	}
	if !tx.Amount.IsZero() && tx.Amount.Currency != t.currency {
		return request{}, fmt.Errorf("the terminal takes %s", t.currency)
	}
	m := t.settings.merchant(tx.Request)
	switch tx.Operation {
	case payment.Purchase:
		if !tx.Cashback.IsZero() {
			return m.cashback(tx.Amount, tx.Cashback), nil
		}
		return m.purchase(tx.Amount), nil
	case payment.Refund:
		return t.refund(m, tx)
	case payment.ServicePayment:
		call, err := parseService(tx.Service)
		return call.request(m, tx.Amount, ""), err
	case payment.Preauthorization:
		return m.preauthorization(tx.Amount), nil
	case payment.Balance:
		return m.balance(), nil
	case payment.Reconciliation:
		if tx.Merchant == "" {
			m.index = "0" // all of them
		}
		return m.verify(), nil
	case payment.Reversal, payment.Completion:
		original := t.money(readMark(tx.Baseline.Fingerprint).OriginalAmount)
		if original.IsZero() || tx.Amount.Minor > original.Minor {
			return request{}, errors.New("the baseline does not have the amount of the original, or less than is asked for")
		}
		if tx.Operation == payment.Completion {
			return completion(original, tx.Amount, tx.Original.Auth, tx.Original.RRN), nil
		}
		if tx.Amount.IsZero() || tx.Amount == original {
			return void(tx.Original.Receipt), nil
		}
		return voidPartly(tx.Amount, tx.Original.Receipt), nil
	}
	return request{}, fmt.Errorf("the protocol has no %s", tx.Operation)
}

// refund is made by the terminal's own operation, or by a service: the one that
// the request names, else the one of the profile.
func (t *terminal) refund(m merchant, tx payment.Transaction) (request, error) {
	name := tx.Service
	if name == "" && t.settings.Refund == RefundService {
		name = methodServiceRefund
	}
	if name == "" {
		return m.refund(tx.Amount, tx.Original.RRN), nil
	}
	call, err := parseService(name)
	return call.request(m, tx.Amount, tx.Original.RRN), err
}

// method is how a terminal calls the command of tx, or "".
func (t *terminal) method(tx payment.Transaction) string {
	r, err := t.request(tx)
	if err != nil {
		return ""
	}
	return r.method
}

// merchant is who is paid: an index of the terminal's list, and the bank's name
// of one of several shops behind it.
type merchant struct{ index, sub string }

// merchant is the one that a request names, as "2" or "2/shop", else the
// profile's.
func (s *Settings) merchant(r payment.Request) merchant {
	if r.Merchant == "" {
		return merchant{s.MerchantID, s.SubMerchant}
	}
	index, sub, _ := strings.Cut(r.Merchant, "/")
	return merchant{index, sub}
}

// purchase has all five parameters, empty ones too: Newland N950 refuses a
// Purchase without discount or merchantId.
func (m merchant) purchase(amount payment.Money) request {
	return request{methodPurchase, []param{
		{"amount", amount.Decimal()}, {"discount", ""}, {"merchantId", m.index}, {"facepay", "false"}, {"subMerchant", m.sub},
	}}
}

// cashback names goods and cash apart (5.16); the card is charged both.
func (m merchant) cashback(whole, cash payment.Money) request {
	goods := payment.Money{Minor: whole.Minor - cash.Minor, Currency: whole.Currency}
	return request{methodCashback, []param{{"amount", goods.Decimal()}, {"amountCash", cash.Decimal()}, {"merchantId", m.index}, {"subMerchant", m.sub}}}
}

func (m merchant) refund(amount payment.Money, rrn string) request {
	return request{methodRefund, []param{
		{"amount", amount.Decimal()}, {"discount", ""}, {"merchantId", m.index}, {"rrn", rrn}, {"subMerchant", m.sub},
	}}
}

func void(invoice string) request { return request{methodVoid, []param{{"invoiceNumber", invoice}}} }

func voidPartly(amount payment.Money, invoice string) request {
	return request{methodPartly, []param{{"amount", amount.Decimal()}, {"invoiceNumber", invoice}}}
}

func (m merchant) preauthorization(amount payment.Money) request {
	return request{methodPreauth, []param{{"amount", amount.Decimal()}, {"merchantId", m.index}}}
}

// completion names the amount that was reserved and the one that is taken.
func completion(reserved, taken payment.Money, auth, rrn string) request {
	return request{methodCompletion, []param{
		{"amount", reserved.Decimal()}, {"addamount", taken.Decimal()}, {"approvalCode", auth}, {"rrn", rrn},
	}}
}

func (m merchant) balance() request {
	return request{methodBalance, []param{{"merchantId", m.index}}}
}

// verify closes the batch of one merchant, or with "0" of every one.
func (m merchant) verify() request {
	return request{methodVerify, []param{{"merchantId", m.index}}}
}

// correct offers a discount while the terminal waits for it (6.12).
func correct(amount, discount payment.Money) request {
	r := service(msgCorrect)
	r.params = append(r.params, param{"amount", amount.Decimal()}, param{"discount", discount.Decimal()})
	return r
}
