// Package build knows what this program was built from.
package build

import "runtime/debug"

// Release is the version of a program that was built from an archive, where
// there is no repository to ask:
//
//	go build -ldflags '-X github.com/stickyd/stickyd/supervisor/build.Release=v0.1.0'
var Release string

// Version is what this program calls itself: the version of its tag, or of the
// commit that it was built from; or "(devel)" where nobody has said.
func Version() string {
	if Release != "" {
		return Release
	}
	info, _ := debug.ReadBuildInfo()
	return version(info)
}

const unknown = "(devel)" // as the go command has it

// version: the go command makes one of tag or commit, except in a workspace.
func version(info *debug.BuildInfo) string {
	if info == nil {
		return unknown
	}
	if v := info.Main.Version; v != "" && v != unknown {
		return v
	}
	revision, modified := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+dirty"
		}
	}
	if revision == "" {
		return unknown
	}
	return "devel-" + revision + modified
}
