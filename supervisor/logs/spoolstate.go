package logs

// A SpoolState is what was not written to a file when its spool was closed.
type SpoolState struct {
	Records [][]byte `json:",omitempty"`
	Lost    int      `json:",omitempty"` // behind them
	Why     string   `json:",omitempty"` // writing failed when they were lost; "" if nobody read
	MidLine bool     `json:",omitempty"` // the file may end within a line
}

// state gives away, once, what is not written when close has returned; before
// close it is nothing. What is about to be written then, to somebody who does not
// read, counts as lost: they may have got some of it, and may get the rest.
func (s *spool) state() (st SpoolState) {
	if !s.closed() {
		return st
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.queue.writing != nil {
		select {
		case <-s.done:
			st.Records, st.MidLine = s.queue.writing.records(), len(s.queue.writing.cut()) > 0
		default:
			s.lose(len(s.queue.writing.ends))
			st.MidLine = len(s.queue.writing.text) > pieceSize || !isPipe(s.file)
		}
	}
	for _, p := range s.queue.waiting {
		st.Records = append(st.Records, p.records()...)
	}
	s.queue = queue{}
	st.Lost, st.Why = s.lost, s.why
	s.lost = 0
	return st
}

// restore puts what state gave away before what waits already.
func (s *spool) restore(st SpoolState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.queue.waiting
	s.queue.waiting = nil
	for _, record := range st.Records {
		s.queue.add(record)
	}
	if st.Lost > 0 {
		s.queue.add(s.note(st.Lost, st.Why))
	}
	s.queue.waiting = append(s.queue.waiting, since...)
	s.midLine = s.midLine || st.MidLine
	s.rouse()
}
