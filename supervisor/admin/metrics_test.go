package admin

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	f := newFake(t)
	f.status = Status{
		Version: "v1.2", Revision: "f21a7e", Started: time.UnixMilli(1500), Sessions: 7,
		Generation: 4, SessionTableBytes: 12,
		Counters: Counters{Accepted: 10, Handed: 9, Returned: 8, Rerouted: 7, Refused: 6, Abandoned: 2, Pauses: 1, Bound: 11, Upgrades: 13, Reloads: 14},
		Lookups:  Lookups{Owner: 5, Rescued: 4, DeadOwner: 3, NeverSeen: 2, None: 1},
		Sources:  []Source{{"query:sid", 9, 6, 2, 1}},
		Workers: []Worker{
			{Slot: 1, State: "draining", Sessions: 5, Untaken: 1, Restarts: 2, Crashes: 5, ResidentBytes: 1024, CPUSeconds: 1},
			{Slot: 1, State: "ready", Sessions: 7, Untaken: 2, Restarts: 3, Crashes: 4, ResidentBytes: 4096, CPUSeconds: 1.5},
			{Slot: 2, State: "waiting"},
		},
		Slots: []Slot{{Slot: 1, Handed: 6, Returned: 2, Rerouted: 1, Ends: map[string]int64{"exit": 2, "hung": 1}}},
		Head:  Histogram{Bounds: []float64{0.1, 0.5}, Counts: []uint64{3, 2, 1}, Sum: 2.5},
	}
	rec := httptest.NewRecorder()
	NewMetrics(f, slog.New(slog.DiscardHandler)).Handler.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	body := rec.Body.String()
	for _, line := range []string{
		`stickyd_build_info{goversion="` + runtime.Version() + `",revision="f21a7e",version="v1.2"} 1`,
		"stickyd_start_time_seconds 1.5",
		"stickyd_sessions 7",
		"stickyd_sessions_bound_total 11",
		"stickyd_connections_accepted_total 10",
		"stickyd_connections_handed_total 9",
		"stickyd_connections_returned_total 8",
		"stickyd_connections_rerouted_total 7",
		"stickyd_connections_refused_total 6",
		"stickyd_connections_abandoned_total 2",
		"stickyd_accept_pauses_total 1",
		"stickyd_generation 4",
		"stickyd_session_table_bytes 12",
		"stickyd_upgrades_total 13",
		"stickyd_reloads_total 14",
		`stickyd_lookups_total{outcome="owner"} 5`,
		`stickyd_lookups_total{outcome="rescued"} 4`,
		`stickyd_lookups_total{outcome="dead_owner"} 3`,
		`stickyd_lookups_total{outcome="never_seen"} 2`,
		`stickyd_lookups_total{outcome="none"} 1`,
		`stickyd_session_ids_total{outcome="found",source="query:sid"} 6`,
		`stickyd_session_ids_total{outcome="dead",source="query:sid"} 2`,
		`stickyd_session_ids_total{outcome="unknown",source="query:sid"} 1`,
		`stickyd_worker_ready{slot="1"} 1`,
		`stickyd_worker_ready{slot="2"} 0`,
		`stickyd_worker_sessions{slot="1"} 12`,
		`stickyd_worker_untaken_connections{slot="1"} 3`,
		`stickyd_worker_restarts_total{slot="1"} 3`,
		`stickyd_worker_crashes_total{slot="1"} 5`,
		`stickyd_worker_resident_memory_bytes{slot="1"} 5120`,
		`stickyd_worker_cpu_seconds{slot="1"} 2.5`,
		`stickyd_worker_connections_total{outcome="handed",slot="1"} 6`,
		`stickyd_worker_connections_total{outcome="returned",slot="1"} 2`,
		`stickyd_worker_connections_total{outcome="rerouted",slot="1"} 1`,
		`stickyd_worker_ends_total{cause="exit",slot="1"} 2`,
		`stickyd_worker_ends_total{cause="hung",slot="1"} 1`,
		`stickyd_head_seconds_bucket{le="0.1"} 3`,
		`stickyd_head_seconds_bucket{le="0.5"} 5`,
		`stickyd_head_seconds_bucket{le="+Inf"} 6`,
		"stickyd_head_seconds_sum 2.5",
		"stickyd_head_seconds_count 6",
		"stickyd_queue_seconds_count 0",
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no line %q", line)
		}
	}
	if rec.Code != http.StatusOK || !strings.Contains(body, "\ngo_goroutines ") {
		t.Errorf("status %d: %s", rec.Code, body)
	}
	if problems, err := testutil.CollectAndLint(collector{f}); err != nil || len(problems) > 0 {
		t.Errorf("%v, %v", problems, err)
	}
}

func TestListenMetrics(t *testing.T) {
	ownPlace(t)
	path := filepath.Join(publicDirectory, "m.sock")
	ln, err := ListenMetrics("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ListenMetrics("unix:" + path); err == nil || !strings.Contains(err.Error(), "cannot serve metrics on unix:"+path+": stickyd itself listens there already") {
		t.Errorf("a second time: %v", err)
	}
	ln.Close()
	if _, err := os.Lstat(path); !os.IsNotExist(err) {
		t.Error("the socket is still there: ", err)
	}
	tcp, err := ListenMetrics("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	if _, err := ListenMetrics(tcp.Addr().String()); err == nil || err.Error() != "cannot serve metrics on "+tcp.Addr().String()+
		": stickyd itself listens there already, for another of its addresses; choose another with --metrics" {
		t.Errorf("a port in use: %v", err)
	}
}
