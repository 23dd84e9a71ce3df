package admin

import (
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
)

// A port of our own is not in use for another host.
func TestMetricsChangeTheirHost(t *testing.T) {
	ln, err := net.Listen("tcp", ":0") // free at all addresses
	if err != nil {
		t.Fatal(err)
	}
	port := ":" + strconv.Itoa(ln.Addr().(*net.TCPAddr).Port)
	ln.Close()
	e := NewEndpoints(newFake(t), slog.New(slog.DiscardHandler))
	if err := e.ChangeMetrics([]string{port}); err != nil {
		t.Fatal(err)
	}
	e.Start()
	defer e.Finish(nil)
	for _, tt := range []struct {
		addrs []string
		want  string // what is there then
		ok    bool
	}{
		{[]string{"127.0.0.1" + port}, "127.0.0.1" + port, true},
		{[]string{"localhost" + port}, "localhost" + port, true},
		{[]string{port}, port, true},
		{[]string{"127.0.0.1" + port, "192.0.2.1" + port}, port, false},
	} {
		if err := e.ChangeMetrics(tt.addrs); (err == nil) != tt.ok {
			t.Errorf("to %v: %v", tt.addrs, err)
		}
		if len(e.metrics) != 1 || e.metrics[tt.want] == nil {
			t.Errorf("after %v there is %v", tt.addrs, e.metrics)
		}
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		resp, err := client.Get("http://127.0.0.1" + port + "/metrics")
		if err != nil {
			t.Fatalf("after %v: %v", tt.addrs, err)
		}
		if resp.Body.Close(); resp.StatusCode != 200 {
			t.Errorf("after %v: %s", tt.addrs, resp.Status)
		}
	}
}

// An end that comes at once, as where the command can't be executed, finds
// nobody who has begun to answer.
func TestEndpointsThatFinishAtOnce(t *testing.T) {
	e := NewEndpoints(&fake{}, slog.New(slog.DiscardHandler))
	if err := e.OpenControl(filepath.Join(t.TempDir(), "control"), &net.TCPAddr{}); err != nil {
		t.Fatal(err)
	}
	e.Start()
	e.Finish(nil)
}
