package nodeipc

import (
	"cmp"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/stickyd/stickyd/fdpass/address"
)

// A SocketState is a socket on which workers serve by themselves, and which
// they have open, whoever opened it for them.
type SocketState struct {
	Network string `json:"network"`
	Addr    string `json:"addr"`
	Nth     int    `json:"nth"`
	FD      int    `json:"fd"`
	Path    string `json:"path,omitempty"` // of the file that is to be removed in the end
}

// State gives away all sockets: the descriptors are the caller's, close-on-exec,
// and what release functions there are do nothing any more.
func (s *Sockets) State() []SocketState {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []SocketState
	for name, k := range s.open {
		all = append(all, SocketState{Network: name.network, Addr: name.addr, Nth: name.nth, FD: k.fd, Path: k.path})
	}
	clear(s.open)
	slices.SortFunc(all, func(a, b SocketState) int {
		return cmp.Or(cmp.Compare(a.Network, b.Network), cmp.Compare(a.Addr, b.Addr), cmp.Compare(a.Nth, b.Nth))
	})
	return all
}

// Restore takes ownership of sockets that State gave away, in this program or
// its predecessor. Reacquire follows for each worker that has one, and then
// Settle. None of them may be open here.
func (s *Sockets) Restore(all []SocketState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, state := range all {
		unix.CloseOnExec(state.FD)
		s.open[socketName{state.Network, state.Addr, state.Nth}] = &socket{fd: state.FD, path: state.Path, place: address.PlaceOfSocket(state.FD)}
	}
}

// Reacquire is Open for a worker that has got its descriptor already.
func (s *Sockets) Reacquire(network, addr string, nth int) (release func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := socketName{network, addr, nth}
	k := s.open[name]
	if k == nil {
		return nil, fmt.Errorf("no socket of workers is open for %s %s (%d)", network, addr, nth)
	}
	return s.useLocked(name, k), nil
}

// Settle closes restored sockets that nobody has reacquired: their workers are
// gone.
func (s *Sockets) Settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, k := range s.open {
		if k.users == 0 {
			s.closeLocked(name, k)
		}
	}
}
