//go:build unix && !linux

package supervisor

import "os"

// permitted: root may, on these systems.
func (c *credentials) permitted() error { return nil }

// mayRaiseLimits: root may.
func mayRaiseLimits() bool { return os.Geteuid() == 0 }
