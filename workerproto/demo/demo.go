// Package demo is the worker that stickyd demo runs.
package demo

import (
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/stickyd/stickyd/workerproto"
)

// Run serves the demo until stickyd ends.
func Run() error {
	w, err := workerproto.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/new" {
			id := fmt.Sprintf("s%d-%p", os.Getpid(), r)
			w.Bind(r.Context(), id)
			fmt.Fprintln(rw, id)
			return
		}
		fmt.Fprintln(rw, "worker", w.Slot(), "pid", os.Getpid(), r.RemoteAddr)
	})
	return w.Serve(&http.Server{Handler: mux})
}

// URL is where a browser on this machine finds the demo.
func URL(addr net.Addr) string { return "http://" + addr.String() + "/" }
