//go:build !linux

package supervisor

import "time"

// ProcessUsage is not known on this system.
func ProcessUsage(pid int) (resident int64, cpu time.Duration, ok bool) { return 0, 0, false }

func descends(pid, from int) bool { return false }
