package tmaster

// carryOut does what an operation asks for, as the script says.
func (t *Terminal) carryOut(c Command) (Answer, error) {
	b := t.mood
	switch b.Outcome {
	case "mute", "reboot-before":
		return Answer{Command: c}, nil
	case "cancel":
		return own(c, Cancelled), nil
	case "ended":
		return own(c, b.code), nil
	}
	switch c.Operation {
	case Settlement:
		return t.settle(c)
	case Balance, IdentifyCard:
		return t.inquire(c), nil
	}
	if b.Outcome == "full" {
		t.state.Full = true
		if err := t.save(); err != nil {
			return Answer{}, err
		}
	}
	switch {
	case t.state.Full || len(t.state.Slips) >= t.cfg.Batch:
		return own(c, LogFull), nil
	case c.Operation == Void || c.Operation == VoidPartly:
		return t.void(c)
	case c.total() <= 0 || c.Amount < 0 || c.Discount < 0 || c.Cash < 0:
		return own(c, General), nil
	}
	return t.authorise(c)
}

// own is an answer with a code of the terminal itself: no receipt, no amount.
func own(c Command, code int) Answer { return Answer{Command: c, Code: code, Text: texts[code]} }

// inquire asks the bank about a card.
func (t *Terminal) inquire(c Command) Answer {
	if t.mood.Outcome == "decline" {
		return Answer{Command: c, Code: t.mood.code, Text: declined}
	}
	return Answer{Command: c, Balance: 1234567}
}

const declined = "ВІДХИЛЕНО!  ЗВЕРНІТЬСЯ ДО БАНКУ-ЕМІТЕНТА КАРТКИ"

// authorise asks the bank.
func (t *Terminal) authorise(c Command) (Answer, error) {
	b, total := t.mood, c.total()
	switch b.Outcome {
	case "decline":
		return t.refuse(c, b.code)
	case "hand-sale":
		return Answer{Command: c}, t.handSale(total)
	}
	entry, ok := t.entryOf(c)
	switch {
	case !ok:
		return t.refuse(c, 12) // ISO 8583 DE 39: invalid transaction
	case b.Outcome == "partial" && total <= b.extra, b.Outcome == "wrong-amount" && total <= -b.extra:
		return t.refuse(c, 51) // insufficient funds: nothing is left of it
	}
	if b.Outcome == "late-approval" {
		t.approveLater(c)
		return Answer{Command: c}, nil
	}
	s := t.newSlip(c, total)
	switch b.Outcome {
	case "wrong-amount":
		if c.Operation != Refund { // no bank gives back more than it has
			s.Amount += b.extra
		}
	case "partial":
		s.Amount, s.Code = total-b.extra, Partial
	case "no-cash":
		if c.Cash > 0 {
			s.Amount, s.Cash, s.Code = total-c.Cash, 0, Partial
		}
	case "signature":
		s.Signature = true
	}
	s.Left = s.Amount
	if err := t.book(c, s, entry); err != nil {
		return Answer{}, err
	}
	return t.afterwards(c)
}

// refuse is a bank that says no; its receipt is in the log.
func (t *Terminal) refuse(c Command, code int) (Answer, error) {
	s := t.newSlip(c, c.total())
	s.Code, s.Status, s.Entry = code, StatusDeclined, -1
	t.state.Slips = append(t.state.Slips, s)
	t.state.Question = t.mood.question
	return Answer{Command: c, Code: code, Text: declined, Slip: s}, t.save()
}

// entryOf finds what a command with an original is about in the bank's ledger;
// -1 is a new entry.
func (t *Terminal) entryOf(c Command) (int, bool) {
	if c.Operation != Refund && c.Operation != Completion {
		return -1, true
	}
	for i, e := range t.state.Entries {
		l := t.state.Lines[i]
		if e.RRN != c.RRN && (c.Agreement == "" || l.Agreement != c.Agreement) {
			continue
		}
		return i, c.total() <= e.Amount.Minor-l.Back && l.Hold == (c.Operation == Completion) && !e.Reversed && !l.Pending
	}
	return -1, false
}

// afterwards is what goes wrong once the bank has approved.
func (t *Terminal) afterwards(c Command) (Answer, error) {
	i := len(t.state.Slips) - 1
	t.state.Question = t.mood.question
	if t.mood.Outcome == "taken-back" {
		t.takeBack(i)
		t.state.Slips[i].Code = t.mood.code
		return own(c, t.mood.code), t.save()
	}
	t.await()
	if elsewhere, err := t.elsewhere(c.total()); elsewhere || err != nil {
		return Answer{Command: c}, err
	}
	s := t.state.Slips[i]
	return Answer{Command: c, Code: s.Code, Slip: s}, t.save()
}

// elsewhere is what happens at the terminal itself, so that its log no longer
// shows the operation last. Nobody has confirmed it by then.
func (t *Terminal) elsewhere(minor int64) (bool, error) {
	switch t.mood.Outcome {
	case "swapped", "batch-closed", "hand-after":
		if err := t.giveUp(); err != nil {
			return true, err
		}
	}
	switch t.mood.Outcome {
	case "swapped":
		return true, t.swap()
	case "batch-closed":
		t.close()
		return true, t.save()
	case "hand-after":
		return true, t.handSale(minor)
	}
	return false, nil
}

// interrupted is an operation that was given up. If the bank had been asked, its
// approval is taken back; with the feature pending the bank learns of that when
// the batch is closed.
func (t *Terminal) interrupted(c Command, stage int) (Answer, error) {
	t.state.Question = false
	if stage == StageHost && t.mood.pending && c.Operation.MovesMoney() && !c.Operation.silent() && t.mood.Outcome == "approve" {
		if entry, ok := t.entryOf(c); ok && entry < 0 {
			if err := t.book(c, t.newSlip(c, c.total()), entry); err != nil {
				return Answer{}, err
			}
			i := len(t.state.Slips) - 1
			t.takeBack(i)
			t.state.Slips[i].Code = Cancelled
		}
	}
	return own(c, Cancelled), t.save()
}

// approveLater books a sale that nobody hears of: after a time, for which the
// terminal is busy, or after some questions.
func (t *Terminal) approveLater(c Command) {
	t.later, t.asks = &c, t.mood.asks
	after := t.mood.after
	if after <= 0 {
		return // see Terminal.asked
	}
	j := t.occupy(StageHost)
	t.power.Go(func() {
		if !t.power.Wait(after) {
			return
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.job == j {
			t.job = nil
		}
		if err := t.approveNow(); err != nil {
			t.fail(err)
		}
	})
}

func (t *Terminal) approveNow() error {
	if t.later == nil {
		return nil
	}
	c := *t.later
	t.later = nil
	entry, ok := t.entryOf(c)
	if !ok {
		return nil // the original went back meanwhile
	}
	if err := t.book(c, t.newSlip(c, c.total()), entry); err != nil {
		return err
	}
	t.await()
	return t.save()
}

// asked counts a question to the log, after it has been answered.
func (t *Terminal) asked() {
	if t.later == nil || t.mood.after > 0 {
		return
	}
	if t.asks--; t.asks <= 0 {
		if err := t.approveNow(); err != nil {
			t.fail(err)
		}
	}
}

// handSale is somebody selling on the keypad.
func (t *Terminal) handSale(minor int64) error {
	c := Command{Operation: Purchase, Amount: minor}
	return t.book(c, t.newSlip(c, minor), -1)
}

// swap puts another terminal at the cable. It has a receipt of its own.
func (t *Terminal) swap() error {
	t.state.Unit++
	t.state.Invoice, t.state.Slips, t.state.Full, t.state.Unconfirmed = 4000, nil, false, 0
	return t.handSale(50000)
}
