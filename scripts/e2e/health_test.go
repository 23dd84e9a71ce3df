package e2e

import (
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Who checks the health of a stickyd hears that nobody is to be sent to it: before
// the first worker is ready, and from its stop on.
func TestHealthIsThatOfTheWorkers(t *testing.T) {
	gate := filepath.Join(t.TempDir(), "gate")
	s := start(t, worker("gated", gate), "--workers", "1", "--metrics", "127.0.0.1:0")
	metrics := s.await("metrics", nil).str("addr")
	expect := func(path string, status int, want string) {
		t.Helper()
		resp, err := oneShot.Get("http://" + metrics + path)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); resp.StatusCode != status || !strings.Contains(string(body), want) {
			t.Errorf("%s: status %d, %q, %v; want %d, %q", path, resp.StatusCode, body, err, status, want)
		}
	}
	expect("/healthz", 503, "no worker is ready, of 1")
	touch(t, gate)
	s.await("worker ready", nil)
	expect("/healthz", 200, "1 worker ready")
	expect("/", 200, "/healthz")
	expect("/metrics", 200, "stickyd_build_info{")
	s.mustGet("/whoami")
	expect("/metrics", 200, "stickyd_head_seconds_count 1\n")
	expect("/metrics", 200, "stickyd_queue_seconds_count 1\n")

	file := filepath.Join(t.TempDir(), "go")
	slow := s.beginSlow(file)
	s.signal(syscall.SIGTERM)
	s.await("stopping: open requests may finish, a second signal stops at once", nil)
	expect("/healthz", 503, "stickyd is stopping")
	touch(t, file)
	await(t, slow)
	s.wait()
}
