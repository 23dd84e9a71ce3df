// Package demo is the worker that stickyd demo runs: sessions that are no more
// than a counter in this process's memory, a page that shows which worker each
// of them lives in, and a button that kills that worker.
//
// The page talks to these, and so may curl. Each answer is JSON and says which
// worker gave it.
//
//	POST /session          begin a session; the answer has its id
//	GET  /session?sid=ID   look at it
//	POST /increment?sid=ID count
//	POST /kill?sid=ID      202, and then the worker that holds it kills itself
//	GET  /whoami           no session: any worker answers
//
// An id that is not in this worker's memory gets 404.
package demo

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/stickyd/stickyd/fdpass/address"
	"github.com/stickyd/stickyd/workerproto"
)

// Run serves the demo until stickyd ends, which is no error.
func Run() error {
	workers, _ := strconv.Atoi(os.Getenv(workerproto.EnvWorkers)) // before Listen removes it
	w, err := workerproto.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	if w.Slot() == 0 {
		fmt.Println("the demo's worker runs by itself at", URL(w.Addr()))
	}
	s := &server{
		sessions: newSessions(w),
		slot:     w.Slot(), workers: workers, pid: os.Getpid(), started: time.Now(),
		kill: killSelf,
	}
	err = w.Serve(&http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       20 * time.Second,
		WriteTimeout:      20 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
	})
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// killSelf ends the process as rudely as a crash would: nothing is closed,
// said or saved.
func killSelf() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		p.Kill()
	}
}

// URL is where a browser on this machine finds the demo that listens on addr.
// No browser opens a Unix socket; for one, URL is a command that talks to it.
func URL(addr net.Addr) string {
	if strings.HasPrefix(addr.Network(), "unix") {
		return "curl --unix-socket " + addr.String() + " http://localhost/whoami"
	}
	return address.URL(addr) + "/"
}
