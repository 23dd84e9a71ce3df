package routing

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// BenchmarkWhileSweeping looks up and binds all the time, beside a Sweep of a
// million sessions and beside nothing. It reports how long the slowest
// operations took: what a Sweep adds to them is what clients would see of the
// end of a worker. (The very slowest is the machine's as often as not.)
func BenchmarkWhileSweeping(b *testing.B) {
	for _, bb := range []struct {
		name  string
		sweep func(*Table)
	}{
		{"sweep", func(t *Table) { t.Sweep(time.Now()) }},
		{"nothing", func(*Table) { time.Sleep(50 * time.Millisecond) }},
	} {
		b.Run(bb.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				table, in := benchTable()
				done := make(chan struct{})
				go func() {
					bb.sweep(table)
					close(done)
				}()
				took = append(took, useUntil(done, table, in)...)
			}
			slices.Sort(took)
			us := func(share float64) float64 { return float64(took[int(float64(len(took)-1)*share)].Nanoseconds()) / 1e3 }
			b.ReportMetric(us(0.5), "median-µs")
			b.ReportMetric(us(0.999), "p99.9-µs")
			b.ReportMetric(us(0.9999), "p99.99-µs")
			b.ReportMetric(us(1), "max-µs")
		})
	}
}

// benchTable returns a table with a million sessions of a dead incarnation and
// as many of a live one.
func benchTable() (*Table, Incarnation) {
	table := NewTable(NewKey())
	dead, live := table.Open(), table.Open()
	buf := make([]byte, 0, 20)
	for i := range 1_000_000 {
		table.Bind(benchID(buf, i), live)
		table.Bind(benchID(buf, -1-i), dead)
	}
	table.Kill(dead, Death{})
	return table, live
}

// useUntil looks up and binds until done is closed, and returns what each took.
func useUntil(done <-chan struct{}, table *Table, in Incarnation) (took []time.Duration) {
	took = make([]time.Duration, 0, 1_000_000)
	buf := make([]byte, 0, 20)
	for i := 2_000_000; len(took) < cap(took); i++ {
		select {
		case <-done:
			return took
		default:
		}
		began := time.Now()
		if i%2 == 0 {
			table.Lookup(benchID(buf, rand.IntN(1_000_000)))
		} else {
			table.Bind(benchID(buf, i), in)
		}
		took = append(took, time.Since(began))
	}
	<-done
	return took
}
