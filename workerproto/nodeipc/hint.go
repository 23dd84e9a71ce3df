package nodeipc

// This file is what a Link tells of the program in the worker: for messages to people,
// and for who measures it.

// Process returns the pid of the process that speaks, which need not be the one
// that was started, and 0 where it has not said.
func (l *Link) Process() int {
	l.read.Lock()
	defer l.read.Unlock()
	return l.process
}

// Helped reports whether there is a library of ours in the worker.
func (l *Link) Helped() bool {
	l.read.Lock()
	defer l.read.Unlock()
	return l.helper.here.Load()
}

// ServesAlone reports whether what the worker runs gets no connections from us: the
// application has called what listens by itself, as Bun.serve does, or a launcher
// keeps the channel from it, as nodemon does.
func (l *Link) ServesAlone() bool {
	l.read.Lock()
	defer l.read.Unlock()
	return l.helper.alone != ""
}

// Reaches reports whether there is a library of ours, or the launcher that there is
// passes the channel on to one.
func (l *Link) Reaches() bool {
	l.read.Lock()
	defer l.read.Unlock()
	return l.helper.here.Load() || l.wrapper != "" && l.helper.alone == ""
}

// Refusal says why the last server that asked could not listen, "" if it could.
func (l *Link) Refusal() string {
	l.read.Lock()
	defer l.read.Unlock()
	return l.refusal
}

// Hint says what may be wrong with a worker that does not get ready.
func (l *Link) Hint() string {
	l.read.Lock()
	defer l.read.Unlock()
	switch {
	case l.refusal != "" && len(l.servers) == 0:
		return l.refusal
	case l.waitReady && !l.saidReady && l.open():
		return "its server listens; it has not said process.send('ready'), which --wait-ready waits for"
	case l.wrapper != "" && l.helper.alone == l.wrapper:
		return l.wrapper + " keeps what stickyd gives it from the server: " + wrapperHint(l.wrapper)
	case l.wrapper != "" && !l.helper.here.Load():
		return l.wrapper + " runs, and no Node program that it has started has said anything: " + wrapperHint(l.wrapper)
	case l.helper.alone != "":
		return l.helper.alone + " listens by itself, so stickyd cannot pass connections to it: " +
			"serve with createServer of node:http, as Express and Fastify do"
	case !l.online:
		return "Node has opened its channel and has not said that it runs"
	case l.helper.expects:
		return "@socket.io/sticky is loaded, but setupWorker(io) was not called yet"
	}
	switch l.helper.runtime {
	case deno:
		return "Deno runs, but no server of node:http listens, nor was setupWorker(io) called. What deno serve runs is out of stickyd's reach"
	case bun:
		return "Bun runs, but no server of node:http listens, nor was setupWorker(io) called"
	}
	return "it runs, but neither does it listen, nor was setupWorker(io) called. A server that listens in a process that it has started is out of stickyd's reach"
}
