package address

import (
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

	"github.com/stickyd/stickyd/fdpass/procnet"
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
	var holds procnet.Socket
	procnet.Each("/proc/self/net", func(s procnet.Socket) bool {
		if s.Listens && s.At.IsValid() && !known && conflict(s.At, tcp) {
			holds, known = s, true
		}
		return s.Listens && !known
	})
	if known {
		p = holder(holds)
	}
	return p, known
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

// conflict reports whether nobody can listen on addr beside a socket that is bound at
// at.
func conflict(at netip.AddrPort, addr *net.TCPAddr) bool {
	if int(at.Port()) != addr.Port {
		return false
	}
	ip, _ := netip.AddrFromSlice(addr.IP)
	ip = ip.Unmap()
	return !ip.IsValid() || ip.IsUnspecified() || at.Addr().IsUnspecified() || ip == at.Addr()
}

// holder is the process that has it, the one with the lowest number if there are
// several: those that it has forked come later.
func holder(s procnet.Socket) Process {
	for _, pid := range pids() {
		if open, _ := procnet.Of(pid); slices.Contains(open, s.Inode) {
			return process(pid, s.UID)
		}
	}
	return process(0, s.UID)
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

// Sockets returns the paths of the Unix sockets that a process listens on, as
// far as this user may see them.
func Sockets(pid int) (paths []string) {
	open, _ := procnet.Of(pid)
	procnet.Each(fmt.Sprintf("/proc/%d/net", pid), func(s procnet.Socket) bool {
		if s.At.IsValid() {
			return false // on to the next table
		}
		if !s.Listens || !slices.Contains(open, s.Inode) || strings.HasPrefix(s.Path, "@") {
			return true
		}
		if !filepath.IsAbs(s.Path) {
			s.Path = filepath.Join(fmt.Sprintf("/proc/%d/cwd", pid), s.Path)
		}
		paths = append(paths, s.Path)
		return true
	})
	return paths
}
