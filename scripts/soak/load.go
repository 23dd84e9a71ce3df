//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// answerLimit is how long anything may take. A worker that is stopped is killed
// before that.
const answerLimit = 45 * time.Second

// A load is all the clients.
type load struct {
	addr    string
	judge   *judge
	ctx     context.Context
	cancel  func()
	clients sync.WaitGroup
}

func startLoad(addr string, j *judge, o options) *load {
	l := &load{addr: addr, judge: j}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	oneShot := l.newClient(true)
	shared := l.newClient(false) // sessions of several workers on one connection
	for n := range o.clients {
		random := func(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(o.seed, stream<<32|uint64(n))) }
		l.clients.Go(func() { l.plain(random(1), l.newClient(true)) })
		l.clients.Go(func() { l.plain(random(2), l.newClient(false)) })
		l.clients.Go(func() {
			l.sessions(random(3), func() conversation { return &polling{load: l, first: oneShot, http: shared} })
		})
		l.clients.Go(func() { l.sessions(random(4), func() conversation { return &webSocket{load: l} }) })
	}
	return l
}

// stop lets each client finish what it is at.
func (l *load) stop() {
	l.cancel()
	l.clients.Wait()
}

// pause waits for about that long, and returns false when the load ends.
func (l *load) pause(random *rand.Rand, mean time.Duration) bool {
	select {
	case <-time.After(time.Duration(random.Int64N(int64(2 * mean)))):
		return true
	case <-l.ctx.Done():
		return false
	}
}

var sourceAddress atomic.Uint32

// dial connects from an address of 127/8 that changes, so that thousands of
// connections don't run out of ports.
func (l *load) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	l.judge.figures.add("connections")
	n := sourceAddress.Add(1) % 100
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 2, byte(1+n))}}
	return d.DialContext(ctx, "tcp", addr)
}

func (l *load) newClient(oneShot bool) *http.Client {
	return &http.Client{Timeout: answerLimit, Transport: &http.Transport{
		DialContext: l.dial, DisableKeepAlives: oneShot, MaxIdleConnsPerHost: 4, IdleConnTimeout: 20 * time.Second,
	}}
}

// do sends a request and returns the body. A kept-alive connection that the
// server closed before it answered is tried again, as browsers do also for POST.
func (l *load) do(c *http.Client, method, url string, body io.Reader) (string, error) {
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		return "", err
	}
	req.Header["Idempotency-Key"] = []string{} // says so to net/http, and is not sent
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("the body of a %d: %w", resp.StatusCode, err)
	}
	if resp.StatusCode != http.StatusOK {
		return "", &statusError{resp.StatusCode, resp.Header.Get("X-Worker"), string(b)}
	}
	return string(b), nil
}

// plain sends requests without a session. The workers have nothing to say to them
// but 404: that is the answer.
func (l *load) plain(random *rand.Rand, c *http.Client) {
	for l.pause(random, 30*time.Millisecond) {
		began := time.Now()
		_, err := l.do(c, http.MethodGet, "http://"+l.addr+"/plain", nil)
		l.judge.figures.add("requests: plain")
		if answer, ok := err.(*statusError); ok && answer.status == http.StatusNotFound && answer.worker != "" {
			continue
		}
		l.failed("a plain request", began, err)
	}
}

// failed judges an error of a request whose worker is not known.
func (l *load) failed(what string, began time.Time, err error) {
	now := time.Now()
	kind := kindOf(err)
	if kind == "closed" || kind == "reset" || unknownSession(err) {
		if cause, ok := l.judge.connection(began, now); ok {
			l.judge.figures.add("connections lost " + cause)
			return
		}
	}
	l.judge.figures.add("errors: " + kind)
	l.judge.finds("%s, %v old: %s: %v", what, now.Sub(began).Round(time.Millisecond), kind, err)
}
