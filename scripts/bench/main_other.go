//go:build !linux

// Command bench measures what stickyd costs, beside its peers. It runs on Linux
// only: it reads /proc and uses epoll.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "bench: this runs on Linux only: it reads /proc and uses epoll")
	os.Exit(1)
}
