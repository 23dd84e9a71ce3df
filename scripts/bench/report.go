package main

import (
	"fmt"
	"io"
	"math"
	"strings"
)

// A label is a key and the name under which it is printed.
type label struct{ key, name, peer string }

const (
	loopKey = "c-loop"

	// primaryKey is the Node primary that fronts with Go workers are compared
	// to: the cheaper of the two.
	primaryKey = "node-2.0.1"

	noFrontKey = "none"

	// beforeKey is what the keys of another build of stickyd begin with.
	beforeKey = "before"
)

// table prints a row for each front under each load.
func (r *results) table(w io.Writer, loads, fronts []label) {
	fmt.Fprint(w, tableHead)
	for _, l := range loads {
		for _, f := range fronts {
			if len(r.of(f.key, l.key)) > 0 {
				fmt.Fprintf(w, "| %s | %s |%s\n", l.name, f.name, r.cells(f, l.key))
			}
		}
	}
}

const tableHead = "| load | front | requests/s | ÷ no front | front's CPU, µs per request | ÷ C loop | ÷ Node primary | ÷ generator's CPU | " +
	"workers' CPU, µs | generator's, µs | p50, p90, p99 ms | wrong worker | failed |\n" +
	"|---|---|---|---|---|---|---|---|---|---|---|---|---|\n"

// cells are all but the first two of a row.
func (r *results) cells(f label, load string) string {
	median := func(of figure) float64 { return r.spread(f.key, load, of).Median }
	peer := f.peer
	if peer == "" {
		peer = primaryKey
	}
	cells := []string{
		withRange(r.spread(f.key, load, perSecond), "%.0f"),
		cell(r.ratio(f.key, noFrontKey, load, perSecond).Median, "%.2f"),
		withRange(r.spread(f.key, load, frontCPU), "%.1f"),
		cell(r.ratio(f.key, loopKey, load, frontCPU).Median, "%.2f"),
		cell(r.ratio(f.key, peer, load, frontCPU).Median, "%.2f"),
		cell(median(frontToGenerator), "%.2f"),
		cell(median(workerCPU), "%.1f"),
		cell(median(genCPU), "%.1f"),
		fmt.Sprintf("%.2f, %.2f, %.2f", median(func(m measurement) float64 { return m.P50 }),
			median(func(m measurement) float64 { return m.P90 }), median(func(m measurement) float64 { return m.P99 })),
		share(r.sum(f.key, load, func(m measurement) int64 { return m.Wrong }),
			r.sum(f.key, load, func(m measurement) int64 { return m.Checked })),
		fmt.Sprint(r.sum(f.key, load, func(m measurement) int64 { return m.Failed })),
	}
	return " " + strings.Join(cells, " | ") + " |"
}

// withRange is a median with the lowest and the highest round.
func withRange(s spread, format string) string {
	if math.IsNaN(s.Median) {
		return "–"
	}
	return fmt.Sprintf(format+" ("+format+"–"+format+")", s.Median, s.Low, s.High)
}

func cell(v float64, format string) string {
	if math.IsNaN(v) {
		return "–"
	}
	return fmt.Sprintf(format, v)
}

// share is a count, with its part of all if it is not 0.
func share(n, of int64) string {
	if n == 0 || of == 0 {
		return fmt.Sprint(n)
	}
	percent := 100 * float64(n) / float64(of)
	if percent >= 10 {
		return fmt.Sprintf("%d (%.0f %%)", n, percent)
	}
	return fmt.Sprintf("%d (%.2g %%)", n, percent)
}

// expectation is what the project expects of stickyd beside a Node primary.
const (
	expectedRate = 2.0  // times the connections per second, at least
	expectedCPU  = 0.25 // times the front's CPU, at most
)

// expectations says in sentences whether they are met.
func (r *results) expectations(w io.Writer, loads, fronts []label) {
	for _, l := range loads {
		for _, f := range fronts {
			cpu := r.ratio(f.key, f.peer, l.key, frontCPU)
			if f.key == f.peer || math.IsNaN(cpu.Median) {
				continue
			}
			if l.key == "new" || l.key == "crowd" {
				rate := r.ratio(f.key, f.peer, l.key, perSecond)
				fmt.Fprintf(w, "* %s, %s: %s times the Node primary's requests/s; expected at least %.2f: %s.\n",
					l.name, f.name, withRange(rate, "%.2f"), expectedRate, met(rate.Median >= expectedRate))
			}
			if l.key == "new" || l.key == "crowd" || l.key == "rate" {
				fmt.Fprintf(w, "* %s, %s: %s times the Node primary's CPU; expected at most %.2f: %s.\n",
					l.name, f.name, withRange(cpu, "%.2f"), expectedCPU, met(cpu.Median <= expectedCPU))
			}
		}
	}
}

// besideBefore says in sentences how builds of stickyd compare to the one before.
func (r *results) besideBefore(w io.Writer, loads, fronts []label) {
	for _, l := range loads {
		for _, f := range fronts {
			kind, version, _ := strings.Cut(f.key, "-")
			before := beforeKey + "-" + version
			if kind == beforeKey || kind == "node" || len(r.of(before, l.key)) == 0 || len(r.of(f.key, l.key)) == 0 {
				continue
			}
			fmt.Fprintf(w, "* %s, %s: %s times the requests/s of the one before, %s times the CPU of front and workers.\n", l.name, f.name,
				withRange(r.ratio(f.key, before, l.key, perSecond), "%.3f"), withRange(r.ratio(f.key, before, l.key, serverCPU), "%.3f"))
		}
	}
}

func met(ok bool) string {
	if ok {
		return "met"
	}
	return "NOT met"
}

// An idleResult is what a front has before and with connections on which
// nothing happens.
type idleResult struct {
	Front             string `json:"front"`
	Kind              string `json:"kind"`
	Connections       int    `json:"connections"` // that could be opened
	KiBBefore         int    `json:"kib_before"`
	KiBWith           int    `json:"kib_with"`
	DescriptorsBefore int    `json:"descriptors_before"`
	DescriptorsWith   int    `json:"descriptors_with"`
}

func (r *results) idleTable(w io.Writer, fronts []label) {
	if len(r.Idle) == 0 {
		return
	}
	fmt.Fprint(w, "\n| idle connections | front | opened | resident KiB, before → with | descriptors, before → with |\n|---|---|---|---|---|\n")
	for _, i := range r.Idle {
		fmt.Fprintf(w, "| %s | %s | %d | %d → %d | %d → %d |\n", i.Kind, nameOf(fronts, i.Front), i.Connections,
			i.KiBBefore, i.KiBWith, i.DescriptorsBefore, i.DescriptorsWith)
	}
}

func nameOf(labels []label, key string) string {
	for _, l := range labels {
		if l.key == key {
			return l.name
		}
	}
	return key
}

// troubles says in sentences what went wrong, and which connections were not
// kept that should have been.
func (r *results) troubles(w io.Writer, loads, fronts []label) {
	for _, l := range loads {
		for _, f := range fronts {
			failed := r.sum(f.key, l.key, func(m measurement) int64 { return m.Failed })
			closed := r.sum(f.key, l.key, func(m measurement) int64 { return m.Reconnects })
			all := r.sum(f.key, l.key, func(m measurement) int64 { return m.Requests })
			if failed > 0 {
				fmt.Fprintf(w, "* %s, %s: %s of the requests failed; the first: %s.\n", l.name, f.name, share(failed, all+failed), r.firstError(f.key, l.key))
			}
			if closed > 0 {
				fmt.Fprintf(w, "* %s, %s: the connection was closed after %s of the answers.\n", l.name, f.name, share(closed, all))
			}
		}
	}
}

func (r *results) firstError(front, load string) string {
	for _, m := range r.of(front, load) {
		if m.Error != "" {
			return m.Error
		}
	}
	return "unknown"
}
