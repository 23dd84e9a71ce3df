package e2e

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/stickyd/stickyd/fdpass"
	"github.com/stickyd/stickyd/fdpass/poll"
	"github.com/stickyd/stickyd/workerproto"
)

// playWorker is the main of a worker process.
//
// A kind such as "exits/app" is two in one: the first in slot 1, the second in
// all others.
func playWorker(kind string) {
	if first, others, two := strings.Cut(kind, "/"); two {
		kind = others
		if os.Getenv(workerproto.EnvWorker) == "1" {
			kind = first
		}
	}
	switch kind {
	case "app":
		runApp()
	case "gated":
		awaitFile(os.Args[3])
		runApp()
	case "warms-up":
		runAppAs(func(w *workerproto.Worker) {
			w.HoldReady()
			fmt.Println("warming up")
			go func() {
				awaitFile(os.Args[3])
				w.Ready()
			}()
		})
	case "version":
		runAppAs(func(*workerproto.Worker) { crashAsTold(os.Args[3]) })
	case "idiom":
		runIdiom(os.Args[3])
	case "opens-first":
		ln, err := net.Listen("tcp", os.Args[4])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println("debugging at", ln.Addr())
		awaitFile(os.Args[3])
		runApp()
	case "short-lived":
		time.AfterFunc(100*time.Millisecond, func() {
			fmt.Println("that was all")
			os.Exit(9)
		})
		runApp()
	case "exits":
		fmt.Println("this worker has nothing to do")
		os.Exit(7)
	case "never-ready":
		workerproto.Listen("")
		select {}
	case "nonsense":
		speak("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	case "deaf":
		w, err := workerproto.Listen("")
		if err != nil {
			log.Fatal(err)
		}
		w.Accept() // and never again
		select {}
	case "greets":
		runGreets()
	case "slow":
		runSlow()
	case "chatty":
		go chat()
		runApp()
	case "declines":
		runDeclines()
	case "blocking":
		runBlocking()
	case "stubborn":
		runStubborn()
	case "leaves-orphans":
		runLeavesOrphans()
	case "returns-twice":
		runReturnsTwice()
	case "has-sockets":
		runHasSockets()
	case "closes-and-dies":
		closeControl()
		exec.Command("true").Run() // it takes a moment
		fmt.Println("these were the last words")
		os.Exit(3)
	case "closes-and-stays":
		closeControl()
		select {}
	case "closes-and-exits":
		terminated := make(chan os.Signal, 1)
		signal.Notify(terminated, syscall.SIGTERM)
		closeControl()
		<-terminated
		os.Exit(5)
	default:
		log.Fatal("no such worker: ", kind)
	}
}

// An app is a server with sessions in memory.
type app struct {
	worker   *workerproto.Worker
	mu       sync.Mutex
	sessions map[string]int
}

func runApp() { runAppAs(func(*workerproto.Worker) {}) }

// runAppAs calls begin before the app serves.
func runAppAs(begin func(*workerproto.Worker)) {
	w, err := workerproto.Listen("127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	begin(w)
	a := &app{worker: w, sessions: make(map[string]int)}
	mux := http.NewServeMux()
	mux.HandleFunc("/handshake", a.handshake)
	mux.HandleFunc("/use", a.use)
	mux.HandleFunc("/end", a.end)
	mux.HandleFunc("/bind", a.bindMany)
	mux.HandleFunc("/print", func(rw http.ResponseWriter, r *http.Request) {
		fmt.Println(r.FormValue("line"))
		a.answer(rw, r, 200, "")
	})
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) { a.answer(rw, r, 200, "") })
	mux.HandleFunc("/slow", a.slow)
	mux.HandleFunc("/allocate", allocate)
	mux.HandleFunc("/echo", a.echo)
	go a.closeOn(syscall.SIGUSR1)
	err = w.Serve(&http.Server{Handler: mux})
	if errors.Is(err, net.ErrClosed) {
		<-w.Finishing() // sessions and connections live on
		return
	}
	if !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// awaitFile waits until the file is there.
func awaitFile(path string) {
	for {
		if _, err := os.Stat(path); err == nil {
			return
		}
		time.Sleep(10 * time.Millisecond) // nobody tells
	}
}

// crashAsTold ends the process after the time that the file names, if it names one:
// the program on disk is a bad version.
func crashAsTold(version string) {
	text, err := os.ReadFile(version)
	if err != nil {
		log.Fatal(err)
	}
	if d, err := time.ParseDuration(string(text)); err == nil {
		time.AfterFunc(d, func() {
			fmt.Println("no such table")
			os.Exit(1)
		})
	}
}

// closeOn closes the listener when the signal comes.
func (a *app) closeOn(sig os.Signal) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, sig)
	<-signals
	a.worker.Close()
	fmt.Println("listener closed")
}

func (a *app) answer(rw http.ResponseWriter, r *http.Request, status int, sid string) {
	rw.Header().Set("X-Pid", strconv.Itoa(os.Getpid()))
	rw.WriteHeader(status)
	json.NewEncoder(rw).Encode(reply{Slot: a.worker.Slot(), PID: os.Getpid(), SID: sid, Client: r.RemoteAddr})
}

// handshake starts a session, with the id that the client wants or a new one.
func (a *app) handshake(rw http.ResponseWriter, r *http.Request) {
	sid := r.FormValue("want")
	if sid == "" {
		sid = rand.Text()[:20]
	}
	if err := a.worker.Bind(r.Context(), sid); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	a.sessions[sid] = 0
	a.mu.Unlock()
	http.SetCookie(rw, &http.Cookie{Name: "sid", Value: sid})
	a.answer(rw, r, 200, sid)
}

// bindMany starts n sessions at once, "bound-SLOT-0" and so on.
func (a *app) bindMany(rw http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.FormValue("n"))
	if err != nil {
		log.Fatal(err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range n {
		sid := fmt.Sprintf("bound-%d-%d", a.worker.Slot(), i)
		if err := a.worker.Bind(r.Context(), sid); err != nil {
			log.Fatal(err)
		}
		a.sessions[sid] = 0
	}
	a.answer(rw, r, 200, "")
}

func sidOf(r *http.Request) string {
	if sid := r.URL.Query().Get("sid"); sid != "" {
		return sid
	}
	if sid := r.Header.Get("Mcp-Session-Id"); sid != "" {
		return sid
	}
	if c, err := r.Cookie("sid"); err == nil {
		return c.Value
	}
	return ""
}

func (a *app) known(sid string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, ok := a.sessions[sid]
	return ok
}

// use echoes the body, if the session lives here.
func (a *app) use(rw http.ResponseWriter, r *http.Request) {
	sid := sidOf(r)
	if !a.known(sid) {
		a.answer(rw, r, http.StatusNotFound, sid)
		return
	}
	if r.Method == http.MethodGet {
		a.answer(rw, r, 200, sid)
		return
	}
	rw.Header().Set("X-Pid", strconv.Itoa(os.Getpid()))
	body, err := io.ReadAll(r.Body)
	if err != nil {
		log.Print("reading a body: ", err)
		return
	}
	rw.Write(body)
}

func (a *app) end(rw http.ResponseWriter, r *http.Request) {
	sid := sidOf(r)
	a.mu.Lock()
	delete(a.sessions, sid)
	a.mu.Unlock()
	a.worker.Unbind(sid)
	a.answer(rw, r, 200, sid)
}

// echo sends back what comes, as a WebSocket server might.
func (a *app) echo(rw http.ResponseWriter, r *http.Request) {
	conn, buf, err := http.NewResponseController(rw).Hijack()
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	io.Copy(conn, buf)
}

// slow answers after it was told to on a file's appearance.
func (a *app) slow(rw http.ResponseWriter, r *http.Request) {
	fmt.Println("slow request began")
	for {
		if _, err := os.Stat(r.FormValue("until")); err == nil {
			break
		}
		select {
		case <-r.Context().Done():
			return
		case <-time.After(10 * time.Millisecond):
		}
	}
	a.answer(rw, r, 200, "")
}

// allocate needs a quarter of a GiB.
func allocate(rw http.ResponseWriter, r *http.Request) {
	all := make([]byte, 256<<20)
	for i := 0; i < len(all); i += os.Getpagesize() {
		all[i] = 1
	}
	runtime.KeepAlive(all)
}

// control returns the control descriptor for workers that don't use the
// library, or use it wrongly.
func control() *fdpass.Conn {
	fd, err := strconv.Atoi(os.Getenv(workerproto.EnvFD))
	if err != nil {
		log.Fatal(err)
	}
	c, err := fdpass.Adopt(fd)
	if err != nil {
		log.Fatal(err)
	}
	return c
}

func speak(text string) {
	control().TrySend([]byte(text), nil)
	select {}
}

// frame builds a frame by hand.
func frame(t workerproto.Type, flags, descriptors byte, body string) string {
	n := len(body)
	return string([]byte{byte(t), flags, 0, descriptors, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}) + body
}

// closeControl ends the conversation after a greeting.
func closeControl() {
	c := control()
	c.TrySend([]byte(greeting), nil)
	c.Close()
}

// runHasSockets has sockets that are no clients, and, when SIGTERM comes, something
// to save. When it is to finish it ends the conversation, and goes on.
func runHasSockets() {
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	database, err := net.Dial("tcp", "127.0.0.1:"+os.Getenv("DATABASE"))
	if err != nil {
		log.Fatal(err)
	}
	defer database.Close()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	defer socket.Close()
	if _, err := exec.Command("cat").StdinPipe(); err != nil {
		log.Fatal(err)
	}
	c := control()
	c.TrySend([]byte(greeting), nil)
	c.OnReadable(func() poll.Next {
		if _, _, err := c.TryReceive(make([]byte, 1000), nil); err != nil {
			return poll.Until(err == io.EOF)
		}
		return poll.More
	})
	c.Close()
	<-terminated
	if err := os.WriteFile(os.Getenv("SAVED")+os.Getenv(workerproto.EnvWorker), nil, 0o600); err != nil {
		log.Fatal(err)
	}
}

var greeting = frame(workerproto.Hello, 0, 0, "min=1\nmax=1\n") + frame(workerproto.Ready, 0, 0, "")

// runStubborn ignores whatever could end it, and has a child that does as well.
func runStubborn() {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	child := exec.Command("sleep", "300")
	if err := child.Start(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("child", child.Process.Pid)
	speak(greeting)
}

// runSlow takes a connection now and then, but always another one.
func runSlow() {
	w, err := workerproto.Listen("")
	if err != nil {
		log.Fatal(err)
	}
	for {
		c, err := w.Accept()
		if err != nil {
			return
		}
		c.Read(make([]byte, 1)) // says TAKEN
		io.WriteString(c, "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
		c.Close()
		time.Sleep(50 * time.Millisecond) // this is the slowness
	}
}

// chat writes lines until the process ends or nobody reads them any more.
func chat() {
	for {
		if _, err := fmt.Println(strings.Repeat("chat ", 200)); err != nil {
			return
		}
	}
}

func connFrame(t workerproto.Type, flags, descriptors byte, id uint64, more string) string {
	return frame(t, flags, descriptors, string([]byte{0, 0, 0, 0, 0, 0, byte(id >> 8), byte(id)})+more)
}

// runDeclines has no room for any connection.
func runDeclines() {
	c := control()
	c.TrySend([]byte(greeting), nil)
	for id := uint64(1); ; id++ {
		fdpass.Close(nextConn(c))
		c.TrySend([]byte(connFrame(workerproto.Decline, 0, 0, id, "")), nil)
	}
}

// runBlocking gives its first connection back in blocking mode and with half a
// request line, and does nothing more until its end.
func runBlocking() {
	c := control()
	c.TrySend([]byte(greeting), nil)
	fd := nextConn(c)
	c.TrySend([]byte(connFrame(workerproto.Taken, 0, 0, 1, "")), nil)
	syscall.SetNonblock(fd, false)
	syscall.Read(fd, make([]byte, 1000))
	c.TrySend([]byte(connFrame(workerproto.Return, workerproto.FlagDescriptor, 1, 1, "GET /")), []int{fd})
	fdpass.Close(fd)
	c.OnReadable(func() poll.Next {
		_, _, err := c.TryReceive(make([]byte, 1000), nil)
		return poll.Until(err == io.EOF)
	})
}

// nextConn receives until a connection came and returns its descriptor.
func nextConn(c *fdpass.Conn) int {
	var fds []int
	c.OnReadable(func() poll.Next {
		buf := make([]byte, 64<<10)
		for len(fds) == 0 {
			var err error
			if _, fds, err = c.TryReceive(buf, nil); err != nil {
				return poll.Wait
			}
		}
		return poll.Done
	})
	return fds[0]
}

// runReturnsTwice gives its first connection back two times.
func runReturnsTwice() {
	c := control()
	c.TrySend([]byte(greeting), nil)
	fd := nextConn(c)
	c.TrySend([]byte(connFrame(workerproto.Taken, 0, 0, 1, "")), nil)
	for range 2 {
		c.TrySend([]byte(connFrame(workerproto.Return, workerproto.FlagDescriptor, 1, 1, "")), []int{fd})
	}
	select {}
}

// runLeavesOrphans leaves a hundred processes to whoever looks after orphans,
// half of them while it lives, and ends with a status that its pid tells.
func runLeavesOrphans() {
	w, err := workerproto.Listen("")
	if err != nil {
		log.Fatal(err)
	}
	go w.Serve(&http.Server{})
	for range 50 {
		if err := exec.Command("sh", "-c", "sleep 0 &").Run(); err != nil {
			log.Fatal(err)
		}
		if err := exec.Command("sleep", "600").Start(); err != nil {
			log.Fatal(err)
		}
	}
	os.Exit(orphanage(os.Getpid()))
}

// orphanage is the exit status of a worker that leaves orphans.
func orphanage(pid int) int { return 10 + pid%200 }
