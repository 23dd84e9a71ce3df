package upgrade

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Clients connect all the time, and none is refused or reset.
func TestThreeUpgradesInARow(t *testing.T) {
	a := startActor(t)
	addr := a.do("listen")
	stop, served := make(chan struct{}), make(chan error)
	lives := make(map[string]int) // connections by who answered
	go func() {
		for {
			life, err := ask(addr)
			select {
			case <-stop:
				served <- err
				return
			default:
			}
			if err != nil {
				served <- err
				return
			}
			lives[life]++
		}
	}()
	for life := 2; life <= 4; life++ {
		if got, want := a.do("upgrade"), fmt.Sprintf("life %d pid %d", life, a.pid); got != want {
			t.Fatalf("%s, not %s", got, want)
		}
		if got, err := ask(addr); err != nil || got != fmt.Sprint(life) {
			t.Fatal(got, err)
		}
	}
	close(stop)
	if err := <-served; err != nil {
		t.Error(err)
	}
	t.Log("connections by life:", lives)
}

// ask connects and returns the answer.
func ask(addr string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	b, err := io.ReadAll(conn)
	if err == nil && len(b) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return string(b), err
}

func TestFailedExecLeavesAllAsItWas(t *testing.T) {
	dir := t.TempDir()
	tests := []struct{ name, binary, says string }{
		{"not there", dir + "/nothing", "no such file"},
		{"a directory", dir, "directory"},
		{"not executable", script(t, "#!/bin/sh\n", 0o644), "chmod +x"},
		{"no program", script(t, "\x7fELF but not really", 0o755), "exec format error"},
		{"no interpreter", script(t, "#!/nothing\n", 0o755), "interpreter"},
	}
	a := startActor(t, "sh", "-c", `ulimit -Sn 256; exec "$0"`) // Go raises it
	addr := a.do("listen")
	before := a.do("facts")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if said := a.do("exec " + tt.binary); !strings.Contains(said, tt.says) {
				t.Errorf("%s, which does not say %q", said, tt.says)
			}
			if after := a.do("facts"); after != before {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
			if life, err := ask(addr); life != "1" || err != nil {
				t.Error(life, err)
			}
		})
	}
	if said := a.do("exec-bad-descriptor"); !strings.Contains(said, "bad file descriptor") {
		t.Error(said)
	}
	if after := a.do("facts"); after != before {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	if got, want := a.do("upgrade"), fmt.Sprintf("life 2 pid %d", a.pid); got != want { // and it still can
		t.Error(got)
	}
}

func TestNewProgramReturns(t *testing.T) {
	a := startActorOf(t, testBinary, "not UTF-8: \xff")
	addr := a.do("listen")
	name := a.do("name")
	if got, want := a.do("upgrade return"), fmt.Sprintf("life 1 pid %d returned: the new program gave up", a.pid); got != want {
		t.Fatalf("%s, not %s", got, want)
	}
	if life, err := ask(addr); life != "1" || err != nil {
		t.Error(life, err)
	}
	if now := a.do("name"); now != name {
		t.Errorf("it is called %s, not %s", now, name)
	}
	if path := a.do("binary"); path != testBinary {
		t.Error("it was started from", path)
	}
	if args := a.do("args"); args != `["not UTF-8: \xff"]` {
		t.Error("its arguments are", args)
	}
	if said := a.do("return"); !strings.Contains(said, "already returned") {
		t.Error("it returned once more:", said)
	}
	if got, want := a.do("upgrade"), fmt.Sprintf("life 2 pid %d", a.pid); got != want {
		t.Error(got)
	}
	if said := a.do("return"); !strings.Contains(said, "let go") { // as Close says
		t.Error("it returned after all:", said)
	}
}

func TestReturnAfterTheFilesAreGone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old")
	text, err := os.ReadFile(testBinary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o755); err != nil {
		t.Fatal(err)
	}
	a := startActorOf(t, path)
	a.do("listen")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, want := a.do("upgrade return "+testBinary), fmt.Sprintf("life 1 pid %d returned: the new program gave up", a.pid); got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// Neither can make use of it: they do not return to each other for ever.
func TestStateThatNobodyCanUse(t *testing.T) {
	a := startActor(t)
	a.fails = true
	a.do("listen")
	got := a.do("upgrade corrupt")
	if !strings.Contains(got, "not all there") || !strings.Contains(got, "already returned") {
		t.Error(got)
	}
}

func TestChildrenStayChildren(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	a := startActor(t)
	a.do("listen")
	dead := a.do("spawn exit 7")
	lives := a.do("spawn read x < " + fifo + "; exit 8")
	eventually(t, "a zombie", func() bool { return !alive(atoi(t, dead)) })
	a.do("upgrade")
	release, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	release.Close()
	for pid, code := range map[string]string{dead: "7", lives: "8"} {
		if got := a.do("wait " + pid); got != "exit status "+code {
			t.Error(got)
		}
	}
}

// A shell stands for the time in which nothing of ours runs yet.
func TestSignalsInTheGapWait(t *testing.T) {
	between := script(t, "#!/bin/sh\necho in between; read x; exec "+testBinary+"\n", 0o755)
	a := startActor(t)
	a.do("listen")
	if said := a.do("upgrade gap " + between); said != "in between" {
		t.Fatal(said)
	}
	for _, sig := range []syscall.Signal{syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCHLD, syscall.SIGTTIN, syscall.SIGTTOU} {
		if err := syscall.Kill(a.pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	if said := a.do("go on"); said != "no handlers yet" {
		t.Fatal(said)
	}
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGHUP} { // main has begun
		if err := syscall.Kill(a.pid, sig); err != nil {
			t.Fatal(err)
		}
	}
	const want = "hangup, terminated, user defined signal 1, user defined signal 2"
	if said := a.do("go on"); said != want {
		t.Errorf("%s, not %s", said, want)
	}
	// What is blocked in us must not be blocked in those whom we start.
	pid := a.do("spawn kill -USR2 $$; exit 9")
	if got := a.do("wait " + pid); got != "signal: user defined signal 2" {
		t.Error(got)
	}
	if !alive(a.pid) {
		t.Error("it is dead")
	}
}

// What the old program's handlers got in its last moments comes to the new.
func TestSignalsOfTheLastMomentAreCarriedOver(t *testing.T) {
	a := startActor(t)
	a.do("listen")
	if said := a.do("upgrade last-moment"); said != "hangup, user defined signal 1" {
		t.Error(said)
	}
}

// Nor is one lost that comes when those were counted that are pending.
func TestSignalsAfterThePendingOnesAreCarriedOver(t *testing.T) {
	a := startActor(t)
	a.do("listen")
	if said := a.do("upgrade pending"); said != "hangup, user defined signal 1" {
		t.Error(said)
	}
}

// Nor is one lost that comes while the program is still written to.
func TestSignalsOfOtherAttemptsAreCarriedOver(t *testing.T) {
	program, err := os.ReadFile(testBinary)
	if err != nil {
		t.Fatal(err)
	}
	a := startActor(t)
	a.do("listen")
	if said := a.do("upgrade busy " + script(t, string(program), 0o755)); said != "hangup, user defined signal 1" {
		t.Error(said)
	}
}

func TestIgnoredSignalsStayIgnored(t *testing.T) {
	a := startActor(t, "nohup")
	a.do("listen")
	a.do("upgrade")
	a.do("upgrade")
	if a.do("hangup ignored") != "true" {
		t.Error("SIGHUP would be caught now")
	}
}
