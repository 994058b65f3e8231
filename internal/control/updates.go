package control

import (
	"context"
	"net/http"
	"time"
)

// Updates is what an update of the box asks of the gateway.
type Updates interface {
	// Hold takes no new payment from when it returns, or refuses since one is
	// open or in doubt. It ends by Release, and by itself after lease.
	Hold(ctx context.Context, lease time.Duration) error
	Release()
	Health() Health
}

// Health is how the gateway is, for who judges a new version.
type Health struct {
	Version      string          `json:"version"`
	Terminals    map[string]bool `json:"terminals"`    // by name: answers
	Destinations map[string]bool `json:"destinations"` // by name: connected
	Stuck        []string        `json:"stuck"`        // terminals whose lanes hang
}

// HoldLease is how long a hold lasts if whoever asked for it is gone.
const HoldLease = 5 * time.Minute

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.o.Updates.Health())
}

func (s *Server) hold(w http.ResponseWriter, r *http.Request) {
	if err := s.o.Updates.Hold(r.Context(), HoldLease); err != nil {
		fail(w, err)
		return
	}
	writeJSON(w, http.StatusOK, struct{}{})
}

func (s *Server) release(w http.ResponseWriter, _ *http.Request) {
	s.o.Updates.Release()
	writeJSON(w, http.StatusOK, struct{}{})
}

// Health asks the gateway how it is.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return get[Health](ctx, c, "/v1/health")
}

// Hold asks the gateway to take no new payment. A refusal says that one is
// open or in doubt.
func (c *Client) Hold(ctx context.Context) error { return c.bare(ctx, http.MethodPost) }

// Release ends a hold.
func (c *Client) Release(ctx context.Context) error { return c.bare(ctx, http.MethodDelete) }

func (c *Client) bare(ctx context.Context, method string) error {
	resp, err := c.send(ctx, method, "/v1/hold", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return answered(resp)
}
