package main

import "math"

// results are all that was measured.
type results struct {
	Versions     []string      `json:"versions"`
	Rounds       int           `json:"rounds"`
	Seconds      float64       `json:"seconds_per_round"`
	Workers      int           `json:"workers"`
	Measurements []measurement `json:"measurements"`
	Idle         []idleResult  `json:"idle,omitempty"`
	Findings     []string      `json:"findings,omitempty"` // sentences: single figures
}

// A figure is one number of a measurement.
type figure func(measurement) float64

// of returns the measurements of a front under a load, in order of rounds.
func (r *results) of(front, load string) (ms []measurement) {
	for _, m := range r.Measurements {
		if m.Front == front && m.Load == load {
			ms = append(ms, m)
		}
	}
	return ms
}

// spread is of one figure over all rounds.
func (r *results) spread(front, load string, f figure) spread {
	var values []float64
	for _, m := range r.of(front, load) {
		values = append(values, f(m))
	}
	return spreadOf(values)
}

// negligible is what is printed as 0.0: to be so many times that says nothing.
const negligible = 0.05

// ratio is of a front's figure to another front's in the same round: the median
// over the rounds. NaN if either was not measured or has nothing to divide by.
func (r *results) ratio(front, peer, load string, f figure) spread {
	peers := map[int]float64{}
	for _, m := range r.of(peer, load) {
		peers[m.Round] = f(m)
	}
	var values []float64
	for _, m := range r.of(front, load) {
		if base := peers[m.Round]; base > negligible {
			values = append(values, f(m)/base)
		}
	}
	return spreadOf(values)
}

// sum adds up a count over all rounds.
func (r *results) sum(front, load string, count func(measurement) int64) (n int64) {
	for _, m := range r.of(front, load) {
		n += count(m)
	}
	return n
}

func perSecond(m measurement) float64 { return m.PerSecond }
func frontCPU(m measurement) float64  { return m.FrontCPU }
func workerCPU(m measurement) float64 { return m.WorkerCPU }
func serverCPU(m measurement) float64 { return m.FrontCPU + m.WorkerCPU }
func genCPU(m measurement) float64    { return m.GenCPU }

// frontToGenerator is the front's CPU in units of the generator's, which does
// the same for each request: what is left when the machine is faster or slower
// from time to time.
func frontToGenerator(m measurement) float64 {
	if m.GenCPU == 0 {
		return math.NaN()
	}
	return m.FrontCPU / m.GenCPU
}
