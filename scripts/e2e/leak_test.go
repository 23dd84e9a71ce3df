package e2e

import (
	"bufio"
	"flag"
	"fmt"
	"net/http"
	"testing"
)

// long makes the test of leaks take minutes.
var long = flag.Bool("long", false, "look for leaks over 200 rolling restarts and 50 upgrades, not 20 and 10")

// A footprint is what a process holds.
type footprint struct {
	descriptors, goroutines int
	resident                int64 // bytes
}

func (f footprint) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %.1f MiB", f.descriptors, f.goroutines, float64(f.resident)/(1<<20))
}

// footprintOf asks a stickyd whose metrics are at addr.
func footprintOf(t *testing.T, pid int, addr string) (f footprint) {
	t.Helper()
	resp, err := oneShot.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		var value float64
		if n, _ := fmt.Sscanf(lines.Text(), "go_goroutines %g", &value); n == 1 {
			f.goroutines = int(value)
		}
		if n, _ := fmt.Sscanf(lines.Text(), "process_resident_memory_bytes %g", &value); n == 1 {
			f.resident = int64(value)
		}
	}
	f.descriptors = descriptorsOf(pid)
	if resp.StatusCode != http.StatusOK || f.goroutines == 0 || f.resident == 0 {
		t.Fatalf("metrics: status %d, %v", resp.StatusCode, f)
	}
	return f
}

// mayGrow is how much more memory a stickyd may use than at first, whatever it
// has done: the Go runtime keeps what was freed a moment ago.
const mayGrow = 16 << 20

// Restarts and upgrades leave nothing behind in stickyd. Descriptors outlive
// upgrades, so those come first; the rest of it begins anew with each of them.
func TestNothingLeaks(t *testing.T) {
	restarts, upgrades := 20, 10
	if *long {
		restarts, upgrades = 200, 50
	}
	s, _, control := controlled(t, 2, worker("app"), "--min-ready", "0s", "--balance", "round-robin", "--metrics", "127.0.0.1:0")
	addr := s.await("metrics", nil).str("addr")
	restart := func() {
		t.Helper()
		owners := s.beginSessions(4)
		c := s.mustConnect()
		for _, owner := range owners { // it goes from worker to worker
			c.mustGet(t, "/use?sid="+owner.SID)
			c.mustGet(t, "/end?sid="+owner.SID)
		}
		c.conn.Close()
		mustAsk(t, "restart", control)
	}
	var now footprint
	look := func() footprint {
		t.Helper()
		now = footprintOf(t, s.cmd.Process.Pid, addr)
		return now
	}
	asMuchAs := func(before footprint) {
		t.Helper()
		eventually(t, fmt.Sprint("a footprint like that before, ", before), func() bool {
			return look().descriptors == before.descriptors && now.goroutines <= before.goroutines
		})
		if buildFlags == nil && now.resident > before.resident+mayGrow { // not that of the race detector
			t.Errorf("%v, before %v", now, before)
		}
	}
	restart()
	mustAsk(t, "upgrade", control)
	restart()
	first := settled(t, look)
	for range upgrades {
		restart()
		mustAsk(t, "upgrade", control)
	}
	restart()
	asMuchAs(first)
	for range restarts - upgrades {
		restart()
	}
	asMuchAs(first)
	t.Logf("%v; after %d upgrades and %d rolling restarts %v", first, upgrades, restarts, now)
}

// settled looks until two looks in a row are the same but for memory.
func settled(t *testing.T, look func() footprint) (now footprint) {
	t.Helper()
	before := look()
	eventually(t, "a footprint that stays", func() bool {
		now = look()
		same := now.descriptors == before.descriptors && now.goroutines == before.goroutines
		before = now
		return same
	})
	return now
}
