package address

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Holder finds out who listens on "host:port", ":port" or "unix:/path", on this
// machine and, where there are several, in this network namespace.
func Holder(addr string) (p Process, known bool) {
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		return holderOfPath(path)
	}
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return p, false
	}
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for fields := range table(file) {
			if s, ok := parseSocket(fields); ok && s.conflictsWith(tcp) {
				return s.holder(), true
			}
		}
	}
	return p, false
}

// holderOfPath asks the kernel who has called listen (unix(7), SO_PEERCRED).
func holderOfPath(path string) (p Process, known bool) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return p, false
	}
	defer c.Close()
	raw, err := c.SyscallConn()
	if err != nil {
		return p, false
	}
	var cred *unix.Ucred
	raw.Control(func(fd uintptr) { cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err != nil {
		return p, false
	}
	return process(int(cred.Pid), cred.Uid), true
}

// table yields the lines of one of /proc/net's tables, in fields.
func table(file string) func(yield func(fields []string) bool) {
	return func(yield func(fields []string) bool) {
		f, err := os.Open(file)
		if err != nil {
			return
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if !yield(strings.Fields(lines.Text())) {
				return
			}
		}
	}
}

// A socket is one that listens, as proc_pid_net(5) has it.
type socket struct {
	at    netip.AddrPort
	uid   uint32
	inode string
}

const listens = "0A" // the kernel's TCP_LISTEN

// parseSocket reads a line of /proc/net/tcp or tcp6.
func parseSocket(fields []string) (s socket, ok bool) {
	if len(fields) < 10 || fields[3] != listens {
		return s, false
	}
	host, port, _ := strings.Cut(fields[1], ":")
	at, err := strconv.ParseUint(port, 16, 16)
	uid, uidErr := strconv.ParseUint(fields[7], 10, 32)
	if err != nil || uidErr != nil {
		return s, false
	}
	var ip []byte
	for ; len(host) >= 8; host = host[8:] { // each is a number as this machine has it
		word, err := strconv.ParseUint(host[:8], 16, 32)
		if err != nil {
			return s, false
		}
		ip = binary.NativeEndian.AppendUint32(ip, uint32(word))
	}
	a, ok := netip.AddrFromSlice(ip)
	return socket{netip.AddrPortFrom(a.Unmap(), uint16(at)), uint32(uid), fields[9]}, ok
}

// conflictsWith reports whether nobody can listen on addr beside s.
func (s socket) conflictsWith(addr *net.TCPAddr) bool {
	if int(s.at.Port()) != addr.Port {
		return false
	}
	ip, _ := netip.AddrFromSlice(addr.IP)
	ip = ip.Unmap()
	return !ip.IsValid() || ip.IsUnspecified() || s.at.Addr().IsUnspecified() || ip == s.at.Addr()
}

// holder is the process that has it, the one with the lowest number if there are
// several: those that it has forked come later.
func (s socket) holder() Process {
	link := "socket:[" + s.inode + "]"
	pids := pids()
	for _, pid := range pids {
		if slices.Contains(links(pid), link) {
			return process(pid, s.uid)
		}
	}
	return process(0, s.uid)
}

// pids are those of all processes, rising.
func pids() (all []int) {
	dirs, _ := os.ReadDir("/proc")
	for _, dir := range dirs {
		if pid, err := strconv.Atoi(dir.Name()); err == nil {
			all = append(all, pid)
		}
	}
	slices.Sort(all)
	return all
}

// links are what a process has open, as far as this user may see that.
func links(pid int) (all []string) {
	paths, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, path := range paths {
		if link, err := os.Readlink(path); err == nil {
			all = append(all, link)
		}
	}
	return all
}

func process(pid int, uid uint32) Process {
	p := Process{PID: pid, Name: programOf(pid)}
	if p.Name != "" {
		return p
	}
	id := strconv.FormatUint(uint64(uid), 10)
	p = Process{User: "#" + id}
	if u, err := user.LookupId(id); err == nil {
		p.User = u.Username
	}
	return p
}

// programOf returns the name of the file that a process has executed or, where
// this user may not see that, what the process calls itself; "" if there is none.
func programOf(pid int) string {
	if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil {
		return filepath.Base(strings.TrimSuffix(exe, " (deleted)"))
	}
	comm, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(comm))
}

// acceptsConnections is a flag in /proc/net/unix (__SO_ACCEPTCON).
const acceptsConnections = 1 << 16

// Sockets returns the paths of the Unix sockets that a process listens on, as
// far as this user may see them.
func Sockets(pid int) (paths []string) {
	open := links(pid)
	for fields := range table(fmt.Sprintf("/proc/%d/net/unix", pid)) {
		if len(fields) < 8 || !slices.Contains(open, "socket:["+fields[6]+"]") {
			continue
		}
		flags, err := strconv.ParseUint(fields[3], 16, 64)
		path := strings.Join(fields[7:], " ")
		if err != nil || flags&acceptsConnections == 0 || strings.HasPrefix(path, "@") {
			continue
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(fmt.Sprintf("/proc/%d/cwd", pid), path)
		}
		paths = append(paths, path)
	}
	return paths
}
