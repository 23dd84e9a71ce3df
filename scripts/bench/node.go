package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// The versions of @socket.io/sticky that are compared, by the name under which
// node/package.json has them.
var stickies = []struct{ module, version string }{
	{"sticky-1", "1.0.4"},
	{"@socket.io/sticky", "2.0.1"},
}

const nodeDir = "scripts/bench/node"

// engineIO is what the Node workers run: sessions of Socket.IO.
var engineIO = app{
	handshake: func(addr string) (sid string, err error) {
		body, err := ask(addr, "/socket.io/?EIO=4&transport=polling")
		if err != nil {
			return "", err
		}
		_, rest, found := strings.Cut(body, `"sid":"`)
		sid, _, ended := strings.Cut(rest, `"`)
		if !found || !ended {
			return "", fmt.Errorf("no session in %q", body)
		}
		return sid, nil
	},
	path: "/known?EIO=4&transport=polling&sid=",
}

// nodeFronts are stickyd and a Node primary, each with both versions of the
// library in its workers.
func nodeFronts(binary string, workers int, busy bool) (fronts []*front) {
	for _, s := range stickies {
		env := []string{"STICKY=" + s.module, fmt.Sprint("WORKERS=", workers)}
		if busy {
			env = append(env, "BUSY=1")
		}
		fronts = append(fronts,
			&front{
				name: "stickyd, workers with " + s.version, app: engineIO, env: env,
				command: []string{binary, "-l", "127.0.0.1:0", "-n", fmt.Sprint(workers), "--log-format", "json",
					"--drain-timeout", "1s", "--", "node", filepath.Join(nodeDir, "worker.js")},
			},
			&front{
				name: "Node primary, " + s.version, app: engineIO, env: env,
				command: []string{"node", filepath.Join(nodeDir, "primary.js")},
			})
	}
	return fronts
}

// runNode measures Node workers behind stickyd and behind Node's own primary.
func runNode(binary string, rounds int, length time.Duration, workers int) error {
	install := exec.Command("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	install.Dir, install.Stderr = nodeDir, os.Stderr
	if err := install.Run(); err != nil {
		return fmt.Errorf("cannot install the packages from npm (run this in stickyd's checkout): %w", err)
	}
	loads := []load{{name: "new connections"}, {name: "kept alive", keep: true}}
	if err := compare(nodeFronts(binary, workers, false), loads, rounds, length); err != nil {
		return err
	}
	fmt.Printf("\nWith event loops that are blocked for 2 ms at a time:\n")
	return compare(nodeFronts(binary, workers, true), []load{{name: "500/s, busy workers", rate: 500}}, rounds, length)
}
