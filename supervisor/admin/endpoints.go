package admin

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Endpoints are where stickyd is asked: the control socket, if there is one, and
// any number of listeners for metrics. That one of them fails costs that one, and
// a line in the log. From Start on the control socket's file is looked after, and
// opened again if somebody removes it. Methods are for one goroutine at a time.
type Endpoints struct {
	log        *slog.Logger
	server     *Server
	exposition *http.Server
	metrics    map[string]net.Listener // by address, as it was given
	started    bool
	serving    sync.WaitGroup
	stopKeep   func() // ends keep

	mu      sync.Mutex // for keep
	control *Listener  // nil: none
	missed  string     // what was last logged of one that could not be opened again
}

// NewEndpoints returns none yet, for r.
func NewEndpoints(r Running, log *slog.Logger) *Endpoints {
	return &Endpoints{
		log: log, server: NewServer(r, log), exposition: NewMetrics(r, log), metrics: make(map[string]net.Listener),
		stopKeep: func() {},
	}
}

// OpenControl opens the control socket at a path, or for "auto" under the name of
// where clients connect. That this fails is worth a line in the log and no error:
// nobody asked for it. For "off" there is none.
func (e *Endpoints) OpenControl(path string, clients net.Addr) (err error) {
	switch path {
	case "off":
		return nil
	case "auto":
		path = ""
	}
	control, err := Listen(path, clients, e.log)
	if err != nil && path == "" {
		e.log.Warn("no control socket: stickyd status and other commands will not find this process", "err", err)
		return nil
	}
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.control = control
	return nil
}

// CloseControl closes the control socket, if there is one.
func (e *Endpoints) CloseControl() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.control != nil {
		e.control.Close()
		e.control = nil
	}
}

// Control is the control socket's path, "" if there is none.
func (e *Endpoints) Control() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.control == nil {
		return ""
	}
	return e.control.Path()
}

// Follow gives the control socket the name of where clients connect now.
func (e *Endpoints) Follow(clients net.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.control == nil {
		return
	}
	if err := e.control.Follow(clients); err != nil {
		e.log.Warn("the control socket could not be renamed", "path", e.control.Path(), "err", err)
	}
}

// ChangeMetrics opens the listeners for metrics that are missing, and closes
// those that are not among addrs; first, where one is at the port of a missing one.
// After an error nothing has changed.
func (e *Endpoints) ChangeMetrics(addrs []string) error {
	opened := make(map[string]net.Listener)
	var closed []string
	for _, addr := range addrs {
		if e.metrics[addr] != nil || opened[addr] != nil {
			continue
		}
		closed = append(closed, e.makeRoom(addr, addrs)...)
		ln, err := ListenMetrics(addr)
		if err != nil {
			for _, ln := range opened {
				ln.Close()
			}
			return errors.Join(err, e.reopen(closed))
		}
		opened[addr] = ln
	}
	for addr, ln := range e.metrics {
		if !slices.Contains(addrs, addr) {
			delete(e.metrics, addr)
			ln.Close()
		}
	}
	for addr, ln := range opened {
		e.addMetrics(addr, ln)
	}
	return nil
}

// makeRoom closes those at the port of addr that are not to stay, and returns
// their addresses.
func (e *Endpoints) makeRoom(addr string, stay []string) (closed []string) {
	for old, ln := range e.metrics {
		tcp, ok := ln.Addr().(*net.TCPAddr)
		if ok && strings.HasSuffix(addr, ":"+strconv.Itoa(tcp.Port)) && !slices.Contains(stay, old) {
			delete(e.metrics, old)
			ln.Close()
			closed = append(closed, old)
		}
	}
	return closed
}

func (e *Endpoints) reopen(addrs []string) error {
	var errs []error
	for _, addr := range addrs {
		ln, err := ListenMetrics(addr)
		if err == nil {
			e.addMetrics(addr, ln)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (e *Endpoints) addMetrics(addr string, ln net.Listener) {
	e.metrics[addr] = ln
	e.log.Info("metrics", "addr", ln.Addr().String())
	if e.started {
		e.serveMetrics(ln)
	}
}

// Start answers, until Finish or Detach.
func (e *Endpoints) Start() {
	e.started = true
	for _, ln := range e.metrics {
		e.serveMetrics(ln)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.control != nil {
		e.serveControl()
		e.stopKeep = e.keep()
	}
}

func (e *Endpoints) serveControl() {
	control := e.control // another one may follow it
	e.serve("control socket", func() error { return e.server.Serve(control) })
}

func (e *Endpoints) serveMetrics(ln net.Listener) {
	e.serve("metrics", func() error { return e.exposition.Serve(ln) })
}

func (e *Endpoints) serve(what string, f func() error) {
	e.serving.Go(func() {
		if err := f(); !errors.Is(err, net.ErrClosed) && !errors.Is(err, http.ErrServerClosed) {
			e.log.Error("endpoint closed", "endpoint", what, "err", err)
		}
	})
}

// Finish tells those who wait for stickyd's end how it came to it, see
// [Server.Finish], and closes all.
func (e *Endpoints) Finish(err error) {
	e.server.Finish(err)
	e.Close()
	e.serving.Wait()
}

// Close closes all listeners.
func (e *Endpoints) Close() {
	e.stopKeep()
	for _, ln := range e.metrics {
		ln.Close()
	}
	e.CloseControl()
}
