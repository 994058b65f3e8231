package privat

import (
	"strings"

	"tillgate/internal/payment"
)

// stageCorrect is the LastStatMsgCode at which a purchase can be corrected, and
// stageCashier the one at which the terminal waits for a key.
const (
	stageCorrect = "11"
	stageCashier = "4"
)

// discounted is what a purchase costs a card of a discount group, or the zero
// Money if the profile gives that group nothing. Parts of a minor unit are the
// customer's.
func (s *Settings) discounted(m payment.Money, group string) payment.Money {
	percent := s.Discounts[strings.TrimSpace(group)]
	if percent <= 0 || m.Minor <= 0 {
		return payment.Money{}
	}
	off := m.Minor/100*int64(percent) + (m.Minor%100*int64(percent)+99)/100
	if off <= 0 || off >= m.Minor {
		return payment.Money{}
	}
	return payment.Money{Minor: m.Minor - off, Currency: m.Currency}
}

// agreed is the amount of an approval of tx that was looked up, if it is what the
// profile's discounts make of it; else the zero Money. It is how a discount is
// known that was agreed on before a crash. A bank that approved less has a code of
// its own.
func (t *terminal) agreed(tx payment.Transaction, a answer) payment.Money {
	got := t.money(a.amount)
	if tx.Operation != payment.Purchase || !tx.Cashback.IsZero() || a.code != codeApproved || got.IsZero() {
		return payment.Money{}
	}
	for group := range t.settings.Discounts {
		if m := t.settings.discounted(tx.Amount, group); m == got {
			return m
		}
	}
	return payment.Money{}
}

// offer answers a terminal that knows the card's discount group: the correction
// to send, if there is one, and the amount that is agreed on with it.
func (t *terminal) offer(tx payment.Transaction, group string) (request, payment.Money, bool) {
	final := t.settings.discounted(tx.Amount, group)
	if final.IsZero() {
		return request{}, final, false
	}
	return correct(tx.Amount, payment.Money{Minor: tx.Amount.Minor - final.Minor, Currency: final.Currency}), final, true
}
