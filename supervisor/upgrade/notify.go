package upgrade

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
)

// Notify is signal.Notify, and delivers as well what came since this process
// became this program and what the program before had no time for. It needs
// at least one signal, and there is no Stop.
func Notify(c chan<- os.Signal, sigs ...os.Signal) {
	if inherited == nil || inherited.Checking() {
		signal.Notify(c, sigs...)
		return
	}
	early.notify(c, sigs)
}

// A relay keeps signals for those who call Notify later. One channel of
// os/signal serves them all, so that nothing is lost or comes twice on the way
// from the relay to them.
type relay struct {
	from chan os.Signal

	mu      sync.Mutex
	missed  []os.Signal // that nobody wanted yet, each once
	wanting []wanting
}

type wanting struct {
	c    chan<- os.Signal
	sigs []os.Signal
}

var early = relay{from: make(chan os.Signal, 16)}

// listen begins to keep signals, after those that were carried over.
func (r *relay) listen(carried []syscall.Signal, sigs ...os.Signal) {
	for _, sig := range sigs { // Notify of none would be of all
		signal.Notify(r.from, sig)
	}
	for _, sig := range carried {
		r.deliver(sig)
	}
	go func() {
		for sig := range r.from {
			r.deliver(sig)
		}
	}()
}

func (r *relay) deliver(sig os.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wanted := false
	for _, w := range r.wanting {
		if slices.Contains(w.sigs, sig) {
			wanted = true
			w.send(sig)
		}
	}
	if !wanted && !slices.Contains(r.missed, sig) {
		r.missed = append(r.missed, sig)
	}
}

// send does not wait, as os/signal does not.
func (w wanting) send(sig os.Signal) {
	select {
	case w.c <- sig:
	default:
	}
}

func (r *relay) notify(c chan<- os.Signal, sigs []os.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	w := wanting{c, slices.Clone(sigs)}
	r.wanting = append(r.wanting, w)
	r.missed = slices.DeleteFunc(r.missed, func(sig os.Signal) bool {
		wanted := slices.Contains(w.sigs, sig)
		if wanted {
			w.send(sig)
		}
		return wanted
	})
	signal.Notify(r.from, sigs...) // those that listen did not ask for
}

// pending returns what nobody has asked for.
func (r *relay) pending() (sigs []syscall.Signal) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, sig := range r.missed {
		sigs = append(sigs, sig.(syscall.Signal))
	}
	return sigs
}
