package nodeipc

// saysReady: the application says that it is ready, for those who wait for that.
// l.read is held.
func (l *Link) saysReady() {
	l.saidReady = true
	if l.open() {
		l.becomeReady()
	}
}

// open reports whether connections find somebody in the worker. l.read is held.
func (l *Link) open() bool {
	if l.adopts.Load() {
		return true
	}
	for _, s := range l.servers {
		if s.Role == doorRole && s.Open && !s.Demoted {
			return true
		}
	}
	return false
}

// becomeReady tells the handler, once: somebody in the worker gets connections
// now. A worker that says itself when it is ready is waited for. l.read is held.
func (l *Link) becomeReady() {
	if l.ready || l.failed != nil || l.waitReady && !l.saidReady {
		return
	}
	l.ready = true
	l.stopProbe()
	if l.wantsHelper && !l.helper.here.Load() && l.hub.first("no preload") {
		l.log.Warn("the preload did not reach the worker; requests may get the wrong worker where a server only listens, or sessions share a kept-alive connection",
			"hint", "does the program set NODE_OPTIONS? let it add to what is there, as in NODE_OPTIONS=\"$NODE_OPTIONS --your-option\"; --node-preload off says that this is meant")
	}
	l.handler.Ready()
}
