package payment

import (
	"strings"
	"unicode"
)

// Inventory is what a terminal is, as it says itself. What its protocol does not
// tell, or has not told yet, is "".
type Inventory struct {
	Identity string `json:"identity,omitempty"` // what tells it from other terminals
	Serial   string `json:"serial,omitempty"`
	TID      string `json:"tid,omitempty"` // only where the terminal has one
	Model    string `json:"model,omitempty"`
	Software string `json:"software,omitempty"` // of the payment application, with its version
}

// maxInventory is what is kept of one text, in bytes: it all has to fit into a
// note of the journal.
const maxInventory = 64

func (i *Inventory) fields() [5]*string {
	return [5]*string{&i.Identity, &i.Serial, &i.TID, &i.Model, &i.Software}
}

var inventoryNames = [5]string{"identity", "serial", "tid", "model", "software"}

// Clean bounds every text and drops what cannot be printed, or what JSON writes
// as more than one byte.
func (i Inventory) Clean() Inventory {
	for _, f := range i.fields() {
		text := strings.Map(func(r rune) rune {
			if r == unicode.ReplacementChar || strings.ContainsRune(`"\<>&`, r) || !unicode.IsPrint(r) {
				return -1
			}
			return r
		}, *f)
		*f = strings.TrimSpace(strings.ToValidUTF8(text[:min(len(text), maxInventory)], ""))
	}
	return i
}

// Known is i, completed by what else was told before.
func (i Inventory) Known(before Inventory) Inventory {
	now, then := i.fields(), before.fields()
	for n := range now {
		if *now[n] == "" {
			*now[n] = *then[n]
		}
	}
	return i
}

// Differs names what is not as it was, by the names of JSON. What either side
// does not tell is no difference. An identity counts only where neither serial
// number nor TID is told: it is made of them.
func (i Inventory) Differs(was Inventory) (names []string) {
	told := func(a, b string) bool { return a != "" && b != "" }
	now, then := i.fields(), was.fields()
	for n, name := range inventoryNames {
		if n == 0 && (told(i.Serial, was.Serial) || told(i.TID, was.TID)) {
			continue
		}
		if told(*now[n], *then[n]) && *now[n] != *then[n] {
			names = append(names, name)
		}
	}
	return names
}
