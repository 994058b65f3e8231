// Package drivers is the list of terminal protocols in this program. It is
// written by hand: reading it shows all there are.
package drivers

import (
	"tillgate/link"
	"tillgate/link/bpos"
	"tillgate/link/ecrvn"
	"tillgate/link/privat"
	"tillgate/link/qfpay"
	"tillgate/link/ssi"
	"tillgate/link/zengi"
)

// All lists the drivers, in the order in which they are shown.
func All() []link.Driver {
	return []link.Driver{
		ecrvn.Driver(),
		privat.Driver(),
		ssi.Driver(),
		qfpay.Driver(),
		zengi.Driver(),
		bpos.Driver(),
	}
}
