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
	http-reuse always
frontend clients
	bind {addr} backlog 4096
	default_backend workers
backend workers
	balance leastconn
	stick-table type string len 32 size 2m expire 1h
	stick match url_param(sid)
	http-request set-var(txn.begins) bool(true) if { path /handshake }
	http-response wait-for-body time 1s if { var(txn.begins) -m bool }
	stick store-response res.body if { var(txn.begins) -m bool }
{workers}`

func haproxyFront(workers int) *front {
	command := func(file string) []string { return []string{"haproxy", "-db", "-f", file} }
	return &front{key: "haproxy", name: "HAProxy", app: goApp, proxies: true,
		launch: func(ctx context.Context, f *front) ([]string, error) {
			return f.startProxy(ctx, workers, "haproxy", configureHAProxy, command)
		}}
}

func configureHAProxy(dir, addr string, workers []string) string {
	var servers strings.Builder
	for i, w := range workers {
		fmt.Fprintf(&servers, "\tserver w%d %s\n", i+1, w)
	}
	return strings.NewReplacer("{addr}", addr, "{workers}", servers.String()).Replace(haproxyConfig)
}
