//go:build !linux

package address

// Holder knows nobody: the system has no /proc.
func Holder(addr string) (p Process, known bool) { return p, false }

// Sockets knows none.
func Sockets(pid int) (paths []string) { return nil }

func programOf(pid int) string { return "" }
