package payment

// Agreement is how the amount a terminal reports compares with the one asked.
type Agreement int

const (
	AmountDoubtful Agreement = iota // more, another currency, or unreadable: money moved, nobody knows how much
	AmountAgreed                    // what was asked, or the discounted amount that was agreed on
	AmountPartial                   // less: the partial policy decides
)

// Compare judges the amount in an approved answer. asked is the amount of the
// request; discounted is an amount both sides agreed on before the card was
// charged, or the zero Money; answered is what the terminal reported, the zero
// Money if it could not be read.
func Compare(asked, discounted, answered Money) Agreement {
	switch {
	case answered.IsZero() || answered.Currency != asked.Currency || answered.Minor < 0:
		return AmountDoubtful
	case answered == asked, !discounted.IsZero() && answered == discounted:
		return AmountAgreed
	case answered.Minor < asked.Minor:
		return AmountPartial
	default:
		return AmountDoubtful
	}
}
