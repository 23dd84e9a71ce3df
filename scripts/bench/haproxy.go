//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
)

// haproxyConfig is HAProxy as well as it can be set up for sessions whose id
// stands in the body of the handshake's response, as Engine.IO's does: it waits
// for that body, of handshakes only, learns from it which worker has the
// session, and keeps and shares its connections to the workers.
const haproxyConfig = `global
	fd-hard-limit 20000
	stats timeout 1h
defaults
	mode http
	timeout connect 5s
	timeout client 1h
	timeout server 1h
	timeout tunnel 1h
	timeout http-request 1h
	timeout http-keep-alive 1h
{reuse}frontend clients
	bind {addr} backlog 4096
	default_backend workers
backend workers
	balance leastconn
	stick-table type string len 32 size 2m expire 1h
	stick match url_param(sid)
	http-request set-var(txn.begins) bool(true) if { path /handshake }
	http-response wait-for-body time 1s{learn}
	stick store-response res.body{learn}
{workers}`

func haproxyFront(workers int) *front {
	return &front{key: "haproxy", name: "HAProxy", app: goApp, proxies: true,
		launch: launchHAProxy(workers, "\thttp-reuse always\n", " if { var(txn.begins) -m bool }")}
}

// untunedHAProxyFront is HAProxy as one sets it up first: every response may
// bring an id, and connections to the workers are shared as by default, which
// is never for a client's first request.
func untunedHAProxyFront(workers int) *front {
	return &front{key: "haproxy-untuned", name: "HAProxy, not tuned", app: goApp, proxies: true, loads: "new rate",
		launch: launchHAProxy(workers, "", "")}
}

func launchHAProxy(workers int, reuse, learn string) func(context.Context, *front) ([]string, error) {
	command := func(file string) []string { return []string{"haproxy", "-db", "-f", file} }
	configure := func(dir, addr string, workers []string) string {
		return configureHAProxy(addr, workers, reuse, learn)
	}
	return func(ctx context.Context, f *front) ([]string, error) {
		return f.startProxy(ctx, workers, "haproxy", configure, command)
	}
}

func configureHAProxy(addr string, workers []string, reuse, learn string) string {
	var servers strings.Builder
	for i, w := range workers {
		fmt.Fprintf(&servers, "\tserver w%d %s\n", i+1, w)
	}
	return strings.NewReplacer("{addr}", addr, "{workers}", servers.String(), "{reuse}", reuse, "{learn}", learn).Replace(haproxyConfig)
}
