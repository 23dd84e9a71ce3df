//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// nginxConfig is nginx as well as it can be set up for sessions: connections to
// the workers are kept, and the same id leads to the same worker always. It
// learns nothing. A session that has just begun is found only if its id
// happens to lead to the worker that gave it.
const nginxConfig = `{user}
daemon off;
worker_processes auto;
worker_rlimit_nofile 20000;
error_log stderr;
pid {dir}/pid;
events { worker_connections 20000; }
http {
	access_log off;
	client_body_temp_path {dir}/body;
	proxy_temp_path {dir}/proxy;
	fastcgi_temp_path {dir}/fastcgi;
	uwsgi_temp_path {dir}/uwsgi;
	scgi_temp_path {dir}/scgi;
	client_header_timeout 1h;
	keepalive_timeout 1h;
	keepalive_requests 1000000000;
	map $http_upgrade $upstream_connection { default upgrade; '' ''; }
	upstream workers {
		hash $arg_sid consistent;
{workers}		keepalive 256;
		keepalive_requests 1000000000;
		keepalive_timeout 1h;
	}
	server {
		listen {addr} backlog=4096;
		location / {
			proxy_pass http://workers;
			proxy_http_version 1.1;
			proxy_set_header Upgrade $http_upgrade;
			proxy_set_header Connection $upstream_connection;
			proxy_read_timeout 1h;
		}
	}
}
`

func nginxFront(workers int) *front {
	command := func(file string) []string { return []string{"nginx", "-c", file, "-e", "stderr"} }
	return &front{key: "nginx", name: "nginx", app: goApp, proxies: true,
		launch: func(ctx context.Context, f *front) ([]string, error) {
			return f.startProxy(ctx, workers, "nginx", configureNginx, command)
		}}
}

func configureNginx(dir, addr string, workers []string) string {
	user := ""
	if os.Getuid() == 0 { // its processes need the directory
		user = "user root;"
	}
	var servers strings.Builder
	for _, w := range workers {
		fmt.Fprintf(&servers, "\t\tserver %s;\n", w)
	}
	return strings.NewReplacer("{user}", user, "{dir}", dir, "{addr}", addr, "{workers}", servers.String()).Replace(nginxConfig)
}
