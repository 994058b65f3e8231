// Package simulate is what the simulators of all drivers have in common: the
// script that says how the terminal behaves, the file that keeps its bank, its
// power, and the numbers that its name gives it. What a terminal says, and what
// goes wrong with it, is the driver's.
//
//	-script "approve,lost-answer+slow:20s"      a script: entries, in order
//	         approve                            an outcome, one an entry at most
//	                 lost-answer+slow:20s       an outcome and a feature with its argument
//
// # How a driver uses it
//
//	type behaviour struct { outcome, arg string; slow time.Duration; echo bool }
//
//	func grammar() simulate.Grammar[behaviour] {
//		return simulate.Grammar[behaviour]{
//			Begin:    func(outcome string) behaviour { return behaviour{outcome: outcome} },
//			Outcomes: map[string]simulate.Word[behaviour]{
//				"approve": nil, // the name says it all
//				"decline": simulate.Text("51", func(b *behaviour, arg string) { b.arg = arg }),
//			},
//			Features: map[string]simulate.Word[behaviour]{
//				"slow": simulate.Duration(3*time.Second, func(b *behaviour, d time.Duration) { b.slow = d }),
//				"echo": simulate.Flag(func(b *behaviour) { b.echo = true }),
//			},
//		}
//	}
//
//	type state struct {
//		simulate.Bank      // currency and ledger
//		Receipt       int `json:"receipt"`
//	}
//	func (s *state) Check() error   // refuses a file that contradicts itself
//
//	c, script, err := simulate.Prepare(c, "VND", grammar()) // script.Next() at each money command
//	err = simulate.Load(c.Ledger, &s.state)           // s.state has its beginnings, Currency among them
//	err = simulate.Save(s.file, &s.state)             // before anybody hears of a change
//	s.power.Serve(ctx, conn, func() error { return s.listen(conn) })
//	serial := fmt.Sprintf("TEST%08d", simulate.Number(c.Name, 100_000_000))
package simulate
