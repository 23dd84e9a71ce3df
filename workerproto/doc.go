// Package workerproto holds the words that stickyd and its workers exchange:
// the frames of PROTOCOL.md, stickyd's half of the conversation ([Link]), and
// the library that a worker written in Go imports ([Listen]).
//
// From a plain net/http server to a worker:
//
//	w, err := workerproto.Listen(":8080") // an ordinary listener without stickyd
//	if err != nil {
//		log.Fatal(err)
//	}
//	err = w.Serve(&http.Server{Handler: mux})
//	if !errors.Is(err, http.ErrServerClosed) { // which it is when stickyd has stopped
//		log.Fatal(err)
//	}
//
// and, in the handler that starts a session, before it writes the response
// that reveals the id:
//
//	err := w.Bind(r.Context(), id)
//
// The package neither executes processes nor accepts connections.
package workerproto
