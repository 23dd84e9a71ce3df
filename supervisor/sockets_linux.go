package supervisor

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
)

// A netSocket is a line of /proc/net/tcp, tcp6 or unix (proc_pid_net(5)).
type netSocket struct {
	inode  uint64
	addr   string // its own: "host:port", or "unix:" and a path
	listen bool
}

func (s netSocket) isUnix() bool { return strings.HasPrefix(s.addr, "unix:") }

// eachSocket calls f for the TCP sockets and the named Unix sockets of the network
// namespace that dir, the net directory of a process, shows. Where f returns false
// the rest of that table is left out: in those of TCP the kernel has the listening
// sockets before all others.
func eachSocket(dir string, f func(netSocket) bool) error {
	for _, table := range []struct {
		file  string
		parse func(fields []string) (netSocket, bool)
	}{{"tcp", parseTCP}, {"tcp6", parseTCP}, {"unix", parseUnix}} {
		if err := eachLine(dir+"/"+table.file, table.parse, f); err != nil && !errors.Is(err, fs.ErrNotExist) { // no IPv6
			return err
		}
	}
	return nil
}

func eachLine(path string, parse func([]string) (netSocket, bool), f func(netSocket) bool) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if s, ok := parse(strings.Fields(lines.Text())); ok && !f(s) {
			return nil
		}
	}
	return lines.Err()
}

// parseTCP: "sl local_address rem_address st …", the inode the tenth.
func parseTCP(fields []string) (s netSocket, ok bool) {
	const local, state, inode = 1, 3, 9
	const listening = "0A"
	if len(fields) <= inode {
		return s, false
	}
	if s.inode, _ = strconv.ParseUint(fields[inode], 10, 64); s.inode == 0 {
		return s, false // nobody has it open any more
	}
	s.addr, ok = parseAddr(fields[local])
	s.listen = fields[state] == listening
	return s, ok
}

// parseAddr: words of 32 bits in the machine's byte order, a colon, and the port,
// all in hexadecimal. Every address is ":port".
func parseAddr(text string) (addr string, ok bool) {
	host, port, _ := strings.Cut(text, ":")
	ip, err := hex.DecodeString(host)
	n, portErr := strconv.ParseUint(port, 16, 16)
	if err != nil || portErr != nil || len(ip)%4 != 0 {
		return "", false
	}
	for word := range slices.Chunk(ip, 4) { // amd64 and arm64 are little-endian
		slices.Reverse(word)
	}
	if net.IP(ip).IsUnspecified() {
		return fmt.Sprint(":", n), true
	}
	return net.JoinHostPort(net.IP(ip).String(), strconv.FormatUint(n, 10)), true
}

// parseUnix: "Num RefCount Protocol Flags Type St Inode Path". What was accepted
// has the listener's path.
func parseUnix(fields []string) (s netSocket, ok bool) {
	const flags, inode, path = 3, 6, 7
	const listening = "00010000" // __SO_ACCEPTCON
	if len(fields) <= path {
		return s, false
	}
	s.inode, _ = strconv.ParseUint(fields[inode], 10, 64)
	s.addr = "unix:" + strings.Join(fields[path:], " ")
	s.listen = fields[flags] == listening
	return s, s.inode != 0
}

// socketsOf returns the inodes of the sockets that a process has open. The error
// says that they, or some of them, can't be seen: it is another user's, say.
func socketsOf(pid int) (inodes []uint64, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it has ended
	}
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		file, err := os.Readlink(dir + "/" + fd.Name())
		if errors.Is(err, fs.ErrPermission) { // root without CAP_SYS_PTRACE may list them and no more
			return nil, err
		}
		if number, ok := strings.CutPrefix(file, "socket:["); ok {
			inode, _ := strconv.ParseUint(strings.TrimSuffix(number, "]"), 10, 64)
			inodes = append(inodes, inode)
		}
	}
	return inodes, nil
}
