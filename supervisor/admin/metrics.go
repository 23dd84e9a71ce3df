package admin

import (
	"net"
	"runtime"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// ListenMetrics opens a listener on "host:port" or "unix:/path". A Unix socket is
// this user's alone.
func ListenMetrics(addr string) (net.Listener, error) {
	var ln net.Listener
	var err error
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		var unix *net.UnixListener
		if unix, err = listenAt(path); err == nil {
			unix.SetUnlinkOnClose(true)
			ln = unix
		}
	} else {
		ln, err = net.Listen("tcp", addr)
	}
	if err != nil {
		return nil, metricsError(addr, err)
	}
	return ln, nil
}

// A metric is read from a status. Its values differ in their labels.
type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(s *Status, add func(value float64, labels ...string))
}

// own is a metric of stickyd itself.
func own(kind prometheus.ValueType, name, help string, value func(*Status) float64) metric {
	return metric{prometheus.NewDesc("stickyd_"+name, help, nil, nil), kind, func(s *Status, add func(float64, ...string)) {
		add(value(s))
	}}
}

// counted is a counter.
func counted(name, help string, count func(*Counters) int64) metric {
	return own(prometheus.CounterValue, name, help, func(s *Status) float64 { return float64(count(&s.Counters)) })
}

// ofWorkers is a metric of each slot, joined from those of its workers, of which
// there may be several.
func ofWorkers(kind prometheus.ValueType, name, help string, join func(a, b float64) float64, of func(*Worker) float64) metric {
	desc := prometheus.NewDesc("stickyd_worker_"+name, help, []string{"slot"}, nil)
	return metric{desc, kind, func(s *Status, add func(float64, ...string)) {
		joined := make(map[int]float64)
		for i := range s.Workers {
			w := &s.Workers[i]
			if v, there := joined[w.Slot]; there {
				joined[w.Slot] = join(v, of(w))
			} else {
				joined[w.Slot] = of(w)
			}
		}
		for slot, v := range joined {
			add(v, strconv.Itoa(slot))
		}
	}}
}

func highest(a, b float64) float64 { return max(a, b) }
func sum(a, b float64) float64     { return a + b }

// ofSlots counts for each slot by a further label.
func ofSlots(name, help, label string, of func(*Slot) map[string]int64) metric {
	desc := prometheus.NewDesc("stickyd_worker_"+name, help, []string{"slot", label}, nil)
	return metric{desc, prometheus.CounterValue, func(s *Status, add func(float64, ...string)) {
		for i := range s.Slots {
			for value, n := range of(&s.Slots[i]) {
				add(float64(n), strconv.Itoa(s.Slots[i].Slot), value)
			}
		}
	}}
}

// metrics are all but the histograms. Slots are few and their numbers come back,
// so the series stay as few; incarnations and session ids are no labels.
var metrics = []metric{
	{prometheus.NewDesc("stickyd_build_info", "1, labelled with what this stickyd was built from.",
		[]string{"version", "goversion", "revision"}, nil), prometheus.GaugeValue, func(s *Status, add func(float64, ...string)) {
		add(1, s.Version, runtime.Version(), s.Revision)
	}},
	own(prometheus.GaugeValue, "start_time_seconds", "When stickyd was started, in seconds since 1970.",
		func(s *Status) float64 { return float64(s.Started.UnixMilli()) / 1e3 }),
	own(prometheus.GaugeValue, "generation", "Generation of the newest workers: each rolling restart begins one.",
		func(s *Status) float64 { return float64(s.Generation) }),
	own(prometheus.GaugeValue, "sessions", "Sessions that a live worker owns.",
		func(s *Status) float64 { return float64(s.Sessions) }),
	own(prometheus.GaugeValue, "session_table_bytes", "Memory of the table of sessions.",
		func(s *Status) float64 { return float64(s.SessionTableBytes) }),
	counted("sessions_bound_total", "Sessions that workers have registered.", func(c *Counters) int64 { return c.Bound }),
	counted("connections_accepted_total", "Connections accepted.", func(c *Counters) int64 { return c.Accepted }),
	counted("connections_handed_total", "Connections handed to a worker. One that is handed over again counts again.", func(c *Counters) int64 { return c.Handed }),
	counted("connections_returned_total", "Connections that a worker gave back because another worker owns the session.",
		func(c *Counters) int64 { return c.Returned }),
	counted("connections_rerouted_total", "Connections handed over again because a worker died or could not take them.",
		func(c *Counters) int64 { return c.Rerouted }),
	counted("connections_refused_total", "Connections answered with an error by stickyd itself.",
		func(c *Counters) int64 { return c.Refused }),
	counted("connections_abandoned_total", "Connections that ended before a worker had them.",
		func(c *Counters) int64 { return c.Abandoned }),
	counted("accept_pauses_total", "Times that accepting paused for lack of descriptors or memory.",
		func(c *Counters) int64 { return c.Pauses }),
	counted("upgrades_total", "Times that another binary took over in place.", func(c *Counters) int64 { return c.Upgrades }),
	counted("reloads_total", "Times that the configuration was read again.", func(c *Counters) int64 { return c.Reloads }),
	{prometheus.NewDesc("stickyd_lookups_total", "Connections handed to a worker, by what was known of their session: "+
		"owner, rescued (known after a moment), dead_owner, never_seen (an id that nobody registered), none (no id).",
		[]string{"outcome"}, nil), prometheus.CounterValue, readLookups},
	{prometheus.NewDesc("stickyd_session_ids_total", "Connections handed to a worker with a session id, by where it stood and by what was known of it: "+
		"found (a live worker has the session), dead (its worker has died), unknown (nobody registered it, or it is forgotten).",
		[]string{"source", "outcome"}, nil), prometheus.CounterValue, readSources},

	ofWorkers(prometheus.GaugeValue, "ready", "1 if the slot has a worker that takes new sessions.",
		highest, func(w *Worker) float64 { return truth(w.State == "ready") }),
	ofWorkers(prometheus.GaugeValue, "sessions", "Sessions that the slot's workers own.",
		sum, func(w *Worker) float64 { return float64(w.Sessions) }),
	ofWorkers(prometheus.GaugeValue, "untaken_connections", "Connections that the slot's workers were given and have not accepted.",
		sum, func(w *Worker) float64 { return float64(w.Untaken) }),
	ofWorkers(prometheus.CounterValue, "restarts_total", "Planned replacements of the slot's workers (restart, reload, --recycle-*).",
		highest, func(w *Worker) float64 { return float64(w.Restarts) }),
	ofWorkers(prometheus.CounterValue, "crashes_total", "Unplanned ends of the slot's processes: crashed, hung and killed, or never became ready.",
		highest, func(w *Worker) float64 { return float64(w.Crashes) }),
	ofWorkers(prometheus.GaugeValue, "resident_memory_bytes", "Resident memory of the slot's processes.",
		sum, func(w *Worker) float64 { return float64(w.ResidentBytes) }),
	ofWorkers(prometheus.GaugeValue, "cpu_seconds", "CPU time of the slot's live processes. It starts at zero with each new process.",
		sum, func(w *Worker) float64 { return w.CPUSeconds }),
	ofSlots("connections_total", "Connections of the slot's workers: handed to them, returned by them because another worker owns the session, "+
		"rerouted because they died or could not take them.", "outcome", func(s *Slot) map[string]int64 {
		return map[string]int64{"handed": s.Handed, "returned": s.Returned, "rerouted": s.Rerouted}
	}),
	ofSlots("ends_total", "Processes of the slot that have ended, by cause.", "cause", func(s *Slot) map[string]int64 { return s.Ends }),
}

func readLookups(s *Status, add func(float64, ...string)) {
	for outcome, n := range map[string]int64{
		"owner": s.Lookups.Owner, "rescued": s.Lookups.Rescued,
		"dead_owner": s.Lookups.DeadOwner, "never_seen": s.Lookups.NeverSeen, "none": s.Lookups.None,
	} {
		add(float64(n), outcome)
	}
}

// readSources: sources are as few as were configured.
func readSources(s *Status, add func(float64, ...string)) {
	for _, c := range s.Sources {
		add(float64(c.Found), c.Source, "found")
		add(float64(c.Dead), c.Source, "dead")
		add(float64(c.Unknown), c.Source, "unknown")
	}
}

// histograms are of times of connections.
var histograms = []struct {
	desc *prometheus.Desc
	of   func(*Status) *Histogram
}{
	{prometheus.NewDesc("stickyd_head_seconds", "Time that connections waited for their request's head before they were handed to a worker, from accept on; 0 where it was there.", nil, nil),
		func(s *Status) *Histogram { return &s.Head }},
	{prometheus.NewDesc("stickyd_queue_seconds", "Time that connections waited for a worker before they were handed to it; 0 where one could take them at once.", nil, nil),
		func(s *Status) *Histogram { return &s.Queue }},
}

// metric makes Prometheus' form of it, in which each bucket contains those below.
func (h *Histogram) metric(desc *prometheus.Desc) prometheus.Metric {
	buckets, n := make(map[float64]uint64, len(h.Bounds)), uint64(0)
	for i, count := range h.Counts {
		n += count
		if i < len(h.Bounds) {
			buckets[h.Bounds[i]] = n
		}
	}
	return prometheus.MustNewConstHistogram(desc, n, h.Sum, buckets)
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// A collector reads a status each time that it is asked.
type collector struct{ running Running }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	for _, m := range metrics {
		to <- m.desc
	}
	for _, h := range histograms {
		to <- h.desc
	}
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.running.Status()
	for _, m := range metrics {
		m.read(&s, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
		})
	}
	for _, h := range histograms {
		to <- h.of(&s).metric(h.desc)
	}
}
