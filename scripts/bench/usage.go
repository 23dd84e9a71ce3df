//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// What processes use, as /proc has it (proc(5)).

// cpuTime is what all threads of a process have used.
func cpuTime(pid int) (total time.Duration, err error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("no threads of process %d in /proc", pid)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(ns)
	}
	return total, nil
}

// cpuTimes adds up what is known of several processes.
func cpuTimes(pids []int) (total time.Duration) {
	for _, pid := range pids {
		d, _ := cpuTime(pid)
		total += d
	}
	return total
}

// residentKiB is the memory of several processes of one program that is in RAM.
// Pages of files, such as the program, and of shared memory count once, since
// they have the same ones.
func residentKiB(pids []int) int {
	anonymous, shared := 0, 0
	for _, pid := range pids {
		text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		anonymous += statusKiB(text, "RssAnon")
		shared = max(shared, statusKiB(text, "RssFile")+statusKiB(text, "RssShmem"))
	}
	return anonymous + shared
}

// statusKiB finds a number in the text of /proc/PID/status.
func statusKiB(text []byte, name string) int {
	_, after, _ := strings.Cut(string(text), "\n"+name+":")
	fields := strings.Fields(after)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.Atoi(fields[0])
	return kib
}

// descriptors is how many several processes have open.
func descriptors(pids []int) (total int) {
	for _, pid := range pids {
		entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		total += len(entries)
	}
	return total
}

// descendants returns the children of a process, and theirs.
func descendants(pid int) (pids []int) {
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file)
		for _, field := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(field); err == nil {
				pids = append(pids, child)
				pids = append(pids, descendants(child)...)
			}
		}
	}
	return pids
}

// commandName is the name of a process, as ps shows it.
func commandName(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(text))
}
