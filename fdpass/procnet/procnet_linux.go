package procnet

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strconv"
	"strings"
)

// A Socket is a TCP socket or a Unix socket with a name.
type Socket struct {
	Inode   uint64
	At      netip.AddrPort // its own end, an IPv4 address as such; not valid for a Unix socket
	Path    string         // of a Unix socket; what was accepted has the listener's
	UID     uint32         // whose it is; 0 for a Unix socket
	Listens bool
}

// Addr is ":port" for all addresses, "host:port", or "unix:" and the path.
func (s Socket) Addr() string {
	switch {
	case !s.At.IsValid():
		return "unix:" + s.Path
	case s.At.Addr().IsUnspecified():
		return fmt.Sprint(":", s.At.Port())
	}
	return s.At.String()
}

// Each calls f for the sockets of the network namespace that dir, the net directory
// of a process, shows. Where f returns false the rest of that table is left out: in
// those of TCP the kernel has the listening sockets before all others.
func Each(dir string, f func(Socket) bool) error {
	for _, table := range []struct {
		file  string
		parse func(fields []string) (Socket, bool)
	}{{"tcp", parseTCP}, {"tcp6", parseTCP}, {"unix", parseUnix}} {
		if err := eachLine(dir+"/"+table.file, table.parse, f); err != nil && !errors.Is(err, fs.ErrNotExist) { // no IPv6
			return err
		}
	}
	return nil
}

func eachLine(path string, parse func([]string) (Socket, bool), f func(Socket) bool) error {
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

// parseTCP: "sl local_address rem_address st …", the user the eighth and the inode the
// tenth.
func parseTCP(fields []string) (s Socket, ok bool) {
	const local, state, uid, inode = 1, 3, 7, 9
	const listening = "0A" // the kernel's TCP_LISTEN
	if len(fields) <= inode {
		return s, false
	}
	if s.Inode, _ = strconv.ParseUint(fields[inode], 10, 64); s.Inode == 0 {
		return s, false // nobody has it open any more
	}
	owner, _ := strconv.ParseUint(fields[uid], 10, 32)
	s.UID, s.Listens = uint32(owner), fields[state] == listening
	s.At, ok = parseAddr(fields[local])
	return s, ok
}

// parseAddr: words of 32 bits as this machine has them, a colon, and the port, all in
// hexadecimal.
func parseAddr(text string) (at netip.AddrPort, ok bool) {
	host, port, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return at, false
	}
	var ip []byte
	for ; len(host) >= 8; host = host[8:] {
		word, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return at, false
		}
		ip = binary.NativeEndian.AppendUint32(ip, uint32(word))
	}
	a, ok := netip.AddrFromSlice(ip)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}

// parseUnix: "Num RefCount Protocol Flags Type St Inode Path".
func parseUnix(fields []string) (s Socket, ok bool) {
	const flags, inode, path = 3, 6, 7
	const accepts = 1 << 16 // __SO_ACCEPTCON
	if len(fields) <= path {
		return s, false
	}
	s.Inode, _ = strconv.ParseUint(fields[inode], 10, 64)
	set, err := strconv.ParseUint(fields[flags], 16, 64)
	s.Path, s.Listens = strings.Join(fields[path:], " "), set&accepts != 0
	return s, err == nil && s.Inode != 0
}

// Of returns the inodes of the sockets that a process has open; none if it has ended.
// The error says that they, or some of them, can't be seen: it is another user's, say.
func Of(pid int) (inodes []uint64, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
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
