package routing

import (
	"maps"
	"runtime"
	"time"
)

// A Death is what is remembered of a dead incarnation.
type Death struct {
	Slot, Generation int
	At               time.Time
}

// maxDeaths bounds the dead that are remembered, as in a crash loop.
const maxDeaths = 1024

// Kill ends an incarnation: at once all its sessions are unknown. It returns
// how many there were. Until Sweep frees their space the table can tell whose
// they were; of more than 1024 dead it forgets the first.
func (t *Table) Kill(in Incarnation, d Death) (sessions int) {
	t.opening.Lock()
	defer t.opening.Unlock()
	old := *t.lives.Load()
	l := old[in]
	if l == nil {
		return 0
	}
	lives := maps.Clone(old)
	delete(lives, in)
	t.lives.Store(&lives)
	if sessions = int(l.sessions.Load()); sessions > 0 {
		t.remember(in, d)
	}
	return sessions
}

func (t *Table) remember(in Incarnation, d Death) {
	deaths := maps.Clone(*t.deaths.Load())
	deaths[in] = d
	if len(deaths) > maxDeaths {
		first := in
		for other, d := range deaths {
			if d.At.Before(deaths[first].At) {
				first = other
			}
		}
		delete(deaths, first)
	}
	t.deaths.Store(&deaths)
}

// trace says whose a session is, or was. It never says Rescued.
func (t *Table) trace(k Key) (owner Incarnation, l Lookup, d Death) {
	owner = t.find(k)
	if owner != 0 && t.life(owner) != nil {
		return owner, Found, Death{}
	}
	if d, ok := (*t.deaths.Load())[owner]; ok {
		return owner, Dead, d
	}
	return 0, Never, Death{}
}

// Sweep forgets the incarnations that died before a time, frees what they left
// behind, and returns how many entries that were. It locks one shard at a time,
// so of a million sessions 250, and lets others have the core in between.
func (t *Table) Sweep(diedBefore time.Time) (entries int) {
	t.forget(diedBefore)
	for i := range t.shards {
		entries += t.sweep(&t.shards[i])
		runtime.Gosched()
	}
	return entries
}

// Remembers reports whether there are dead whose sessions Sweep has not freed.
func (t *Table) Remembers() bool { return len(*t.deaths.Load()) > 0 }

func (t *Table) forget(diedBefore time.Time) {
	t.opening.Lock()
	defer t.opening.Unlock()
	deaths := maps.Clone(*t.deaths.Load())
	maps.DeleteFunc(deaths, func(_ Incarnation, d Death) bool { return d.At.Before(diedBefore) })
	t.deaths.Store(&deaths)
}

// sweep frees what belongs to nobody who is alive or remembered.
func (t *Table) sweep(s *shard) (entries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lives, deaths := *t.lives.Load(), *t.deaths.Load()
	for d, owner := range s.owners {
		if lives[owner] != nil {
			continue
		}
		if _, ok := deaths[owner]; !ok {
			delete(s.owners, d)
			entries++
		}
	}
	if entries > len(s.owners) { // a map never shrinks by itself
		s.owners = compact(s.owners)
		s.most = len(s.owners)
	}
	return entries
}

func compact(owners map[digest]Incarnation) map[digest]Incarnation {
	if len(owners) == 0 {
		return nil
	}
	left := make(map[digest]Incarnation, len(owners))
	maps.Copy(left, owners)
	return left
}
