package upgrade

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// testBinary is this program: it plays the old ones and the new ones.
var testBinary string

const envActor, envFate = "UPGRADE_TEST_ACTOR", "UPGRADE_TEST_FATE"

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == CheckArg {
		playChecked()
	}
	if os.Getenv(envActor) != "" {
		playActor()
	}
	closeOnExec() // whoever runs the tests may have left us something
	var err error
	if testBinary, err = filepath.EvalSymlinks("/proc/self/exe"); err != nil {
		panic(err)
	}
	os.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	os.Exit(m.Run())
}

// An actor is a process that upgrades itself when it is told to.
type actor struct {
	t   *testing.T
	pid int
	in  io.Writer
	out *bufio.Reader

	fails bool // it ends with an error, as it should
}

func startActor(t *testing.T, wrapper ...string) *actor {
	t.Helper()
	return startActorOf(t, append(wrapper, testBinary)...)
}

func startActorOf(t *testing.T, argv ...string) *actor {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), envActor+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	a := &actor{t: t, pid: cmd.Process.Pid, in: in, out: bufio.NewReader(out)}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil != a.fails {
			t.Error("the actor:", err)
		}
	})
	return a
}

// do sends a line and returns the line that is the answer.
func (a *actor) do(line string) string {
	a.t.Helper()
	fmt.Fprintln(a.in, line)
	answer, err := a.out.ReadString('\n')
	if err != nil {
		a.t.Fatalf("%s: %v", line, err)
	}
	return strings.TrimSpace(answer)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("this never came: ", what)
		}
	}
}

// alive reports whether a process exists and is no zombie.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

func atoi(t *testing.T, s string) int {
	t.Helper()
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func notified(t *testing.T, sig os.Signal) <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, sig)
	t.Cleanup(func() { signal.Stop(c) })
	return c
}

// life is what an actor carries over.
type life struct {
	Number   int
	Listener int
}

// playing is the actor's side.
type playing struct {
	life
	mu      sync.Mutex // held while a connection is answered
	signals chan os.Signal
}

func playActor() {
	p := &playing{life: life{Number: 1}, signals: make(chan os.Signal, 10)}
	t, err := Inherited()
	switch {
	case err != nil:
		fmt.Println(t.Return(err))
		os.Exit(1)
	case t != nil:
		p.takeOver(t)
	}
	for {
		line := readLine()
		if line == "" {
			os.Exit(0)
		}
		fmt.Println(p.obey(line))
	}
}

// readLine reads nothing beyond the line: what is read is lost with an exec.
func readLine() string {
	var line []byte
	b := make([]byte, 1)
	for {
		if n, _ := os.Stdin.Read(b); n == 0 || b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

func (p *playing) takeOver(t *Takeover) {
	if err := t.Meta(&p.life); err != nil {
		fmt.Println(t.Return(err))
		os.Exit(1)
	}
	if t.Returned() != "" {
		go p.serve()
		fmt.Printf("life %d pid %d returned: %s\n", p.Number, os.Getpid(), t.Returned())
		return
	}
	if os.Getenv(envFate) == "return" {
		fmt.Println(t.Return(errors.New("the new program gave up")))
		os.Exit(1)
	}
	p.Number++
	go p.serve()
	switch os.Getenv(envFate) {
	case "gap":
		fmt.Println("no handlers yet")
		readLine()
		Notify(p.signals, held...)
		fmt.Println(p.received(4))
	case "last-moment", "busy", "pending":
		Notify(p.signals, syscall.SIGHUP, syscall.SIGUSR1)
		fmt.Println(p.received(2))
	default:
		fmt.Printf("life %d pid %d\n", p.Number, os.Getpid())
	}
	if err := t.Close(); err != nil {
		fmt.Println(err)
	}
}

func (p *playing) received(n int) string {
	var names []string
	for range n {
		names = append(names, (<-p.signals).String())
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (p *playing) obey(line string) string {
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "listen":
		return p.listen()
	case "upgrade":
		fate, binary, _ := strings.Cut(rest, " ")
		return p.upgrade(fate, binary)
	case "exec":
		return p.exec(rest, p.Listener, "")
	case "exec-bad-descriptor":
		return p.exec(os.Args[0], 12345, "")
	case "return":
		return inherited.Return(errors.New("cause")).Error()
	case "name":
		return processName()
	case "args":
		return fmt.Sprintf("%q", os.Args[1:])
	case "binary":
		path, err := Binary("")
		return fmt.Sprint(path, err)[:len(path)]
	case "hangup":
		return fmt.Sprint(swapAction(syscall.SIGHUP, nil)[0] == ignore)
	case "facts":
		return facts()
	case "spawn":
		cmd := exec.Command("sh", "-c", rest)
		if err := Start(cmd); err != nil {
			return err.Error()
		}
		return strconv.Itoa(cmd.Process.Pid)
	case "wait":
		pid, _ := strconv.Atoi(rest)
		child, err := os.FindProcess(pid)
		if err != nil {
			return err.Error()
		}
		state, err := child.Wait()
		if err != nil {
			return err.Error()
		}
		return state.String()
	}
	return "what is " + line + "?"
}

func (p *playing) listen() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err.Error()
	}
	f, err := ln.(*net.TCPListener).File()
	if err != nil {
		return err.Error()
	}
	addr := ln.Addr().String()
	ln.Close()
	p.Listener = int(f.Fd())
	keep = f
	unix.SetNonblock(p.Listener, true)
	go p.serve()
	return addr
}

var keep *os.File // from being closed as garbage

// serve answers each connection that it has accepted before anything else may
// happen.
func (p *playing) serve() {
	for {
		unix.Poll([]unix.PollFd{{Fd: int32(p.Listener), Events: unix.POLLIN}}, -1)
		p.mu.Lock()
		if conn, _, err := unix.Accept4(p.Listener, unix.SOCK_CLOEXEC); err == nil {
			unix.Write(conn, []byte(strconv.Itoa(p.Number)))
			unix.Close(conn)
		}
		p.mu.Unlock()
	}
}

func (p *playing) upgrade(fate, binary string) string {
	if binary == "" {
		binary = os.Args[0]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if fate == "last-moment" {
		signal.Notify(p.signals, syscall.SIGHUP)
		atGate = func() { signalSelf(syscall.SIGHUP, syscall.SIGUSR1) }
	}
	if fate == "busy" { // until the gate is shut once more
		signal.Notify(p.signals, syscall.SIGHUP, syscall.SIGUSR1)
		writer, err := os.OpenFile(binary, os.O_WRONLY, 0)
		if err != nil {
			return err.Error()
		}
		first := true
		atGate = func() {
			if first {
				signalSelf(syscall.SIGHUP)
				time.AfterFunc(busyPause/2, func() { syscall.Kill(os.Getpid(), syscall.SIGUSR1) })
			} else if len(p.signals) == 2 {
				writer.Close()
			}
			first = false
		}
	}
	return p.exec(binary, p.Listener, fate)
}

// pending returns a signal that has come, and gets another one after that.
func (p *playing) pending() []syscall.Signal {
	syscall.Kill(os.Getpid(), syscall.SIGUSR1)
	first := (<-p.signals).(syscall.Signal)
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	<-p.signals
	return []syscall.Signal{first}
}

// signalSelf sends signals to this thread, which has them blocked, as if another
// one had got them.
func signalSelf(signals ...syscall.Signal) {
	for _, sig := range signals {
		before := unix.Sigset_t{}
		set := heldSet()
		unix.PthreadSigmask(unix.SIG_UNBLOCK, &set, &before)
		unix.Tgkill(os.Getpid(), unix.Gettid(), sig)
		unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
	}
}

func (p *playing) exec(binary string, fd int, fate string) string {
	state, err := Write(p.life, nil)
	if err != nil {
		return err.Error()
	}
	defer state.Close()
	os.Setenv(envFate, fate)
	plan := &Plan{Binary: binary, Args: os.Args, Env: os.Environ(), State: state, FDs: []int{fd}}
	if fate == "corrupt" {
		if plan.State, err = newMemfd(); err != nil {
			return err.Error()
		}
	}
	if fate == "pending" {
		signal.Notify(p.signals, syscall.SIGHUP, syscall.SIGUSR1)
		plan.Pending = p.pending
	}
	return plan.Exec().Error()
}

// facts are what a failed exec must not change: the limit of open files, each
// descriptor's flags, and which signals are ignored.
func facts() string {
	var limit unix.Rlimit
	unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	text := fmt.Sprint("limit ", limit.Cur)
	entries, _ := os.ReadDir("/proc/self/fd")
	for _, e := range entries {
		fd, _ := strconv.Atoi(e.Name())
		if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			text += fmt.Sprintf(", %d:%d", fd, flags)
		}
	}
	status, _ := os.ReadFile("/proc/self/status")
	_, ignored, _ := strings.Cut(string(status), "SigIgn:\t")
	ignored, _, _ = strings.Cut(ignored, "\n")
	return text + ", ignored " + ignored
}
