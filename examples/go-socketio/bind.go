package main

import (
	"context"
	"log"

	"github.com/stickyd/stickyd/workerproto"
	"github.com/zishang520/socket.io/servers/engine/v3"
	"github.com/zishang520/socket.io/servers/engine/v3/transports"
	"github.com/zishang520/socket.io/v3/pkg/types"
)

// Engine.IO emits "connection" after it has written the handshake's answer:
// what a listener there binds may come too late (a WebSocket's answer is on its
// way, a poll's is unless it still fits net/http's buffer). The first to learn
// the id is the session's transport, before anything is written; so that's the
// place to bind.

// boundTransports returns Engine.IO's transports, which register each session
// with w.
func boundTransports(w *workerproto.Worker) *types.Set[transports.TransportCtor] {
	return types.NewSet[transports.TransportCtor](
		boundTransportCtor{engine.Polling, w},
		boundTransportCtor{engine.WebSocket, w},
	)
}

type boundTransportCtor struct {
	transports.TransportCtor
	worker *workerproto.Worker
}

func (c boundTransportCtor) New(ctx *types.HttpContext) transports.Transport {
	return &boundTransport{c.TransportCtor.New(ctx), c.worker, ctx.Context()}
}

type boundTransport struct {
	transports.Transport
	worker  *workerproto.Worker
	request context.Context
}

// SetSid is called once for each session, by the handshake.
func (t *boundTransport) SetSid(id string) {
	if err := t.worker.Bind(t.request, id); err != nil {
		log.Print("cannot register a session: ", err)
	}
	t.Transport.SetSid(id)
}

// unbindSessions tells stickyd of every session that has ended.
func unbindSessions(w *workerproto.Worker, e engine.BaseServer) {
	e.On("connection", func(args ...any) {
		session := args[0].(engine.Socket)
		unbind := func(...any) { w.Unbind(session.Id()) }
		session.Once("close", unbind)
		if session.ReadyState() == "closed" { // before we listened
			unbind()
		}
	})
}
