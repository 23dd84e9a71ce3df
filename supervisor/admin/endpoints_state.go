package admin

// An EndpointsState is where stickyd was asked, and is to be asked again. It can
// be written as JSON, and owns its descriptors.
type EndpointsState struct {
	Control *ListenerState
	Metrics map[string]ListenerState // by address, as it was given
}

// Descriptors returns what the state owns.
func (s *EndpointsState) Descriptors() (fds []int) {
	if s.Control != nil {
		fds = append(fds, s.Control.FD)
	}
	for _, ln := range s.Metrics {
		fds = append(fds, ln.FD)
	}
	return fds
}

// Freeze answers nobody on the control socket any more, see [Server.Freeze];
// Detach and Release follow.
func (e *Endpoints) Freeze() {
	e.stopKeep() // first: it would serve another listener
	e.server.Freeze()
}

// Detach gives away the listeners, in whose queues new clients wait. Of one that
// can't be given away the log says that it is opened anew, see Restore.
func (e *Endpoints) Detach() EndpointsState {
	s := EndpointsState{Metrics: make(map[string]ListenerState)}
	if e.control != nil {
		if state, err := e.control.Detach(); err == nil {
			s.Control = &state
		} else {
			e.log.Error("the control socket is opened anew", "err", err)
			e.control.Close()
		}
	}
	for addr, ln := range e.metrics {
		if state, err := DetachMetrics(ln); err == nil {
			s.Metrics[addr] = state
		} else {
			e.log.Error("a listener for metrics is opened anew", "addr", addr, "err", err)
			ln.Close()
		}
	}
	return s
}

// Release waits for those who were answered when Detach was called.
func (e *Endpoints) Release() {
	e.exposition.Close()
	e.serving.Wait()
}

// Restore takes ownership of what Detach gave away. What can't be had that way
// is missing afterwards, for ChangeMetrics and OpenControl to open.
func (e *Endpoints) Restore(s EndpointsState) {
	for addr, state := range s.Metrics {
		ln, err := AdoptMetrics(state)
		if err != nil {
			e.log.Error("a listener for metrics is opened anew", "addr", addr, "err", err)
			continue
		}
		e.metrics[addr] = ln
	}
	if s.Control == nil {
		return
	}
	control, err := Adopt(*s.Control, e.log)
	if err != nil {
		e.log.Error("the control socket is opened anew", "err", err)
		return
	}
	e.control = control
}
