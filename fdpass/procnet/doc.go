// Package procnet reads what Linux tells of sockets in /proc: which there are in a
// network namespace, where they are bound, and which a process has open
// (proc_pid_net(5), proc_pid_fd(5)). It asks nobody but the kernel, keeps nothing, and
// may be used from any goroutine. Elsewhere it is empty.
package procnet
