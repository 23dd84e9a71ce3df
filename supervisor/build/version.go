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
	commit, modified := commitOf(info)
	if commit == "" {
		return unknown
	}
	return "devel-" + commit[:min(12, len(commit))] + modified
}

// Revision is the commit that this program was built from, with "+dirty" behind it
// where files had been changed, and "" where the go command did not know.
func Revision() string {
	info, _ := debug.ReadBuildInfo()
	return revision(info)
}

func revision(info *debug.BuildInfo) string {
	if info == nil {
		return ""
	}
	commit, modified := commitOf(info)
	return commit + modified
}

func commitOf(info *debug.BuildInfo) (commit, modified string) {
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+dirty"
		}
	}
	return commit, modified
}
