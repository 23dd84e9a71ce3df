package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestPagesBesideMetrics(t *testing.T) {
	up, down := Worker{State: "ready"}, Worker{State: "starting"}
	for _, tt := range []struct {
		name, method, path string
		status             Status
		code               int
		want               string // in the body, which is a line for people
	}{
		{"one of two is ready", "GET", "/healthz", Status{Workers: []Worker{down, up}}, 200, "1 worker ready\n"},
		{"none is", "GET", "/healthz", Status{Workers: []Worker{down}}, 503, "no worker is ready, of 1\n"},
		{"all are, but not for long", "GET", "/healthz", Status{Workers: []Worker{up}, Stopping: true}, 503, "stickyd is stopping\n"},
		{"who wants no body", "HEAD", "/healthz", Status{Workers: []Worker{up}}, 200, ""},
		{"what there is", "GET", "/", Status{Version: "v1.2"}, 200, "stickyd v1.2\n\n/metrics  metrics, for Prometheus\n/healthz  200 if"},
		{"metrics", "GET", "/metrics", Status{}, 200, "\nstickyd_build_info{"},
		{"what there is not", "GET", "/health", Status{}, 404, "nothing is here; there are /, /metrics, /healthz\n"},
		{"another method", "POST", "/metrics", Status{}, 405, "/metrics takes GET, not POST\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			f.status = tt.status
			rec := httptest.NewRecorder()
			NewMetrics(f, slog.New(slog.DiscardHandler)).Handler.ServeHTTP(rec, httptest.NewRequest(tt.method, tt.path, nil))
			if body := rec.Body.String(); rec.Code != tt.code || !strings.Contains(body, tt.want) {
				t.Errorf("status %d, %q; want %d, %q", rec.Code, body, tt.code, tt.want)
			}
			if allow := rec.Header().Get("Allow"); rec.Code == http.StatusMethodNotAllowed != (allow == "GET, HEAD") {
				t.Errorf("allowed are %q", allow)
			}
		})
	}
}
