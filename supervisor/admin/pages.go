package admin

import (
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// A page is one of those on the address for metrics.
type page struct {
	path, about string
	handler     http.Handler
}

func pages(r Running, log *slog.Logger) []page {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{r}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return []page{
		{"/metrics", "metrics, for Prometheus", promhttp.HandlerFor(registry, promhttp.HandlerOpts{
			ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), Timeout: answerLimit,
		})},
		{"/healthz", "200 if a worker takes new sessions, else 503", health(r)},
	}
}

// NewMetrics returns a server that answers GET /metrics as Prometheus asks
// (https://prometheus.io/docs/instrumenting/exposition_formats/), GET /healthz for
// health checks, and / with what there is.
func NewMetrics(r Running, log *slog.Logger) *http.Server {
	all := pages(r, log)
	mux := http.NewServeMux()
	for _, p := range all {
		mux.Handle("GET "+p.path, p.handler)
	}
	mux.HandleFunc("GET /{$}", func(rw http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(rw, "stickyd %s\n\n", r.Status().Version)
		for _, p := range all {
			fmt.Fprintf(rw, "%s  %s\n", p.path, p.about)
		}
	})
	mux.HandleFunc("/", elsewhere(all))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
}

// health answers as stickyd status --ready does.
func health(r Running) http.HandlerFunc {
	return func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Cache-Control", "no-store")
		s := r.Status()
		line, err := s.readiness()
		if err != nil {
			http.Error(rw, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(rw, line)
	}
}

// elsewhere answers requests for no page with the paths that there are, and other
// methods than GET.
func elsewhere(all []page) http.HandlerFunc {
	paths := []string{"/"}
	for _, p := range all {
		paths = append(paths, p.path)
	}
	return func(rw http.ResponseWriter, r *http.Request) {
		if slices.Contains(paths, r.URL.Path) {
			rw.Header().Set("Allow", "GET, HEAD")
			http.Error(rw, fmt.Sprintf("%s takes GET, not %s", r.URL.Path, r.Method), http.StatusMethodNotAllowed)
			return
		}
		http.Error(rw, "nothing is here; there are "+strings.Join(paths, ", "), http.StatusNotFound)
	}
}
