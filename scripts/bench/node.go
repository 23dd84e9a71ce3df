//go:build linux

package main

import (
	"fmt"
	"path/filepath"
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
	Handshake: "/socket.io/?EIO=4&transport=polling",
	Poll:      "/known?EIO=4&transport=polling&sid=",
	Wait:      "/wait?EIO=4&transport=polling&sid=",
	WebSocket: "/websocket?EIO=4&transport=websocket&sid=",
}

func nodeEnv(module string, workers int, busy bool) []string {
	env := []string{"STICKY=" + module, fmt.Sprint("WORKERS=", workers)}
	if busy {
		env = append(env, "BUSY=1")
	}
	return env
}

// primaryFronts are Node's own primary with each version of the library.
func primaryFronts(workers int, busy bool) (fronts []*front) {
	for _, s := range stickies {
		fronts = append(fronts, &front{
			key: "node-" + s.version, name: "Node primary, " + s.version, app: engineIO,
			peer: "node-" + s.version,
			launch: alone(nodeEnv(s.module, workers, busy),
				"node", filepath.Join(nodeDir, "primary.js")),
		})
	}
	return fronts
}

// stickydNodeFronts are stickyd with the same workers.
func stickydNodeFronts(bin binaries, workers int, busy bool) (fronts []*front) {
	for _, s := range stickies {
		fronts = append(fronts, &front{
			key: "stickyd-" + s.version, name: "stickyd, workers with " + s.version, app: engineIO,
			peer: "node-" + s.version,
			launch: alone(nodeEnv(s.module, workers, busy),
				bin.stickyd, "-l", "127.0.0.1:0", "-n", fmt.Sprint(workers), "--log-format", "json",
				"--drain-timeout", "1s", "--", "node", filepath.Join(nodeDir, "worker.js")),
		})
	}
	return fronts
}
