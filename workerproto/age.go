package workerproto

import "time"

// An Age is how long ago something had happened when a conversation was frozen;
// negative: it had not. The time in which it is frozen, in which nobody hears
// what a worker says, does not count.
type Age time.Duration

// AgeAt returns the age that at has now; a zero at has not come.
func AgeAt(at, now time.Time) Age {
	if at.IsZero() {
		return -1
	}
	return Age(max(0, now.Sub(at)))
}

// Before returns when it happened if it has this age now.
func (a Age) Before(now time.Time) time.Time {
	if a < 0 {
		return time.Time{}
	}
	return now.Add(-time.Duration(a))
}
