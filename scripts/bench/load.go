package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// A load is requests of known sessions, each on a new connection unless it
// keeps them.
type load struct {
	name string
	rate int  // requests per second, 0 for as many as go
	keep bool // each client keeps its connection, and uses it for one session
}

const concurrency = 32

// A deed is what a load did.
type deed struct {
	latencies []time.Duration // of all requests
	wrong     int64           // answered by who does not have the session
}

// run makes requests for so long.
func (l load) run(f *front, length time.Duration) (total deed, err error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), length, nil)
	defer cancel()
	var tickets chan struct{}
	if l.rate > 0 {
		tickets = make(chan struct{}, concurrency)
		go pace(ctx, tickets, l.rate)
	}
	var mu sync.Mutex
	var clients sync.WaitGroup
	for i := range concurrency {
		clients.Go(func() {
			did, failed := l.client(ctx, f, i, tickets)
			mu.Lock()
			defer mu.Unlock()
			total.latencies = append(total.latencies, did.latencies...)
			total.wrong += did.wrong
			if failed != nil {
				err = failed
				cancel()
			}
		})
	}
	clients.Wait()
	if err == nil && len(total.latencies) == 0 {
		err = fmt.Errorf("%s answered nothing in %v", f.name, length)
	}
	return total, err
}

// client is one client, of which the number is n.
func (l load) client(ctx context.Context, f *front, n int, tickets <-chan struct{}) (did deed, err error) {
	kept := &http.Client{Transport: &http.Transport{}, Timeout: patience}
	defer kept.CloseIdleConnections()
	for turn := n; ctx.Err() == nil; turn += concurrency {
		if tickets != nil {
			if _, ok := <-tickets; !ok {
				return did, nil
			}
		}
		began := time.Now()
		if l.keep {
			err = askKept(kept, f.addr, f.app.path+f.sids[n%len(f.sids)])
		} else {
			_, err = ask(f.addr, f.app.path+f.sids[turn%len(f.sids)])
		}
		if status, answered := err.(statusError); answered && status == http.StatusBadRequest {
			did.wrong++
			err = nil
		}
		if err != nil {
			return did, err
		}
		did.latencies = append(did.latencies, time.Since(began))
	}
	return did, nil
}

// pace hands out so many tickets per second, a few at a time.
func pace(ctx context.Context, tickets chan<- struct{}, rate int) {
	defer close(tickets)
	began, given := time.Now(), 0
	for now := began; ctx.Err() == nil; now = time.Now() {
		for due := int(now.Sub(began).Seconds() * float64(rate)); given < due; given++ {
			select {
			case tickets <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// patience is how long an answer may take.
const patience = 10 * time.Second

// A statusError is an answer that is not 200.
type statusError int

func (s statusError) Error() string { return fmt.Sprintf("%d %s", int(s), http.StatusText(int(s))) }

// head is what a browser sends, about 520 bytes.
const head = "GET %s HTTP/1.1\r\nHost: stickyd.example:3000\r\nConnection: close\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n" +
	"Accept: */*\r\nOrigin: https://stickyd.example\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\n" +
	"Referer: https://stickyd.example/chat/room/42\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\n" +
	"Cookie: theme=dark; consent=1\r\n\r\n"

// ask sends one request on a new connection and returns the body.
func ask(addr, path string) (string, error) {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	conn.(*net.TCPConn).SetLinger(0) // or the ports run out
	conn.SetDeadline(time.Now().Add(patience))
	if _, err := fmt.Fprintf(conn, head, path); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	return read(resp)
}

// askKept sends one request on the client's connection.
func askKept(c *http.Client, addr, path string) error {
	resp, err := c.Get("http://" + addr + path)
	if err != nil {
		return err
	}
	_, err = read(resp)
	return err
}

func read(resp *http.Response) (string, error) {
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = statusError(resp.StatusCode)
	}
	return string(body), err
}
