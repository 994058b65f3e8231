package firmware

import (
	"strings"
	"testing"
	"time"
)

// Each thing that a new version has to prove keeps it from being confirmed by
// itself, and nothing else does.
func TestGate(t *testing.T) {
	for behaves, tt := range map[string]struct {
		outcome Outcome
		why     string
		takes   time.Duration // at least
	}{
		"good":      {Confirmed, "", 10 * time.Second},
		"better":    {Confirmed, "", 10 * time.Second},
		"late":      {Confirmed, "", 4*time.Minute + 10*time.Second},
		"mute":      {RolledBack, "does not answer", 5 * time.Minute}, // as one whose journal does not open
		"liar":      {RolledBack, "v1.0.0 answers", 5 * time.Minute},
		"blind":     {RolledBack, "terminal front", 5 * time.Minute},
		"forgetful": {RolledBack, "terminal front, broker local", 5 * time.Minute},
		"deaf":      {RolledBack, "broker local", 5 * time.Minute}, // and the uplink, which was away before, may stay away
		"flaps":     {RolledBack, "", 5 * time.Minute},
		"too-late":  {RolledBack, "terminal front", 5 * time.Minute},
	} {
		t.Run(behaves, func(t *testing.T) {
			bubble(t, func(w *world) {
				begun := time.Now()
				r, err := w.install(w.bundle(v2, behaves))
				took := time.Since(begun)
				if err != nil || r.Outcome != tt.outcome || !strings.Contains(r.Text, tt.why) {
					t.Errorf("%+v, %v, want %s, %q", r, err, tt.outcome, tt.why)
				}
				if took < tt.takes || took > tt.takes+10*time.Second {
					t.Errorf("judged after %v, want %v", took, tt.takes)
				}
				if tt.outcome == RolledBack {
					w.runs(v1)
				} else {
					w.runs(v2)
				}
			})
		})
	}
}
