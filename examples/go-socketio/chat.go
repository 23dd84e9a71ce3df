package main

import (
	"log"

	"github.com/zishang520/socket.io/servers/socket/v3"
)

// chat lets a client speak to the clients of all workers. They hear "said", with
// what is said: text or binary. A room's name "" means everybody.
func chat(io *socket.Server, client *socket.Socket) {
	answer(client, "join", func(args []any) []any {
		client.Join(rooms(args)...)
		return nil
	})
	answer(client, "say", func(args []any) []any {
		io.To(rooms(args)...).Emit("said", after(1, args)...)
		return nil
	})
	answer(client, "tell", func(args []any) []any { // the others
		client.To(rooms(args)...).Emit("said", after(1, args)...)
		return nil
	})
	answer(client, "invite", func(args []any) []any { // who is in one room into another
		io.In(rooms(args)...).SocketsJoin(rooms(after(1, args))...)
		return nil
	})
	answer(client, "dissolve", func(args []any) []any {
		io.In(rooms(args)...).SocketsLeave(rooms(args)...)
		return nil
	})
	answer(client, "kick", func(args []any) []any {
		if room := rooms(args); room != nil { // not everybody
			io.In(room...).DisconnectSockets(true)
		}
		return nil
	})
	answer(client, "announce", func(args []any) []any { // by way of the other workers
		if err := io.ServerSideEmit("announced", args...); err != nil {
			log.Print(err)
		}
		return nil
	})
}

// announceAll says to this worker's clients what another worker announces.
func announceAll(io *socket.Server) {
	io.On("announced", func(args ...any) { io.Local().Emit("said", args...) })
}

// rooms returns what the first argument names: a room, or none for everybody.
func rooms(args []any) []socket.Room {
	if len(args) > 0 {
		if name, _ := args[0].(string); name != "" {
			return []socket.Room{socket.Room(name)}
		}
	}
	return nil
}

// after returns the arguments after the first n.
func after(n int, args []any) []any { return args[min(n, len(args)):] }
