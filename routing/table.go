package routing

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"maps"
	"sync"
	"sync/atomic"

	"github.com/stickyd/stickyd/routing/session"
)

// An Incarnation is the number of one worker process. 0 is none; a number is
// never used again.
type Incarnation uint32

// What Bind can find wrong.
var (
	ErrHeld      = errors.New("a live worker holds this session id")
	ErrDead      = errors.New("the worker is gone")
	ErrSessionID = errors.New("a session id has 1 to 256 bytes")
)

// A Table says which incarnation owns which session. All methods may be called
// from any goroutine.
//
// It keeps a keyed hash of each id, 128 bits, and not the id: entries are
// small, the garbage collector does not look into them, and nobody who does
// not know the key can craft ids that collide.
type Table struct {
	key    [32]byte
	shards [shardCount]shard

	opening sync.Mutex // held to change lives
	last    Incarnation
	lives   atomic.Pointer[map[Incarnation]*life] // the live ones; never changed in place
}

const shardCount = 256 // one for each value of a byte

type shard struct {
	mu     sync.Mutex
	owners map[digest]Incarnation
}

type digest [16]byte

// A life counts the sessions of an incarnation while it lives.
type life struct{ sessions atomic.Int64 }

// NewKey returns a random key for NewTable.
func NewKey() (key [32]byte) {
	rand.Read(key[:]) // never fails
	return key
}

// NewTable returns an empty table whose hashes are keyed with key.
func NewTable(key [32]byte) *Table {
	t := &Table{key: key}
	for i := range t.shards {
		t.shards[i].owners = make(map[digest]Incarnation)
	}
	t.lives.Store(&map[Incarnation]*life{})
	return t
}

// Open returns a new live incarnation.
func (t *Table) Open() Incarnation {
	t.opening.Lock()
	defer t.opening.Unlock()
	t.last++
	lives := maps.Clone(*t.lives.Load())
	lives[t.last] = &life{}
	t.lives.Store(&lives)
	return t.last
}

// Kill ends an incarnation: at once all its sessions are unknown. It returns
// how many there were. Their space is free after the next Sweep.
func (t *Table) Kill(in Incarnation) (sessions int) {
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
	return int(l.sessions.Load())
}

func (t *Table) life(in Incarnation) *life { return (*t.lives.Load())[in] }

// locate returns the shard of an id and its hash. SHA-256 with the key in
// front, cut to half, is not open to length extension: nobody sees a hash.
func (t *Table) locate(id []byte) (*shard, digest) {
	var buf [len(t.key) + session.MaxID]byte
	n := copy(buf[:], t.key[:])
	n += copy(buf[n:], id)
	sum := sha256.Sum256(buf[:n])
	d := digest(sum[:16])
	return &t.shards[sum[16]], d
}

// Bind makes in the owner of a session; binding again is harmless. It returns
// ErrHeld if another live incarnation owns it, ErrDead if in does not live,
// and ErrSessionID for what is no id.
func (t *Table) Bind(id []byte, in Incarnation) error {
	if len(id) == 0 || len(id) > session.MaxID {
		return ErrSessionID
	}
	s, d := t.locate(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := t.life(in)
	if l == nil {
		return ErrDead
	}
	switch owner := s.owners[d]; {
	case owner == in:
		return nil
	case owner != 0 && t.life(owner) != nil:
		return ErrHeld
	}
	s.owners[d] = in
	l.sessions.Add(1)
	return nil
}

// Unbind ends a session of in. It reports whether in owned it.
func (t *Table) Unbind(id []byte, in Incarnation) bool {
	if len(id) > session.MaxID {
		return false
	}
	s, d := t.locate(id)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owners[d] != in || in == 0 {
		return false
	}
	delete(s.owners, d)
	if l := t.life(in); l != nil {
		l.sessions.Add(-1)
	}
	return true
}

// Lookup returns the live owner of a session.
func (t *Table) Lookup(id []byte) (Incarnation, bool) {
	if len(id) > session.MaxID {
		return 0, false
	}
	s, d := t.locate(id)
	s.mu.Lock()
	owner := s.owners[d]
	s.mu.Unlock()
	if owner == 0 || t.life(owner) == nil {
		return 0, false
	}
	return owner, true
}

// Sessions returns how many sessions a live incarnation owns.
func (t *Table) Sessions(in Incarnation) int {
	if l := t.life(in); l != nil {
		return int(l.sessions.Load())
	}
	return 0
}

// Len returns how many sessions have a live owner.
func (t *Table) Len() int {
	n := 0
	for _, l := range *t.lives.Load() {
		n += int(l.sessions.Load())
	}
	return n
}

// Sweep frees what dead incarnations left behind and returns how many entries
// that were. It locks one of the 256 shards at a time.
func (t *Table) Sweep() (entries int) {
	for i := range t.shards {
		entries += t.sweep(&t.shards[i])
	}
	return entries
}

func (t *Table) sweep(s *shard) (entries int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	lives := *t.lives.Load()
	for d, owner := range s.owners {
		if lives[owner] == nil {
			delete(s.owners, d)
			entries++
		}
	}
	if entries > len(s.owners) { // a map never shrinks by itself
		left := make(map[digest]Incarnation, len(s.owners))
		maps.Copy(left, s.owners)
		s.owners = left
	}
	return entries
}
