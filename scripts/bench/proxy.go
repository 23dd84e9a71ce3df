//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// startProxy starts workers that listen, writes the proxy's configuration and
// starts the proxy with it.
func (f *front) startProxy(ctx context.Context, workers int, name string,
	configure func(dir, addr string, workers []string) string, command func(file string) []string) ([]string, error) {
	upstream, err := f.startListeners(ctx, workers)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(scratch, name+"-")
	if err != nil {
		return nil, err
	}
	addr, err := freeAddress()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name+".conf")
	if err := os.WriteFile(file, []byte(configure(dir, addr, upstream)), 0o600); err != nil {
		return nil, err
	}
	p, err := startProcess(nil, command(file)...)
	if err != nil {
		return nil, err
	}
	f.fronts = []*process{p}
	return []string{addr}, p.awaitAccepting(ctx, addr)
}

// scratch is a directory that is removed at the end.
var scratch string

// freeAddress is where nobody listens now.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// awaitAccepting waits until a program that does not say so accepts.
func (p *process) awaitAccepting(ctx context.Context, addr string) error {
	for began := time.Now(); time.Since(began) < startLimit; time.Sleep(20 * time.Millisecond) {
		if conn, err := net.Dial("tcp", addr); err == nil {
			return conn.Close()
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended:\n%s", p.cmd.Args[0], p.wrote())
		case <-ctx.Done():
			return context.Cause(ctx)
		default:
		}
	}
	return errors.New("nobody accepts at " + addr)
}
