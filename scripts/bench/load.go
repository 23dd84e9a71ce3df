package main

import (
	"fmt"
	"time"
)

// A load is what the generator does to a front, several rounds of it.
type load struct {
	key  string // what --only calls it
	name string
	mode mode
	rate int // requests per second, 0 for as many as go
	size int // of WebSocket messages in bytes

	outstanding int // requests at one time, if not the usual number
}

const (
	closedSlots = 32   // connections at one time when as many requests go as can
	crowdSlots  = 1024 // and where there are very many
	pacedSlots  = 1024 // and when they go at a rate: only a front that stalls needs so many
)

// goLoads are those of the default run, the one that leaves new sessions behind
// last.
func goLoads(rate int) []load {
	return []load{
		{key: "new", name: "new connections", mode: modeNew},
		{key: "rate", name: fmt.Sprintf("new connections, %d/s", rate), mode: modeNew, rate: rate},
		{key: "kept", name: "kept alive", mode: modeKept},
		{key: "mixed", name: "several sessions on each", mode: modeMixed},
		{key: "ws64", name: "WebSocket, 64 B", mode: modeWebSocket, size: 64},
		{key: "ws16k", name: "WebSocket, 16 KiB", mode: modeWebSocket, size: 16 << 10},
		{key: "handshake", name: "handshake and request", mode: modeHandshake},
	}
}

// nodeLoads are those of the comparison with Node workers.
func nodeLoads(rate int) []load {
	loads := goLoads(rate)
	return []load{loads[0], crowdLoad(), loads[1], loads[2], loads[6]}
}

// crowdLoad is as many clients as come when none waits for another: a queue
// that no front gets to the end of.
func crowdLoad() load {
	return load{key: "crowd", name: fmt.Sprintf("new connections, %d at a time", crowdSlots), mode: modeNew, outstanding: crowdSlots}
}

// busyLoad is for workers whose event loops are blocked most of the time.
func busyLoad(rate int) load {
	return load{key: "busy", name: fmt.Sprintf("busy workers, %d/s", rate), mode: modeNew, rate: rate}
}

// slots is how many connections the generator has at one time.
func (l load) slots() int {
	switch {
	case l.outstanding > 0:
		return l.outstanding
	case l.rate > 0:
		return pacedSlots
	}
	return closedSlots
}

// A measurement is one round of one load on one front. Times are µs of CPU for
// each request, latencies ms.
type measurement struct {
	Front      string  `json:"front"`
	Load       string  `json:"load"`
	Round      int     `json:"round"`
	PerSecond  float64 `json:"per_second"`
	FrontCPU   float64 `json:"front_cpu_us"`
	WorkerCPU  float64 `json:"worker_cpu_us"`
	GenCPU     float64 `json:"generator_cpu_us"`
	P50        float64 `json:"p50_ms"`
	P90        float64 `json:"p90_ms"`
	P99        float64 `json:"p99_ms"`
	Requests   int64   `json:"requests"`
	Checked    int64   `json:"checked"`
	Wrong      int64   `json:"wrong_worker"`
	Failed     int64   `json:"failed"`
	TimedOut   int64   `json:"timed_out"`
	Reconnects int64   `json:"reconnects"`
	Error      string  `json:"first_error,omitempty"`
}

// newMeasurement makes figures of what the generator did and of what the front
// and the workers used meanwhile.
func newMeasurement(t tally, front, workers time.Duration) measurement {
	n := float64(t.Requests)
	each := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 / n }
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	return measurement{
		PerSecond: n / t.Elapsed.Seconds(),
		FrontCPU:  each(front), WorkerCPU: each(workers), GenCPU: each(t.CPU),
		P50: ms(t.P50), P90: ms(t.P90), P99: ms(t.P99),
		Requests: t.Requests, Checked: t.Checked, Wrong: t.Wrong, Failed: t.Failed, TimedOut: t.TimedOut,
		Reconnects: t.Reconnects, Error: t.FirstError,
	}
}
