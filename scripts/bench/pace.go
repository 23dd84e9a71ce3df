package main

import "time"

// A pace says when requests are due: rate per second, evenly, until the end. A
// request that can't start when it is due is not left out. Its latency counts
// from then on, or a front that stalls would hide how many had to wait for it.
type pace struct {
	rate  int
	end   time.Duration
	given int
}

// next returns when the next request is due, and counts it if that is now. ok
// is false if it is not, or if it would be due after the end.
func (p *pace) next(now time.Duration) (due time.Duration, ok bool) {
	due = time.Duration(p.given) * time.Second / time.Duration(p.rate)
	if due > now || p.left() == 0 {
		return due, false
	}
	p.given++
	return due, true
}

// left is how many requests have not begun.
func (p *pace) left() int {
	all := (time.Duration(p.rate)*p.end + time.Second - 1) / time.Second
	return int(all) - p.given
}

// giveUp leaves out the requests that are left, and returns how many.
func (p *pace) giveUp() (n int) {
	n = p.left()
	p.given += n
	return n
}
