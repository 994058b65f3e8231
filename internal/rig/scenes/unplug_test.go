package scenes

import (
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"tillgate/serialio"
)

// atOnce is how soon a pulled plug is an error. A machine that its host lets wait
// can be late, though not each of five times.
const atOnce = 100 * time.Millisecond

// unplug pulls the plug under a blocked Read and returns after how long that ended.
func unplug(t *testing.T, p *serialio.Port, cable net.Conn) (took time.Duration) {
	t.Helper()
	ended := make(chan error, 1)
	begun := make(chan struct{})
	go func() {
		close(begun)
		_, err := p.Read(make([]byte, 1))
		ended <- err
	}()
	<-begun
	pulled := time.Now()
	cable.Close()
	err := <-ended
	took = time.Since(pulled)
	t.Logf("a blocked Read of %s ended %v after the plug was pulled: %v", p.Path(), took.Round(100*time.Microsecond), err)
	if !errors.Is(err, serialio.ErrUnplugged) {
		t.Errorf("read gave %v, want ErrUnplugged", err)
	}
	return took
}

// The kernel's port of a terminal that is pulled out is an error at once; libusb's
// is in usbhid's own tests.
func TestUnplugOfAPort(t *testing.T) {
	inMachine(t)
	took := time.Hour
	for n := 0; took > atOnce && n < 5; n++ {
		cable, out := mute(t)
		var ports []string
		await(t, "the port", func() bool {
			ports, _ = filepath.Glob("/dev/ttyACM*")
			return len(ports) == 1
		})
		p, err := serialio.Open(serialio.Options{Path: ports[0]})
		if err != nil {
			t.Fatal(err)
		}
		took = min(took, unplug(t, p, cable))
		p.Close()
		<-out
		await(t, "the port is gone", func() bool { return !exists(ports[0]) })
	}
	if took > atOnce {
		t.Errorf("of five blocked Reads none ended within %v after the plug was pulled, the quickest after %v", atOnce, took)
	}
}
