//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/stickyd/stickyd/workerproto"
)

// The worker program. It is the same behind every front but Node's: it differs
// in where its connections come from and whom it tells of its sessions.

// A bind tells the front of a session.
type bind func(ctx context.Context, sid string)

// goApp is how to talk to it.
var goApp = app{
	Handshake: "/handshake?EIO=4&transport=polling&t=Oabc",
	Poll:      "/poll?EIO=4&transport=polling&t=Oabc&sid=",
	Wait:      "/wait?EIO=4&transport=polling&t=Oabc&sid=",
	WebSocket: "/websocket?EIO=4&transport=websocket&sid=",
}

// stickydWorker is a worker of stickyd.
func stickydWorker() {
	w, err := workerproto.Listen("")
	if err != nil {
		log.Fatal(err)
	}
	bind := func(ctx context.Context, sid string) { w.Bind(ctx, sid) }
	if err := w.Serve(&http.Server{Handler: newHandler(bind)}); !errors.Is(err, http.ErrServerClosed) {
		log.Fatal(err)
	}
}

// listeningWorker listens itself: behind a proxy, or behind nothing.
func listeningWorker() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	sayListening(ln.Addr())
	log.Fatal(http.Serve(ln, newHandler(func(context.Context, string) {})))
}

// sayListening tells whoever started this process where it listens.
func sayListening(addr net.Addr) {
	fmt.Fprintf(os.Stderr, "{\"msg\":\"listening\",\"addr\":%q}\n", addr)
}

// A handler has sessions in memory, and knows no others.
type handler struct {
	mu       sync.RWMutex
	sessions map[string]bool
	bind     bind
	name     string
}

func newHandler(bind bind) http.Handler {
	h := &handler{sessions: map[string]bool{}, bind: bind, name: strconv.Itoa(os.Getpid())}
	mux := http.NewServeMux()
	mux.HandleFunc("/handshake", h.handshake)
	mux.HandleFunc("/poll", h.known(func(rw http.ResponseWriter, _ *http.Request) { io.WriteString(rw, "6") }))
	mux.HandleFunc("/wait", h.known(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	mux.HandleFunc("/websocket", h.known(h.webSocket))
	mux.HandleFunc("/register", h.register)
	return mux
}

// handshake starts a session, and answers with its id alone.
func (h *handler) handshake(rw http.ResponseWriter, r *http.Request) {
	sid := rand.Text()[:20]
	h.mu.Lock()
	h.sessions[sid] = true
	h.mu.Unlock()
	h.bind(r.Context(), sid)
	rw.Header()["X-Worker"] = []string{h.name}
	io.WriteString(rw, sid)
}

// known answers requests of sessions that live elsewhere as servers do.
func (h *handler) known(serve http.HandlerFunc) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		_, sid, _ := strings.Cut(r.URL.RawQuery, "sid=")
		h.mu.RLock()
		ours := h.sessions[sid]
		h.mu.RUnlock()
		rw.Header()["X-Worker"] = []string{h.name}
		if !ours {
			http.Error(rw, "Session ID unknown", http.StatusBadRequest)
			return
		}
		serve(rw, r)
	}
}

// register tells the front of many sessions.
func (h *handler) register(rw http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	for range n {
		h.bind(r.Context(), rand.Text()[:20])
	}
	io.WriteString(rw, h.name)
}
