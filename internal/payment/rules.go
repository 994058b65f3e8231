package payment

// CheckOrder refuses tx if its order is being paid, in doubt, or paid already.
// others are the records of the same order; the caller makes sure that none is
// added until tx is durable.
func CheckOrder(tx Transaction, others []Record) error {
	if tx.Order == "" || tx.Split || !(Record{Transaction: tx, State: StateBegun}).HoldsOrder() {
		return nil
	}
	for _, r := range others {
		if r.ID != tx.ID && r.Order == tx.Order && r.HoldsOrder() {
			return Refuse(ReasonOrderBusy, "order %s: payment %s is %s; set split to pay an order in parts", Excerpt(tx.Order), r.ID, r.describe())
		}
	}
	return nil
}

// CheckCeiling refuses tx if, with it, more would go back than was paid:
// reversals and refunds of one original, doubtful ones included, stay within
// its amount. others are the records that name the same original. The amount
// of tx is set: whoever asks for a full reversal fills in what is left.
func CheckCeiling(tx Transaction, original Record, others []Record) error {
	if tx.Operation != Reversal && tx.Operation != Refund {
		return nil
	}
	paid := original.Outcome.Amount
	if !original.Outcome.Result.Paid() && original.State != StateOwed && original.Outcome.Result != Unreversed {
		return Refuse(ReasonState, "payment %s is %s: there is nothing to take back", original.ID, original.describe())
	}
	var taken int64
	for _, r := range others {
		if r.ID != tx.ID && r.Original.Payment == original.ID && r.takes() {
			taken += r.Amount.Minor
		}
	}
	if tx.Amount.Currency != paid.Currency || tx.Amount.Minor <= 0 || tx.Amount.Minor > paid.Minor-taken {
		left := Money{paid.Minor - taken, paid.Currency}
		return Refuse(ReasonRefundCeiling, "payment %s: %s cannot go back, %s is left of %s", original.ID, tx.Amount, left, paid)
	}
	return nil
}

// takes says whether this reversal or refund has, or may have, moved money back.
func (r Record) takes() bool {
	return (r.Operation == Reversal || r.Operation == Refund) && (r.State != StateFinal || !r.Outcome.Result.NotPaid())
}
