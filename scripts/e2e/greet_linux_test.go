package e2e

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/workerproto"
)

// runGreets speaks first, as SMTP does: with how often the kernel repeated its
// part of the handshake. It does so while it waits for a client's first words.
func runGreets() {
	w, err := workerproto.Listen("")
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := w.Accept()
		if err != nil {
			return
		}
		fmt.Fprintf(c, "220 repeated %d times\r\n", repeated(c))
		c.Close()
	}
}

func repeated(c net.Conn) (times uint32) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		log.Fatal(err)
	}
	raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			log.Fatal(err)
		}
		times = info.Total_retrans
	})
	return times
}

// expectGreeting connects and says nothing.
func expectGreeting(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(deadline))
	if line, err := bufio.NewReader(c).ReadString('\n'); line != "220 repeated 0 times\r\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

// Where no id is looked for, a client that waits to be spoken to first is handed
// over at once.
func TestServerSpeaksFirst(t *testing.T) {
	t.Run("at a listener of its own", func(t *testing.T) {
		s, _ := startReady(t, 1, worker("greets"), "--session", "none")
		expectGreeting(t, s.addr)
	})
	t.Run("after a reload and an upgrade", func(t *testing.T) {
		s, _, control, f := startFromFile(t, map[string]any{"command": worker("greets")})
		f.more["session"] = "none"
		f.write()
		mustAsk(t, "reload", control)
		expectGreeting(t, s.addr)
		mustAsk(t, "upgrade", control)
		expectGreeting(t, s.addr)
	})
	t.Run("at a socket of the service manager", func(t *testing.T) {
		s, addr := startWithSocket(t, worker("greets"), "--session", "none")
		s.awaitN(2, "worker ready", nil)
		expectGreeting(t, addr)
	})
}
