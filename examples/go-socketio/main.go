// Command go-socketio is a Socket.IO server. Run by itself it is one process;
// run by stickyd it is one of N, and all requests and the WebSocket of a
// session come to the process that the session lives in. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/stickyd/stickyd/workerproto"
	"github.com/zishang520/socket.io/servers/socket/v3"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "where to listen without stickyd")
	origin := flag.String("origin", "", "a website, such as https://example.com, whose pages may connect")
	flag.Parse()

	w, err := workerproto.Listen(*addr) // in place of net.Listen
	if err != nil {
		log.Fatal(err)
	}
	options := socket.DefaultServerOptions()
	options.SetTransports(boundTransports(w))
	options.SetAdapter(newCluster(w))
	if *origin != "" {
		options.SetCors(&types.Cors{Origin: *origin})
	}
	io := socket.NewServer(nil, options)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io.ServeHandler(nil))
	unbindSessions(w, io.Engine())

	slot := w.Slot()
	io.On("connection", func(args ...any) {
		client := args[0].(*socket.Socket)
		connected(client, slot)
		chat(io, client)
	})
	announceAll(io)

	// stop ends the requests that wait for something to happen.
	running, stop := context.WithCancel(context.Background())
	srv := &http.Server{
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("X-Worker", strconv.Itoa(slot)) // for the curious
			mux.ServeHTTP(rw, r)
		}),
		BaseContext:       func(net.Listener) context.Context { return running },
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
	}
	srv.RegisterOnShutdown(func() {
		io.Close(nil)
		stop()
	})
	log.Printf("listening on %v", w.Addr())
	err = w.Serve(srv)                         // in place of srv.Serve
	if !errors.Is(err, http.ErrServerClosed) { // which it is when stickyd has stopped
		log.Fatal(err)
	}
}

// connected answers what a client says. The count is in this process's memory
// and nowhere else.
func connected(client *socket.Socket, slot int) {
	count := 0 // needs no lock: the events of one client come one after the other
	answer(client, "whoami", func([]any) []any {
		return []any{map[string]any{"slot": slot, "pid": os.Getpid()}}
	})
	answer(client, "count", func([]any) []any {
		count++
		return []any{count}
	})
	answer(client, "echo", func(args []any) []any { return args })
}

// answer acknowledges an event, if that is asked for, with what f makes of its
// arguments.
func answer(client *socket.Socket, event string, f func(args []any) []any) {
	client.On(event, func(args ...any) {
		ack := func([]any, error) {}
		if last := len(args) - 1; last >= 0 {
			if asked, ok := args[last].(socket.Ack); ok {
				args, ack = args[:last], asked
			}
		}
		ack(f(args), nil)
	})
}
