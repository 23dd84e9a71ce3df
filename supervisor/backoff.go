package supervisor

import "time"

const (
	backoffFirst   = 500 * time.Millisecond
	backoffMax     = 30 * time.Second
	backoffHealthy = time.Minute
)

// backoff returns how long a slot waits before the next process, after so many
// deaths in a row: not at all after the first, then twice as long each time,
// up to half a minute. spread, 0 to 1, takes up to a fifth off, so that the
// slots don't all come back at once.
func backoff(deaths int, spread float64) time.Duration {
	if deaths <= 1 {
		return 0
	}
	d := backoffMax
	if shift := deaths - 2; shift < 10 {
		d = min(d, backoffFirst<<shift)
	}
	return d - time.Duration(spread*float64(d)/5)
}
