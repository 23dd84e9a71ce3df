package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A load is a new connection for every request.
type load struct {
	name string
	rate int // connections per second, 0 for as many as go
}

const concurrency = 32

// run polls known sessions and returns how many connections there were.
func (l load) run(f *front, length time.Duration) (connections int64, err error) {
	end := time.Now().Add(length)
	var tickets chan struct{}
	if l.rate > 0 {
		tickets = make(chan struct{}, concurrency)
		go pace(tickets, l.rate, end)
	}
	var done, turn atomic.Int64
	var failed atomic.Pointer[error]
	var clients sync.WaitGroup
	for range concurrency {
		clients.Go(func() {
			for time.Now().Before(end) && failed.Load() == nil {
				if tickets != nil {
					if _, ok := <-tickets; !ok {
						return
					}
				}
				sid := f.sids[int(turn.Add(1))%len(f.sids)]
				if _, err := ask(f.addr, "/poll?EIO=4&transport=polling&t=Oabc&sid="+sid); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	clients.Wait()
	if e := failed.Load(); e != nil {
		return 0, *e
	}
	return done.Load(), nil
}

// pace hands out so many tickets per second, a few at a time.
func pace(tickets chan<- struct{}, rate int, end time.Time) {
	defer close(tickets)
	began, given := time.Now(), 0
	for now := began; now.Before(end); now = time.Now() {
		for due := int(now.Sub(began).Seconds() * float64(rate)); given < due; given++ {
			tickets <- struct{}{}
		}
		time.Sleep(500 * time.Microsecond)
	}
}

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
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := fmt.Fprintf(conn, head, path); err != nil {
		return "", err
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	body, err := io.ReadAll(resp.Body)
	return string(body), err
}
