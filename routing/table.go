package routing

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
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

	opening sync.Mutex // held to change what follows
	last    Incarnation
	lives   atomic.Pointer[map[Incarnation]*life] // the live ones; never changed in place
	deaths  atomic.Pointer[map[Incarnation]Death] // of whom entries may be left; never changed in place
}

// shardCount is a power of two, and so large that a shard of a million sessions
// has few: whoever holds its lock to go through it holds up nobody for long.
const shardCount = 4096

type shard struct {
	mu     sync.Mutex
	owners map[digest]Incarnation // nil while there are none
	most   int                    // entries that owners ever had
}

// put enters a session; a shard that has no map gets one with room for more.
func (s *shard) put(d digest, in Incarnation, room int) {
	if s.owners == nil {
		s.owners = make(map[digest]Incarnation, room)
	}
	s.owners[d] = in
	s.most = max(s.most, len(s.owners))
}

type digest [16]byte

func (d digest) shard() uint16 { return binary.BigEndian.Uint16(d[:]) % shardCount }

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
	t.lives.Store(&map[Incarnation]*life{})
	t.deaths.Store(&map[Incarnation]Death{})
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

func (t *Table) life(in Incarnation) *life { return (*t.lives.Load())[in] }

// A Key stands for a session id in one Table, for who asks for the same id more
// than once: to make it takes as long as all the rest. The zero Key is of no id.
type Key struct {
	digest digest
	shard  uint16 // its number and one more
}

// Key returns the key of an id; one that is no id has the zero Key. SHA-256 with
// the table's key in front, cut to half, is not open to length extension: nobody
// sees a hash.
func (t *Table) Key(id []byte) Key {
	if len(id) == 0 || len(id) > session.MaxID {
		return Key{}
	}
	var buf [len(t.key) + session.MaxID]byte
	n := copy(buf[:], t.key[:])
	n += copy(buf[n:], id)
	sum := sha256.Sum256(buf[:n])
	d := digest(sum[:16])
	return Key{d, 1 + d.shard()}
}

// Bind makes in the owner of a session; binding again is harmless. It returns
// ErrHeld if another live incarnation owns it, ErrDead if in does not live,
// and ErrSessionID for what is no id.
func (t *Table) Bind(id []byte, in Incarnation) error { return t.BindKey(t.Key(id), in) }

// BindKey is Bind by key.
func (t *Table) BindKey(k Key, in Incarnation) error {
	if k.shard == 0 {
		return ErrSessionID
	}
	s := &t.shards[k.shard-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	l := t.life(in)
	if l == nil {
		return ErrDead
	}
	switch owner := s.owners[k.digest]; {
	case owner == in:
		return nil
	case owner != 0 && t.life(owner) != nil:
		return ErrHeld
	}
	s.put(k.digest, in, 0)
	l.sessions.Add(1)
	return nil
}

// Unbind ends a session of in. It reports whether in owned it.
func (t *Table) Unbind(id []byte, in Incarnation) bool { return t.UnbindKey(t.Key(id), in) }

// UnbindKey is Unbind by key.
func (t *Table) UnbindKey(k Key, in Incarnation) bool {
	if k.shard == 0 || in == 0 {
		return false
	}
	s := &t.shards[k.shard-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.owners[k.digest] != in {
		return false
	}
	delete(s.owners, k.digest)
	if l := t.life(in); l != nil {
		l.sessions.Add(-1)
	}
	return true
}

// Lookup returns the live owner of a session.
func (t *Table) Lookup(id []byte) (Incarnation, bool) { return t.LookupKey(t.Key(id)) }

// LookupKey is Lookup by key.
func (t *Table) LookupKey(k Key) (Incarnation, bool) {
	if owner := t.find(k); owner != 0 && t.life(owner) != nil {
		return owner, true
	}
	return 0, false
}

// find returns who bound a session last, dead or alive, 0 if nobody is known to
// have.
func (t *Table) find(k Key) Incarnation {
	if k.shard == 0 {
		return 0
	}
	s := &t.shards[k.shard-1]
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.owners[k.digest]
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
