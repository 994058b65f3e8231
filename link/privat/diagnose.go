package privat

import (
	"context"
	"strings"

	"tillgate/internal/payment"
	"tillgate/link"
)

// Diagnose tells who the terminal is, what it is doing and what it keeps as its
// last receipt.
func (t *terminal) Diagnose(ctx context.Context) (link.Diagnosis, error) {
	facts := map[string]string{}
	for _, q := range []struct {
		req  request
		note func(answer)
	}{
		{service(msgIdentify), func(a answer) { facts["vendor"], facts["model"] = a.vendor, a.model }},
		{service(msgLastResult), func(a answer) { facts["last_result"] = a.lastResult }},
		{service(msgStatus), func(a answer) { facts["status"] = a.stage }},
		{service(msgStatusText), func(a answer) { facts["status_text"] = payment.Printable(a.stageText) }},
		{service(msgMerchants), func(a answer) {
			for n, name := range a.list {
				facts["merchant_"+n] = name
			}
		}},
		{service(msgMasks), func(a answer) {
			for n, mask := range a.list {
				facts["mask_"+n] = mask
			}
		}},
		{request{method: methodInfo}, func(a answer) {
			if a.method != "" { // a busy terminal is still who it was
				t.identity, facts["version"] = identityOf(a.version), a.version
			}
		}},
		{receiptInfo("0"), func(a answer) {
			if a.method != "" { // not where it is too busy to say
				t.lookAtFull(a)
			}
			facts["last_receipt"], facts["last_rrn"], facts["last_time"] = a.invoice, a.rrn, strings.TrimSpace(a.date+" "+a.time)
		}},
	} {
		a, err := t.ask(ctx, q.req, nil)
		if err := tolerate(err); err != nil {
			return link.Diagnosis{}, err
		}
		q.note(a)
	}
	for k, v := range facts {
		if v == "" {
			delete(facts, k)
		}
	}
	if t.waited || facts["status"] == stageCashier {
		facts["advice"] = waitsForKey
	}
	d := link.Diagnosis{Identity: t.identity, Facts: facts, Inventory: payment.Inventory{Model: facts["model"], Software: softwareOf(facts["version"])}}
	if t.full != nil {
		d.Blocked = payment.ReasonReconcile
	}
	return d, nil
}

// noteFull remembers that the terminal's log takes no more (1003), and what its
// last receipt was then.
func (t *terminal) noteFull(ctx context.Context, a answer) {
	if a.code != codeFull || !a.failed {
		return
	}
	if r, err := t.receipt(ctx, ""); err == nil {
		m := r.mark()
		t.full = &m
	}
}

// lookAtFull forgets it once the log has changed: somebody has closed the batch,
// or has sold.
func (t *terminal) lookAtFull(a answer) {
	if t.full != nil && !sameReceipt(t.reading(a, "").mark(), *t.full) {
		t.full = nil
	}
}
