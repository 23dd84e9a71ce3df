package fdpass

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/poll"
)

// The test binary plays the child.
func TestMain(m *testing.M) {
	switch os.Getenv("FDPASS_TEST_ROLE") {
	case "poor":
		playPoor()
	case "sender":
		playSender()
	}
	os.Exit(m.Run())
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// startChild starts this binary in a role with the child's end.
func startChild(t *testing.T, role string, attr *syscall.SysProcAttr) (*Conn, *exec.Cmd) {
	t.Helper()
	parent, child, err := Pair(nil)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "FDPASS_TEST_ROLE="+role)
	cmd.ExtraFiles = []*os.File{child}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = attr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	child.Close()
	t.Cleanup(func() { parent.Close() })
	return parent, cmd
}

// pair returns both ends in this process.
func pair(t *testing.T) (a, b *Conn) {
	t.Helper()
	a, file, err := Pair(nil)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Dup(int(file.Fd()))
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = Adopt(fd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// receive waits for something.
func receive(c *Conn, size int) (b []byte, fds []int, err error) {
	buf := make([]byte, size)
	waitErr := c.OnReadable(func() poll.Next {
		var n int
		n, fds, err = c.TryReceive(buf, nil)
		b = buf[:n]
		return poll.Until(!errors.Is(err, ErrWouldBlock))
	})
	return b, fds, errors.Join(waitErr, err)
}

func openFDs(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestDescriptorArrivesCloseOnExecWithItsFlags(t *testing.T) {
	a, b := pair(t)
	before := openFDs(t)
	for _, nonblock := range []bool{true, false} {
		var p [2]int
		if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		unix.SetNonblock(p[1], nonblock)
		if _, err := a.TrySend([]byte("x"), p[1:]); err != nil {
			t.Fatal(err)
		}
		Close(p[1]) // the receiver's copy is its own
		got, fds, err := receive(b, 10)
		if err != nil || string(got) != "x" || len(fds) != 1 {
			t.Fatal(got, fds, err)
		}
		if flags, _ := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC == 0 {
			t.Error("it is not close-on-exec")
		}
		if flags, _ := unix.FcntlInt(uintptr(fds[0]), unix.F_GETFL, 0); flags&unix.O_NONBLOCK != 0 != nonblock {
			t.Error("its O_NONBLOCK changed on the way from", nonblock)
		}
		CloseAll([]int{fds[0], p[0]})
	}
	if after := openFDs(t); after != before {
		t.Errorf("%d descriptors were open before, %d are now", before, after)
	}
}

func TestOneReceiveNeverMixesTheDescriptorsOfTwoSends(t *testing.T) {
	a, b := pair(t)
	sends := []struct {
		text string
		fds  []int
	}{{"plain", nil}, {"two", []int{0, 1}}, {"one", []int{2}}, {"more", nil}}
	for _, s := range sends {
		if _, err := a.TrySend([]byte(s.text), s.fds); err != nil {
			t.Fatal(err)
		}
	}
	want := []struct {
		text string
		fds  int
	}{{"plaintwo", 2}, {"one", 1}, {"more", 0}}
	for _, w := range want {
		got, fds, err := receive(b, 100)
		if string(got) != w.text || len(fds) != w.fds || err != nil {
			t.Errorf("received %q with %d descriptors, %v; want %q with %d", got, len(fds), err, w.text, w.fds)
		}
		CloseAll(fds)
	}
}

func TestSendOfMaxMessageIsWholeOrNotAtAll(t *testing.T) {
	a, b := pair(t)
	message := bytes.Repeat([]byte("m"), MaxMessage)
	sent := 0
	for {
		n, err := a.TrySend(message, nil)
		if errors.Is(err, ErrWouldBlock) {
			break
		}
		if err != nil || n != MaxMessage {
			t.Fatalf("sent %d of %d, %v", n, MaxMessage, err)
		}
		sent += n
	}
	got := 0
	for got < sent {
		b, _, err := receive(b, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		got += len(b)
	}
	if sent == 0 || got != sent {
		t.Errorf("sent %d bytes, received %d", sent, got)
	}
}

func TestOnWritableWaitsForRoom(t *testing.T) {
	a, b := pair(t)
	message := make([]byte, MaxMessage)
	for err := error(nil); err == nil; {
		_, err = a.TrySend(message, nil)
	}
	wrote := make(chan error, 1)
	go func() {
		wrote <- a.OnWritable(t.Context(), func() poll.Next { _, err := a.TrySend(message, nil); return poll.Until(err == nil) })
	}()
	go b.OnReadable(func() poll.Next { // until the end of the test closes it
		_, _, err := b.TryReceive(make([]byte, 1<<20), nil)
		return poll.Until(!errors.Is(err, ErrWouldBlock) && err != nil)
	})
	if err := <-wrote; err != nil {
		t.Fatal(err)
	}
}

func TestEndOfFileComesBehindWhatWasSent(t *testing.T) {
	a, b := pair(t)
	a.TrySend([]byte("last words"), nil)
	a.CloseWrite()
	if got, _, err := receive(b, 100); string(got) != "last words" || err != nil {
		t.Errorf("received %q, %v", got, err)
	}
	if _, _, err := receive(b, 100); !errors.Is(err, io.EOF) {
		t.Error("then", err)
	}
	if _, err := b.TrySend([]byte("still"), nil); err != nil {
		t.Error("the other direction:", err)
	}
	a.Close()
	if _, err := b.TrySend([]byte("x"), nil); !errors.Is(err, unix.EPIPE) {
		t.Error("sending to who is gone:", err) // and no SIGPIPE
	}
}

func TestCloseEndsAWait(t *testing.T) {
	a, _ := pair(t)
	ended := make(chan error, 1)
	waiting := make(chan struct{})
	go func() {
		first := true
		ended <- a.OnReadable(func() poll.Next {
			if first {
				close(waiting)
				first = false
			}
			return poll.Wait
		})
	}()
	<-waiting
	a.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("it waits still")
	}
}

func TestReceivingBesideAWait(t *testing.T) {
	a, b := pair(t)
	go b.OnReadable(func() poll.Next { return poll.Wait })
	for range 100 {
		if _, err := a.TrySend([]byte("x"), nil); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		if n, _, err := b.TryReceive(buf, nil); n != 1 || err != nil {
			t.Fatal("what was sent before is not there:", n, err)
		}
	}
}

func TestAdoptRefusesWhatIsNoSocket(t *testing.T) {
	file, err := os.Open("/dev/null")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := Adopt(int(file.Fd())); err == nil {
		t.Error("a file was adopted")
	}
	if _, err := file.Stat(); err != nil {
		t.Error("it was closed:", err)
	}
}

// playPoor has room for two descriptors more and says how many of five come.
func playPoor() {
	c, err := Adopt(3)
	fail(err)
	var limit unix.Rlimit
	fail(unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	next, err := unix.FcntlInt(0, unix.F_DUPFD, 3) // the lowest that is free
	fail(err)
	unix.Close(next)
	limit.Cur = uint64(next) + 2
	fail(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	c.TrySend([]byte("ready"), nil)
	b, fds, err := receive(c, 100)
	fail(err)
	CloseAll(fds)
	c.TrySend(fmt.Appendf(nil, "%d bytes, %d descriptors", len(b), len(fds)), nil)
	os.Exit(0)
}

func TestReceiverWithoutRoomGetsTheBytesAndTheFirstDescriptors(t *testing.T) {
	parent, cmd := startChild(t, "poor", nil)
	if _, _, err := receive(parent, 100); err != nil { // it is ready
		t.Fatal(err)
	}
	if _, err := parent.TrySend([]byte("five"), []int{0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	got, _, err := receive(parent, 100)
	if want := "4 bytes, 2 descriptors"; string(got) != want || err != nil {
		t.Errorf("the child got %q, %v; want %q", got, err, want)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// playSender sends descriptors that nobody receives until it may not.
func playSender() {
	c, err := Adopt(3)
	fail(err)
	limit := unix.Rlimit{Cur: 64, Max: 64}
	fail(unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	for range 200 {
		if _, err = c.TrySend([]byte("x"), []int{0}); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrTooManyInFlight) || !errors.Is(err, ErrWouldBlock) {
		fail(fmt.Errorf("with 64 descriptors allowed: %w", err))
	}
	os.Exit(0)
}

func TestTooManyDescriptorsInFlight(t *testing.T) {
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("CI must run this as root")
		}
		t.Skip("needs root, to become another user: root has no such limit")
	}
	_, cmd := startChild(t, "sender", &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 61234, Gid: 61234}})
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestPeekLeavesEverything(t *testing.T) {
	near, far, err := Channel()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	peer, err := Adopt(far)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 8)
	if _, err := near.TryPeek(b); err != ErrWouldBlock {
		t.Errorf("peek at nothing: %v", err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if _, err := peer.TrySend([]byte("hello"), []int{int(r.Fd())}); err != nil {
		t.Fatal(err)
	}
	peer.Close()
	for range 2 {
		if n, err := near.TryPeek(b); string(b[:n]) != "hello" || err != nil {
			t.Errorf("peeked %q, %v", b[:n], err)
		}
	}
	n, fds, err := near.TryReceive(b, nil)
	if string(b[:n]) != "hello" || len(fds) != 1 || err != nil {
		t.Errorf("received %q with %d descriptors, %v", b[:n], len(fds), err)
	}
	CloseAll(fds)
	if _, err := near.TryPeek(b); err != io.EOF {
		t.Errorf("peek at the end: %v", err)
	}
}

// A peer that sends no more is still there; one that is closed is not.
func TestPeerClosed(t *testing.T) {
	a, b := pair(t)
	if a.PeerClosed() {
		t.Error("an open peer is taken for closed")
	}
	b.CloseWrite()
	if a.PeerClosed() {
		t.Error("a peer that only sends no more is taken for closed")
	}
	b.Close()
	if !a.PeerClosed() {
		t.Error("a closed peer is taken for open")
	}
}

// A Conn that is detached takes nothing with it: another one goes on where it
// stopped, and its waits have ended.
func TestDetachAndGoOn(t *testing.T) {
	a, b := pair(t)
	if _, err := b.TrySend([]byte("unread"), []int{0}); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error, 1)
	began := make(chan struct{}, 1)
	go func() {
		waited <- a.OnReadable(func() poll.Next {
			select {
			case began <- struct{}{}:
			default:
			}
			return poll.Wait
		})
	}()
	<-began
	fd, err := a.Detach()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != os.ErrClosed {
		t.Errorf("the wait ended with %v", err)
	}
	if _, err := a.TrySend([]byte("x"), nil); err != os.ErrClosed {
		t.Errorf("sending afterwards: %v", err)
	}
	if err := a.Close(); err != os.ErrClosed {
		t.Errorf("Close afterwards: %v", err)
	}
	again, err := NewConn(fd, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	got, fds, err := receive(again, 100)
	if string(got) != "unread" || len(fds) != 1 || err != nil {
		t.Errorf("received %q with %d descriptors (%v)", got, len(fds), err)
	}
	CloseAll(fds)
	if _, err := again.TrySend([]byte("answer"), nil); err != nil {
		t.Error(err)
	}
	if got, _, err := receive(b, 100); string(got) != "answer" {
		t.Errorf("the peer received %q (%v)", got, err)
	}
}

// A failed NewConn leaves the descriptor to its owner.
func TestNewConnOfWhatIsNoSocket(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if c, err := NewConn(int(w.Fd()), nil); err == nil {
		c.Close()
		t.Fatal("a pipe was taken for a socket")
	}
	if _, err := w.Write([]byte("x")); err != nil {
		t.Error(err)
	}
}
