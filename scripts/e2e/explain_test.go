package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stickyd/stickyd/supervisor/admin"
)

func askExplain(t *testing.T, control, sid string) (e admin.Explanation) {
	t.Helper()
	cmd := exec.Command(binary, "explain", "--json", "--control", control, "-")
	cmd.Stdin = strings.NewReader(sid + "\n")
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &e)
	}
	if err != nil {
		t.Fatalf("explain: %v: %s", err, out)
	}
	return e
}

// Who asks learns where a session is, or was, also after upgrades. Its id is a
// secret, and stands nowhere.
func TestExplain(t *testing.T) {
	s, pids, control := controlled(t, 2, worker("app"), "--min-ready", "0s")
	a, b := s.mustGet("/handshake"), s.mustGet("/handshake")
	if a.Slot == b.Slot {
		t.Fatal("both sessions are at one worker")
	}
	const unknown = "never-heard-of-this-one"
	for range 2 {
		for _, owner := range []reply{a, b} {
			e := askExplain(t, control, owner.SID)
			if e.State != admin.Owned || e.Slot != owner.Slot || e.PID != owner.PID || e.Generation != 1 || e.WorkerSince.IsZero() {
				t.Errorf("a session of %+v: %+v", owner, e)
			}
		}
		if e := askExplain(t, control, unknown); e.State != admin.Unknown || e.Slot != 0 || e.PID != 0 {
			t.Errorf("an unknown session: %+v", e)
		}
		mustAsk(t, "upgrade", control)
	}
	out := mustAsk(t, "explain", control, a.SID)
	if want := fmt.Sprintf("session %s…: the worker of slot %d, pid %d, generation 1, has it", a.SID[:4], a.Slot, a.PID); !strings.HasPrefix(out, want) {
		t.Errorf("it says %q, want %q", out, want)
	}
	syscall.Kill(a.PID, syscall.SIGKILL)
	s.await("worker died", nil)
	if e := askExplain(t, control, a.SID); e.State != admin.Dead || e.Slot != a.Slot || e.PID != a.PID || e.DiedAt.IsZero() {
		t.Errorf("a session whose worker was killed: %+v", e)
	}
	if out := mustAsk(t, "explain", control, a.SID); !strings.Contains(out, "had it, and died ") {
		t.Errorf("of a dead worker's session it says %q", out)
	}
	s.mustGet("/end?sid=" + b.SID)
	if e := askExplain(t, control, b.SID); e.State != admin.Unknown {
		t.Errorf("a session that has ended: %+v", e)
	}
	if pids[b.Slot] != b.PID {
		t.Errorf("worker %d is %d, not %d", b.Slot, pids[b.Slot], b.PID)
	}
	s.signal(syscall.SIGTERM)
	s.wait()
	for _, id := range []string{a.SID, b.SID, unknown} {
		if strings.Contains(s.output(), id) {
			t.Errorf("the id %s stands in the log", id)
		}
	}
}

// Who follows misses nothing when another program takes over, and gets nothing
// twice.
func TestFollowingAcrossUpgrades(t *testing.T) {
	s, _, control := controlled(t, 2, worker("app"))
	s.mustGet("/print?line=before")
	s.await("worker output", func(e event) bool { return e.str("line") == "before" })
	logs, events := askMeanwhile(t, "logs", control, "-f"), askMeanwhile(t, "events", control, "-f", "--json")
	logs.says("before")
	events.says(`"listening"`)
	var want []string
	for i := range 3 {
		line := fmt.Sprint("line-", i)
		s.mustGet("/print?line=" + line)
		s.await("worker output", func(e event) bool { return e.str("line") == line })
		want = append(want, line)
		mustAsk(t, "upgrade", control)
	}
	s.mustGet("/print?line=after")
	logs.says("after")
	for verb, want := range map[string]string{"logs": "] before\n", "events": "msg=listening"} {
		if out := mustAsk(t, verb, control); !strings.Contains(out, want) {
			t.Errorf("%s does not show what was before the upgrades: %s", verb, out)
		}
	}
	if status, out := ask(t, "stop", control); status != 0 {
		t.Errorf("stop: exit status %d: %s", status, out)
	}
	var got []string
	for _, line := range strings.Split(strings.TrimSpace(logs.ends(0)), "\n") {
		_, text, _ := strings.Cut(line, "] ")
		got = append(got, text)
	}
	if all := strings.Join(got, " "); all != "before "+strings.Join(want, " ")+" after" {
		t.Errorf("logs -f printed %q", all)
	}
	seen := events.ends(0)
	for msg, n := range map[string]int{"listening": 1, "worker ready": 2, "upgrading": 3, "upgraded": 3, "stopped": 1} {
		if found := strings.Count(seen, fmt.Sprintf(`"msg":%q`, msg)); found != n {
			t.Errorf("events -f has %q %d times, want %d", msg, found, n)
		}
	}
	if t.Failed() {
		t.Log(seen)
	}
}
