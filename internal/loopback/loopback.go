// Package loopback gives tests addresses on loopback.
package loopback

import (
	"math/rand/v2"
	"net"
	"strconv"
)

// Free is an address that nobody listens on just now, for a program that is told
// where to listen. It is none that Linux gives to a connection or to whoever
// listens on port 0 (32768 and on, ip(7)): such a one may be taken before the
// program listens, or between two starts of it.
func Free() (address string, err error) {
	for range 100 {
		var l net.Listener
		l, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(16384+rand.IntN(16384)))
		if err == nil {
			return l.Addr().String(), l.Close()
		}
	}
	return "", err
}
