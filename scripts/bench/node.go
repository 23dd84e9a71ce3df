//go:build linux

package main

import (
	"fmt"
	"path/filepath"
	"slices"
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

// A build is a stickyd that is measured with Node workers.
type build struct {
	key, name, binary string
	flags             []string
}

// builds are this one, this one without the preload, and the one before, if there
// is one: its file is before.
func builds(bin binaries, before string) []build {
	all := []build{
		{key: "stickyd", name: "stickyd", binary: bin.stickyd},
		{key: "off", name: "stickyd without the preload", binary: bin.stickyd, flags: []string{"--node-preload", "off"}},
	}
	if before != "" {
		all = append(all, build{key: beforeKey, name: "stickyd before", binary: before})
	}
	return all
}

// stickydNodeFronts are builds of stickyd with the same workers.
func stickydNodeFronts(builds []build, workers int, busy bool) (fronts []*front) {
	for _, s := range stickies {
		for _, b := range builds {
			args := slices.Concat([]string{b.binary, "-l", "127.0.0.1:0", "-n", fmt.Sprint(workers), "--log-format", "json", "--drain-timeout", "1s"},
				b.flags, []string{"--", "node", filepath.Join(nodeDir, "worker.js")})
			fronts = append(fronts, &front{
				key: b.key + "-" + s.version, name: b.name + ", workers with " + s.version, app: engineIO,
				peer: "node-" + s.version, launch: alone(nodeEnv(s.module, workers, busy), args...),
			})
		}
	}
	return fronts
}
