package admin

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewMetrics returns a server that answers GET /metrics as Prometheus asks
// (https://prometheus.io/docs/instrumenting/exposition_formats/).
func NewMetrics(r Running, log *slog.Logger) *http.Server {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{r}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), Timeout: answerLimit,
	}))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

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
		return nil, fmt.Errorf("cannot serve metrics: %w", err)
	}
	return ln, nil
}

// A metric is one that stickyd has itself, or that each of its workers has,
// which then has the label slot.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*Status) float64
	of    func(*Worker) float64
}

func own(kind prometheus.ValueType, name, help string, value func(*Status) float64) metric {
	return metric{desc: prometheus.NewDesc("stickyd_"+name, help, nil, nil), kind: kind, value: value}
}

func ofWorkers(kind prometheus.ValueType, name, help string, of func(*Worker) float64) metric {
	return metric{desc: prometheus.NewDesc("stickyd_worker_"+name, help, []string{"slot"}, nil), kind: kind, of: of}
}

// counted is a counter of connections.
func counted(name, help string, count func(*Counters) int64) metric {
	return own(prometheus.CounterValue, name, help, func(s *Status) float64 { return float64(count(&s.Counters)) })
}

// metrics are all there are. Slots are few and their numbers come back, so the
// series stay as few; incarnations and session ids are no labels.
var metrics = []metric{
	own(prometheus.GaugeValue, "start_time_seconds", "When stickyd was started, in seconds since 1970.",
		func(s *Status) float64 { return float64(s.Started.UnixMilli()) / 1e3 }),
	own(prometheus.GaugeValue, "sessions", "Sessions that a live worker owns.",
		func(s *Status) float64 { return float64(s.Sessions) }),
	counted("sessions_bound_total", "Sessions that workers have registered.", func(c *Counters) int64 { return c.Bound }),
	counted("connections_accepted_total", "Connections accepted.", func(c *Counters) int64 { return c.Accepted }),
	counted("connections_handed_total", "Connections handed to a worker, each time.", func(c *Counters) int64 { return c.Handed }),
	counted("connections_returned_total", "Connections that a worker gave back since another owns the session.",
		func(c *Counters) int64 { return c.Returned }),
	counted("connections_rerouted_total", "Connections handed over again since a worker died or could not take them.",
		func(c *Counters) int64 { return c.Rerouted }),
	counted("connections_refused_total", "Connections answered with an error by stickyd itself.",
		func(c *Counters) int64 { return c.Refused }),
	counted("connections_abandoned_total", "Connections that ended before a worker had them.",
		func(c *Counters) int64 { return c.Abandoned }),
	counted("accept_pauses_total", "Times that accepting paused for want of descriptors or memory.",
		func(c *Counters) int64 { return c.Pauses }),

	ofWorkers(prometheus.GaugeValue, "ready", "1 if the slot's worker takes new sessions.",
		func(w *Worker) float64 { return number(w.State == "ready") }),
	ofWorkers(prometheus.GaugeValue, "sessions", "Sessions that the slot's worker owns.",
		func(w *Worker) float64 { return float64(w.Sessions) }),
	ofWorkers(prometheus.GaugeValue, "untaken_connections", "Connections that the slot's worker was given and has not accepted.",
		func(w *Worker) float64 { return float64(w.Untaken) }),
	ofWorkers(prometheus.CounterValue, "restarts_total", "Processes that the slot has had, but for the first.",
		func(w *Worker) float64 { return float64(w.Restarts) }),
	ofWorkers(prometheus.GaugeValue, "resident_memory_bytes", "Resident memory of the slot's process.",
		func(w *Worker) float64 { return float64(w.ResidentBytes) }),
	ofWorkers(prometheus.GaugeValue, "cpu_seconds", "CPU time of the slot's process. It starts anew with each.",
		func(w *Worker) float64 { return w.CPUSeconds }),
}

// lookups has a label: what came of looking for the session of a connection.
var lookups = prometheus.NewDesc("stickyd_lookups_total",
	"Connections handed to a worker, by what was known of their session: owner, unknown (an id that is nobody's), none (no id).",
	[]string{"outcome"}, nil)

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// A collector reads a status each time that it is asked.
type collector struct{ running Running }

func (c collector) Describe(to chan<- *prometheus.Desc) {
	to <- lookups
	for _, m := range metrics {
		to <- m.desc
	}
}

func (c collector) Collect(to chan<- prometheus.Metric) {
	s := c.running.Status()
	for outcome, n := range map[string]int64{"owner": s.Counters.Known, "unknown": s.Counters.Unknown, "none": s.Counters.Without} {
		to <- prometheus.MustNewConstMetric(lookups, prometheus.CounterValue, float64(n), outcome)
	}
	for _, m := range metrics {
		if m.value != nil {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(&s))
			continue
		}
		for i := range s.Workers {
			w := &s.Workers[i]
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, m.of(w), strconv.Itoa(w.Slot))
		}
	}
}
