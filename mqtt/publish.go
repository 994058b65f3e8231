package mqtt

import (
	"context"
	"fmt"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// parcel is a publish on its way.
type parcel struct {
	topic    string
	qos      byte
	retained bool
	payload  []byte

	sent  chan struct{} // closed when paho has it
	token paho.Token    // valid then
}

// maxParcels is how many publishes may wait for paho. Whoever has one more
// waits for room.
const maxParcels = 64

// publish hands a message over, in the order of the calls of one goroutine.
func (s *session) publish(topic string, qos byte, retained bool, payload []byte) *parcel {
	p := &parcel{topic: topic, qos: qos, retained: retained, payload: payload, sent: make(chan struct{})}
	select {
	case s.parcels <- p:
	case <-s.ctx.Done():
	}
	return p
}

// pump gives parcels to paho. When a connection breaks at the wrong moment,
// paho's Publish waits its whole write timeout for a writer that is gone; here
// only the pump of that connection waits, and the next connection does not.
func (s *session) pump() {
	for {
		select {
		case <-s.ctx.Done():
			return
		case p := <-s.parcels:
			p.token = s.client.Publish(p.topic, p.qos, p.retained, p.payload)
			close(p.sent)
		}
	}
}

// await waits for the PUBACK of a parcel. Only nil means that the broker has
// acknowledged it, on this connection.
func (s *session) await(p *parcel) error { return s.awaitOr(context.Background(), p) }

func (s *session) awaitOr(ctx context.Context, p *parcel) error {
	select {
	case <-p.sent:
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
	return s.acknowledged(ctx, p.token, p.topic)
}

// acknowledged waits for the PUBACK or SUBACK of a token.
func (s *session) acknowledged(ctx context.Context, t paho.Token, what string) error {
	select {
	case <-t.Done(): // under load the usual case; it takes no timer
		return s.tokenError(t, what)
	default:
	}
	timer := time.NewTimer(s.e.o.AckTimeout)
	defer timer.Stop()
	select {
	case <-t.Done():
		return s.tokenError(t, what)
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return fmt.Errorf("%s: no acknowledgement within %v", what, s.e.o.AckTimeout)
	}
}

func (s *session) tokenError(t paho.Token, what string) error {
	if err := t.Error(); err != nil {
		return fmt.Errorf("%s: %w", what, s.reason(err))
	}
	return nil
}
