package control

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

type peerKey struct{}

// withPeer notes who is at the other end, as the kernel knows it.
func withPeer(ctx context.Context, c net.Conn) context.Context {
	who := "unknown"
	if uid, err := peerOf(c); err == nil {
		who = "uid:" + strconv.FormatUint(uint64(uid), 10)
	}
	return context.WithValue(ctx, peerKey{}, who)
}

func peer(ctx context.Context) string {
	who, _ := ctx.Value(peerKey{}).(string)
	return who
}

// peerOf asks for the credentials of unix(7), SO_PEERCRED: those the peer had
// when it connected.
func peerOf(c net.Conn) (uid uint32, err error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return 0, errors.New("not a socket")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) }); cerr != nil {
		return 0, cerr
	}
	if err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
