package admin

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ownerOf returns the name of the user whose path is: of the path itself, or of
// the directory that keeps it from being seen. It is "" for this user's own, and
// where nobody knows, as when it has been removed.
func ownerOf(path string) string {
	for {
		info, err := os.Lstat(path)
		if err == nil {
			return otherOwner(info)
		}
		up := filepath.Dir(path)
		if up == path || !errors.Is(err, fs.ErrPermission) {
			return ""
		}
		path = up
	}
}

func otherOwner(info os.FileInfo) string {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || int(stat.Uid) == os.Geteuid() {
		return ""
	}
	uid := strconv.FormatUint(uint64(stat.Uid), 10)
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return "#" + uid // as sudo(8) has it
}

// othersError says that a control socket is another user's.
func othersError(path, owner string) error {
	return fmt.Errorf("the control socket %s belongs to user %s, and only that user and root get an answer there; try %s",
		path, owner, sudo(owner))
}

// sudo is how to be that user, as a shell takes it.
func sudo(owner string) string {
	if strings.HasPrefix(owner, "#") { // it begins a comment
		owner = "'" + owner + "'"
	}
	return "sudo -u " + owner
}

// otherUsers are those who have a stickyd that listens where they are found, as
// far as this user can see; where it can't see, those who may have one.
func otherUsers() (names []string) {
	dirs, _ := filepath.Glob(filepath.Join(publicDirectory, "stickyd-*"))
	for _, dir := range append(dirs, systemDirectory) {
		info, err := os.Lstat(dir)
		if err != nil || !info.IsDir() {
			continue
		}
		uid, public := strings.CutPrefix(filepath.Base(dir), "stickyd-")
		stat, ok := info.Sys().(*syscall.Stat_t)
		if public && (!ok || strconv.FormatUint(uint64(stat.Uid), 10) != uid) {
			continue // /tmp is everybody's
		}
		if name := otherOwner(info); name != "" && !slices.Contains(names, name) && mayHaveOne(dir) {
			names = append(names, name)
		}
	}
	return names
}

// mayHaveOne reports whether somebody listens in a directory, or nobody is to know.
func mayHaveOne(dir string) bool {
	if _, err := os.ReadDir(dir); err != nil {
		return errors.Is(err, fs.ErrPermission)
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+suffix))
	return slices.ContainsFunc(paths, func(path string) bool { return probe(path) == live })
}
