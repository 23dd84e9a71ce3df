//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	patience   = 3 * time.Second // how long an answer may take
	opening    = 64              // connections that are prepared at one time: more would overflow a backlog
	enough     = 200             // failures without a single answer, and there is no use in going on
	expiry     = 100 * time.Millisecond
	turnEvents = 256
)

// A generator makes requests: one thread, one epoll set, non-blocking sockets.
// It costs less than what it measures, and its own CPU time for each request,
// which is always the same, tells how fast the machine was meanwhile.
type generator struct {
	order    order
	slots    []slot
	idle     []int // slots with nothing to do, when paced
	pace     pace
	epoll    int
	events   [turnEvents]unix.EpollEvent
	requests [][]byte // for each session
	addrs    []unix.SockaddrInet4
	front    unix.SockaddrInet4
	groups   [][]int // sessions of each worker
	turn     int     // the next session
	message  []byte
	before   []byte // the id of a new session, in a request
	behind   []byte

	began       time.Time
	now         time.Duration // since then; read once each turn of the loop
	end         time.Duration
	preparing   bool
	outstanding int
	retry       []int         // slots whose request failed
	expired     time.Duration // when expire was last called
	latencies   histogram
	tally       tally
}

// playGenerator reads an order from standard input, prepares, prints a line,
// waits for one, does what was ordered, and prints its tally.
func playGenerator() {
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // next to nothing is allocated while it runs
	debug.SetMemoryLimit(256 << 20)
	input := bufio.NewReader(os.Stdin)
	g := &generator{}
	if err := json.NewDecoder(input).Decode(&g.order); err != nil {
		log.Fatal("generator: ", err)
	}
	if err := g.prepare(); err != nil {
		log.Fatal("generator: ", err)
	}
	say(g.tally)
	input = bufio.NewReader(os.Stdin) // whatever was left of the order
	if _, err := input.ReadByte(); err != nil || g.order.Mode.holds() {
		return
	}
	g.measure()
	say(g.tally)
}

func say(t tally) {
	if err := json.NewEncoder(os.Stdout).Encode(t); err != nil {
		log.Fatal("generator: ", err)
	}
}

// prepare opens the connections that are there before the measurement begins.
func (g *generator) prepare() (err error) {
	if g.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	if err := g.compose(); err != nil {
		return err
	}
	g.slots = make([]slot, g.order.Slots)
	for i := range g.slots {
		g.slots[i] = slot{fd: -1, in: make([]byte, 0, 4096+g.order.Size)}
	}
	g.began = time.Now()
	if !g.order.Mode.prepares() && !g.order.Mode.holds() {
		return nil
	}
	g.preparing = true
	defer func() { g.preparing = false }()
	for next := 0; next < len(g.slots) || g.outstanding > 0; g.wait() {
		for ; next < len(g.slots) && g.outstanding < opening; next++ {
			g.start(next, g.clock())
		}
		if g.hopeless() {
			return fmt.Errorf("%d connections failed: %s", g.tally.Failed, g.tally.FirstError)
		}
	}
	return nil
}

// measure is the measured part.
func (g *generator) measure() {
	g.tally = tally{}
	before := ownCPU()
	g.began = time.Now()
	g.now, g.expired = 0, 0
	g.end = g.order.Length
	if g.order.Rate > 0 {
		g.pace = pace{rate: g.order.Rate, end: g.end}
		for i := range g.slots {
			g.idle = append(g.idle, i)
		}
	} else {
		for i := range g.slots {
			g.start(i, g.clock())
		}
	}
	for g.clock() < g.end || g.outstanding > 0 || g.pace.left() > 0 {
		if g.hopeless() {
			break
		}
		if g.now > g.end+patience { // they would have waited for too long
			n := int64(g.pace.giveUp())
			g.tally.Failed += n
			g.tally.TimedOut += n
		}
		g.wait()
	}
	g.tally.Elapsed = max(g.clock(), time.Nanosecond)
	if g.tally.TimedOut > 0 {
		g.tally.Elapsed = g.end // nobody asked for more while it waited in vain
	}
	g.tally.CPU = ownCPU() - before
	g.tally.P50 = g.latencies.percentile(50)
	g.tally.P90 = g.latencies.percentile(90)
	g.tally.P99 = g.latencies.percentile(99)
}

func (g *generator) hopeless() bool {
	return g.tally.Failed >= enough && g.tally.Requests == 0 && g.tally.Open == 0
}

// clock returns the time since the measurement began.
func (g *generator) clock() time.Duration {
	g.now = time.Since(g.began)
	return g.now
}

// wait is a turn of the loop: it starts what is due, waits for events and
// handles them.
func (g *generator) wait() {
	timeout := g.startDue()
	n, err := g.epollWait(timeout)
	if err != 0 && err != unix.EINTR {
		log.Fatal("generator: epoll_wait: ", err)
	}
	for _, e := range g.events[:max(n, 0)] {
		g.handle(int(e.Fd), e.Events)
	}
	if g.clock()-g.expired > expiry {
		g.expired = g.now
		g.expire()
	}
}

// startDue starts the requests whose time has come, and returns how long to
// wait for the next.
func (g *generator) startDue() time.Duration {
	longest := 20 * time.Millisecond // the raw call stops the garbage collector
	if g.order.Rate == 0 || g.preparing {
		return longest
	}
	for len(g.idle) > 0 {
		due, ok := g.pace.next(g.clock())
		if !ok {
			return min(longest, max(due-g.now, 0))
		}
		i := g.idle[len(g.idle)-1]
		g.idle = g.idle[:len(g.idle)-1]
		g.start(i, due)
	}
	return longest
}

// epollWait is the bare system call: the scheduler's bookkeeping around one
// that blocks would cost more CPU than the requests.
func (g *generator) epollWait(timeout time.Duration) (int, syscall.Errno) {
	ts := unix.NsecToTimespec(int64(timeout))
	n, _, err := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT2, uintptr(g.epoll),
		uintptr(unsafe.Pointer(&g.events[0])), turnEvents, uintptr(unsafe.Pointer(&ts)), 0, 0)
	return int(n), err
}

// ownCPU is what this process has used.
func ownCPU() time.Duration {
	d, err := cpuTime(os.Getpid())
	if err != nil {
		log.Fatal("generator: ", err)
	}
	return d
}
