//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A judge knows what was done to which worker, and tells for each error of a client
// whether it had to be. Its methods may be called from any goroutine.
type judge struct {
	figures *figures

	mu       sync.Mutex
	done     map[int]deed      // by process: what was done to it here
	drains   map[int]time.Time // by process: until when it drains, or would
	findings []string
	more     int // findings that are not kept
}

// A deed is a signal that was sent to a worker.
type deed struct {
	kind string
	at   time.Time
	gone time.Time // the process was; zero: not yet
}

func newJudge() *judge {
	return &judge{figures: newFigures(), done: make(map[int]deed), drains: make(map[int]time.Time)}
}

// slack is how far apart what stickyd and we think of a time may be, with a
// busy machine between us.
const slack = 2 * time.Second

// patience is how long evidence may take to get here.
const patience = 5 * time.Second

// does notes a deed, before it is done.
func (j *judge) does(pid int, kind string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.done[pid] = deed{kind: kind, at: time.Now()}
}

// gone notes that a process has ended.
func (j *judge) gone(pid int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	d := j.done[pid]
	d.gone = time.Now()
	j.done[pid] = d
}

// look notes what workers do.
func (j *judge) look(workers []worker) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, w := range workers {
		// The first one counts: one whose time was over gets some more to say so.
		if first, known := j.drains[w.PID]; w.PID != 0 && !w.DrainsUntil.IsZero() && (!known || w.DrainsUntil.Before(first)) {
			j.drains[w.PID] = w.DrainsUntil
		}
	}
}

// session says why a session ended, whose worker was that process. It waits
// until it knows.
func (j *judge) session(pid int, at time.Time) (cause string, ok bool) {
	for late := at.Add(patience); ; time.Sleep(lookEvery) {
		if cause, ok = j.sessionNow(pid, at); ok || time.Now().After(late) {
			return cause, ok
		}
	}
}

func (j *judge) sessionNow(pid int, at time.Time) (cause string, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if d, found := j.done[pid]; found && d.kind != "pause" && d.at.Before(at) {
		return "with its worker: " + d.kind, true
	}
	if until, found := j.drains[pid]; found && at.After(until.Add(-slack)) {
		return "at its worker's drain deadline", true
	}
	return "", false
}

// connection says whether a request may have failed that went to a worker that
// we don't know: one had connections and was killed meanwhile.
func (j *judge) connection(began, failed time.Time) (cause string, ok bool) {
	for late := failed.Add(patience); ; time.Sleep(lookEvery) {
		if cause, ok = j.connectionNow(began, failed); ok || time.Now().After(late) {
			return cause, ok
		}
	}
}

func (j *judge) connectionNow(began, failed time.Time) (cause string, ok bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, d := range j.done {
		if d.at.Before(failed) && !d.gone.IsZero() && began.Before(d.gone.Add(slack/4)) {
			return "with a worker: " + d.kind, true
		}
	}
	return "", false
}

func exists(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// disturbed reports whether a worker was killed or stopped since then.
func (j *judge) disturbed(since time.Time) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, d := range j.done {
		if d.at.After(since.Add(-hangTimeout - slack)) { // a stopped one is killed later
			return true
		}
	}
	return false
}

const keepFindings = 30

// finds notes what must not be.
func (j *judge) finds(format string, args ...any) {
	text := time.Now().Format("15:04:05.000 ") + fmt.Sprintf(format, args...)
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.findings) < keepFindings {
		fmt.Println("FOUND:", text)
		j.findings = append(j.findings, text)
	} else {
		j.more++
	}
}

func (j *judge) verdict() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, name := range []string{"requests: plain", "requests: polling", "messages: websocket", "sessions: begun"} {
		if j.figures.of(name) == 0 {
			return fmt.Errorf("nothing was tried: %s", name)
		}
	}
	if len(j.findings) == 0 {
		return nil
	}
	return fmt.Errorf("%d findings:\n%s", len(j.findings)+j.more, strings.Join(j.findings, "\n"))
}

// A statusError is a whole answer, of the wrong kind.
type statusError struct {
	status int
	worker string // that answered, "" for stickyd itself
	body   string
}

func (e *statusError) Error() string {
	who := "worker " + e.worker
	if e.worker == "" {
		who = "stickyd"
	}
	return fmt.Sprintf("%s answered %d %.100q", who, e.status, e.body)
}

// unknownSession reports whether it is a worker's answer to a session that is
// not its own.
func unknownSession(err error) bool {
	var e *statusError
	return errors.As(err, &e) && e.status == http.StatusBadRequest && strings.Contains(e.body, "Session ID unknown")
}

// kindOf sorts errors.
func kindOf(err error) string {
	var status *statusError
	var slow net.Error
	switch {
	case errors.As(err, &status) && status.worker == "":
		return "answered by stickyd"
	case errors.As(err, &status):
		return "wrong answer"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed"
	case errors.As(err, &slow) && slow.Timeout():
		return "no answer in time"
	}
	return "other error"
}
