package front

import "golang.org/x/sys/unix"

// noSYN is a filter (bpf(4), in the old form, which needs no privilege) that
// sees TCP segments from their header on and lets those pass that do not open a
// connection.
var noSYN = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 13},            // the flags
	{Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, K: 0x02, Jf: 1}, // SYN
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 1<<32 - 1},
}

// turnAway makes a TCP listener take no further connection. (To shut it down, or
// to close it, would reset those in its queue.) Clients whose handshake is
// under way are let in, and with them, within seconds, those who are connected
// and silent: the kernel waits for what they say no longer. Accepted sockets
// inherit the filter, and nothing comes of it.
//
// If it fails, clients come to the end.
func turnAway(listener int) {
	deferAccept(listener, false)
	unix.SetsockoptSockFprog(listener, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(noSYN)), Filter: &noSYN[0]})
}
