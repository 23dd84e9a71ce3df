//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// What a judge says of a session and of a request, in the order of time.
func TestJudge(t *testing.T) {
	const pid = 4711
	at := func(s int) time.Time { return time.Unix(1_000_000+int64(s), 0) }
	tests := []struct {
		name  string
		judge *judge
		// of a session of that process that ended at second 10, and of a request of
		// the time from 9 to 10
		session, request bool
	}{
		{"nothing was done", &judge{}, false, false},
		{"it was killed", &judge{done: map[int]deed{pid: {"kill", at(9), at(9)}}}, true, true},
		{"another was killed", &judge{done: map[int]deed{1: {"kill", at(9), at(9)}}}, false, true},
		{"it was killed before", &judge{done: map[int]deed{pid: {"kill", at(5), at(5)}}}, true, false},
		{"it was killed later", &judge{done: map[int]deed{pid: {"kill", at(11), at(11)}}}, false, false},
		{"it is stopped", &judge{done: map[int]deed{pid: {"stop", at(5), time.Time{}}}}, true, false},
		{"it was stopped, and then killed", &judge{done: map[int]deed{pid: {"stop", at(5), at(10)}}}, true, true},
		{"it paused", &judge{done: map[int]deed{pid: {"pause", at(9), time.Time{}}}}, false, false},
		{"it drains", &judge{drains: map[int]time.Time{pid: at(20)}}, false, false},
		{"its drain is over", &judge{drains: map[int]time.Time{pid: at(10)}}, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, ok := tt.judge.sessionNow(pid, at(10)); ok != tt.session {
				t.Error("the session had to end:", ok)
			}
			if _, ok := tt.judge.connectionNow(at(9), at(10)); ok != tt.request {
				t.Error("the request had to fail:", ok)
			}
		})
	}
}

func TestFirstDeadlineCounts(t *testing.T) {
	j := newJudge()
	for _, s := range []int64{20, 10, 30} {
		j.look([]worker{{PID: 1, DrainsUntil: time.Unix(s, 0)}, {PID: 2}})
	}
	if len(j.drains) != 1 || !j.drains[1].Equal(time.Unix(10, 0)) {
		t.Error(j.drains)
	}
}

func TestKindOfErrors(t *testing.T) {
	for want, err := range map[string]error{
		"refused":             fmt.Errorf("x: %w", syscall.ECONNREFUSED),
		"reset":               fmt.Errorf("x: %w", syscall.ECONNRESET),
		"closed":              io.ErrUnexpectedEOF,
		"answered by stickyd": &statusError{503, "", ""},
		"wrong answer":        &statusError{400, "1", ""},
		"other error":         errors.New("x"),
	} {
		if got := kindOf(err); got != want {
			t.Errorf("%v is %s, not %s", err, got, want)
		}
	}
	if !unknownSession(&statusError{400, "1", `{"code":1,"message":"Session ID unknown"}`}) || unknownSession(io.EOF) {
		t.Error("an unknown session is not known")
	}
}

func TestExists(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for late := time.Now().Add(time.Minute); exists(cmd.Process.Pid); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("a zombie exists")
		}
	}
	cmd.Wait()
}
