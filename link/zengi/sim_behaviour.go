package zengi

import (
	"errors"
	"strings"
	"time"

	"tillgate/link/simulate"
)

// behaviour is what the service does with one notification.
type behaviour struct {
	outcome string
	arg     string
	times   int64 // of a flood
	size    int64 // of a huge body

	replay  int64
	slow    time.Duration
	chunked bool
	path    string
}

// spoils are the outcomes that no honest listener believes.
var spoils = map[string]bool{
	"wrong-key": true, "wrong-sign": true, "unsigned": true, "bad-padding": true, "bad-length": true, "bad-text": true,
	"half": true, "plain": true, "huge": true, "rubbish": true, "type": true,
}

// maxFlood bounds what one behaviour makes.
const maxFlood = 100_000

func grammar() simulate.Grammar[behaviour] {
	return simulate.Grammar[behaviour]{
		Begin: func(outcome string) behaviour { return behaviour{outcome: outcome} },
		Outcomes: map[string]simulate.Word[behaviour]{
			"approve":     nil,
			"decline":     simulate.Text("51", func(b *behaviour, arg string) { b.arg = arg }),
			"disagree":    nil,
			"spelling":    nil,
			"void":        nil,
			"void-first":  nil,
			"type":        simulate.Text("LOGON", func(b *behaviour, arg string) { b.arg = arg }),
			"rubbish":     nil,
			"wrong-key":   nil,
			"wrong-sign":  nil,
			"unsigned":    nil,
			"bad-padding": nil,
			"bad-length":  nil,
			"bad-text":    nil,
			"half":        nil,
			"plain":       nil,
			"huge":        simulate.Whole(1<<30, func(b *behaviour, n int64) { b.size = n }),
			"flood":       simulate.Whole(1000, func(b *behaviour, n int64) { b.times = min(n, maxFlood) }),
		},
		Features: map[string]simulate.Word[behaviour]{
			"replay":  simulate.Whole(2, func(b *behaviour, n int64) { b.replay = min(n, maxFlood) }),
			"slow":    simulate.Duration(time.Second, func(b *behaviour, d time.Duration) { b.slow = d }),
			"chunked": simulate.Flag(func(b *behaviour) { b.chunked = true }),
			"path": simulate.Checked("/other", func(arg string) error {
				if !strings.HasPrefix(arg, "/") {
					return errors.New("a path begins with a slash")
				}
				return nil
			}, func(b *behaviour, arg string) { b.path = arg }),
		},
	}
}

// spoilSealed changes the encrypted bytes.
func (b behaviour) spoilSealed(sealed []byte) []byte {
	switch b.outcome {
	case "bad-padding": // of the last block every bit, by the one before it
		for i := max(0, len(sealed)-32); i < len(sealed)-16; i++ {
			sealed[i] ^= 0xff
		}
	case "bad-length":
		return sealed[:len(sealed)-1]
	}
	return sealed
}
