package workerproto

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
)

// pairOf returns both ends of a control socket in this process.
func pairOf(t testing.TB) (a, b *fdpass.Conn) {
	t.Helper()
	return pairOn(t, nil)
}

// pairOn is pairOf with a loop at the one end.
func pairOn(t testing.TB, loop *poll.Loop) (a, b *fdpass.Conn) {
	t.Helper()
	a, file, err := fdpass.Pair(loop)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 3)
	file.Close()
	if err != nil {
		t.Fatal(err)
	}
	if b, err = fdpass.Adopt(fd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// raw is a frame that says that its message carries n descriptors.
func raw(t Type, flags uint8, n int, body string) []byte {
	b := append(appendHeader(nil, t, flags, len(body)), body...)
	setDescriptors(b, n)
	return b
}

// A sending is one message and how many descriptors really go with it.
type sending struct {
	bytes []byte
	fds   int

	// alone says that no receive brings more than this message: so it is for
	// one whose descriptors are missing, since the kernel ends a receive where
	// it truncates, but joins messages that never had any.
	alone bool
}

// receiveSent reads the frames that were sent so far.
func receiveSent(s *stream) (frames []frame, err error) {
	for {
		if _, err := s.receive(); err != nil {
			return frames, nil // nothing more, or end of file
		}
		for {
			f, ok, err := s.next()
			if err != nil {
				return frames, err
			}
			if !ok {
				break
			}
			f.body = append([]byte(nil), f.body...)
			frames = append(frames, f)
		}
	}
}

func openDescriptors(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestDescriptorsFindTheirFrames(t *testing.T) {
	conn := func(n int) []byte { return raw(Conn, FlagDescriptor, n, "12345678") }
	plain := raw(Taken, 0, 0, "12345678")
	join := func(bs ...[]byte) (all []byte) {
		for _, b := range bs {
			all = append(all, b...)
		}
		return all
	}
	for _, tt := range []struct {
		name string
		send []sending
		want string // a letter a frame: d with its descriptor, m missing it, p plain
		err  string
	}{
		{"one", []sending{{conn(1), 1, false}}, "d", ""},
		{"several in one message", []sending{{join(conn(3), conn(0), plain, conn(0)), 3, false}}, "ddpd", ""},
		{"behind plain frames in one receive", []sending{{plain, 0, false}, {join(plain, plain), 0, false}, {conn(1), 1, false}}, "pppd", ""},
		{"a frame in two messages before one", []sending{{plain[:5], 0, false}, {plain[5:], 0, false}, {conn(1), 1, false}, {plain, 0, false}}, "pdp", ""},
		{"the last ones are missing", []sending{{join(conn(3), conn(0), conn(0)), 2, false}, {conn(1), 1, false}}, "ddmd", ""},
		{"all are missing, and then some are not", []sending{{join(conn(2), conn(0)), 0, true}, {conn(1), 1, false}}, "mmd", ""},
		{"a body that is longer than a message", []sending{
			{raw(Conn, FlagDescriptor, 1, strings.Repeat("b", 60_000))[:30_000], 1, false},
			{raw(Conn, FlagDescriptor, 1, strings.Repeat("b", 60_000))[30_000:], 0, false},
			{conn(1), 1, false}}, "dd", ""},
		{"not announced", []sending{{join(plain, plain), 1, false}, {plain, 0, false}}, "pp", "no frame announced"},
		{"more than announced", []sending{{conn(1), 2, false}}, "", "announced 1 descriptors and came with 2"},
		{"announced and owned by nobody", []sending{{join(raw(Taken, 0, 1, "12345678"), plain), 1, false}, {conn(1), 1, false}}, "pp", "no frame owned"},
		{"owned and not announced", []sending{{conn(0), 0, false}}, "", "did not announce"},
		{"a body that is too long", []sending{{appendHeader(nil, Conn, 0, MaxBody+1), 0, false}}, "", "body of"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := pairOf(t)
			before := openDescriptors(t)
			s := stream{conn: b}
			var frames []frame
			for _, message := range tt.send {
				if n, err := a.TrySend(message.bytes, make([]int, message.fds)); err != nil || n != len(message.bytes) {
					t.Fatal(n, err)
				}
				if message.alone {
					frames, _ = receiveSent(&s)
				}
			}
			rest, err := receiveSent(&s)
			frames = append(frames, rest...)
			got := ""
			for _, f := range frames {
				switch {
				case f.fd >= 0:
					got += "d"
					fdpass.Close(f.fd)
				case f.flags&FlagDescriptor != 0:
					got += "m"
				default:
					got += "p"
				}
			}
			if got != tt.want {
				t.Errorf("frames %q, want %q", got, tt.want)
			}
			if (err == nil) != (tt.err == "") || err != nil && (!errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			s.close()
			if after := openDescriptors(t); after != before {
				t.Errorf("%d descriptors were open before, %d are now", before, after)
			}
		})
	}
}

func TestOutboxSendsWhatWaitsTogether(t *testing.T) {
	a, b := pairOf(t)
	o := outbox{conn: a}
	for i := range 600 {
		o.push(appendConn(nil, Conn, 0, uint64(i), make([]byte, i%50)), 0)
		o.push(appendNumber(nil, Taken, uint64(i)), -1)
	}
	o.push(appendConn(nil, Conn, 0, 600, make([]byte, MaxReplay)), 0)
	sent := make(chan error)
	go func() { sent <- o.wait(t.Context(), o.flush) }()
	s := stream{conn: b}
	next, receives := uint64(0), 0
	b.OnReadable(func() poll.Next {
		for {
			if _, err := s.receive(); err != nil {
				return poll.Wait
			}
			receives++
			for {
				f, ok, err := s.next()
				if err != nil {
					t.Error(err)
					return poll.Done
				}
				if !ok {
					break
				}
				if f.kind != Conn {
					continue
				}
				id, _, err := parseConn(Conn, f.body)
				if id != next || f.fd < 0 || err != nil {
					t.Errorf("connection %d (descriptor %d, %v) comes after %d", id, f.fd, err, next-1)
				}
				fdpass.Close(f.fd)
				if next++; next == 601 {
					return poll.Done
				}
			}
		}
	})
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if receives > 60 {
		t.Errorf("%d receives for 1201 frames", receives)
	}
}

// FuzzStream: whatever comes, in whatever pieces, is frames or an error, and
// no descriptor is lost or given out twice.
func FuzzStream(f *testing.F) {
	f.Add(raw(Conn, FlagDescriptor, 1, "12345678"), uint8(3), uint8(1))
	f.Add(append(raw(Hello, 0, 0, "min=1\nmax=1\n"), raw(Ready, 0, 0, "")...), uint8(200), uint8(0))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(5), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, piece, fds uint8) {
		if len(b) == 0 || len(b) > 4096 {
			return
		}
		before := openDescriptors(t)
		sender, receiver := pairOf(t)
		for rest := b; len(rest) > 0; {
			n := min(len(rest), 1+int(piece))
			if _, err := sender.TrySend(rest[:n], make([]int, int(fds)%4)); err != nil {
				t.Skip() // more pieces than the socket holds
			}
			rest = rest[n:]
		}
		sender.Close()
		s := stream{conn: receiver}
		frames, _ := receiveSent(&s)
		for _, f := range frames {
			if f.fd >= 0 {
				if err := unix.Close(f.fd); err != nil {
					t.Error("given out twice:", err)
				}
			}
			for range parseIDs(f.kind, f.body) {
			}
			parseConn(f.kind, f.body)
			parseHello(f.body)
			parseWelcome(f.body)
		}
		s.close()
		receiver.Close()
		if after := openDescriptors(t); after != before {
			t.Errorf("%d descriptors were open before, %d are now", before, after)
		}
	})
}

func TestListenHidesStickydFromChildren(t *testing.T) {
	names := []string{EnvFD, EnvWorker, EnvWorkers, EnvProtocol, EnvNodeChannel, EnvNodeSerialization, EnvNodeID}
	for _, name := range names {
		t.Setenv(name, "none")
	}
	if _, err := Listen(""); err == nil {
		t.Error("no error")
	}
	for _, name := range names {
		if _, found := os.LookupEnv(name); found {
			t.Errorf("%s is still there", name)
		}
	}
}
