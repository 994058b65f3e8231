// Package linktest is what every terminal driver has to pass, and the gear to
// break connections with.
//
//	linktest.Run(t, linktest.Subject{Driver: ecrvn.Driver(), ...})
//
// The suite sells on the driver's own simulator, breaks the line at every byte,
// loses answers, swaps terminals, and compares what the driver says with the
// simulator's ledger:
//
//   - approved: the bank charged this attempt, with this amount;
//   - declined, cancelled, failed: it did not, and never will;
//   - nothing sent: the terminal never got to see the attempt;
//   - whatever happens, an attempt is charged at most once, and a lookup moves
//     no money.
//
// The part of a protocol that tells by itself passes [RunNotifier], also where
// it has terminals: what is genuine is read, what is not is refused without a
// trace, and no card data comes out.
//
// Everything but the pseudo-terminal runs in a testing/synctest bubble: minutes
// cost nothing, and a goroutine that is left over fails the test.
package linktest
