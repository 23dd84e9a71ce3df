package routing

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"maps"
	"slices"
)

// A frozen table, all numbers big-endian:
//
//	frozenMagic             16 bytes, which end in the version
//	key                     32 bytes
//	last incarnation        uint32
//	number of live ones     uint32
//	live ones, ascending    uint32 each
//	chunks of entries:
//	  number of entries     uint32, 0 behind the last chunk
//	  entries               16 bytes of digest, uint32 owner each
//	CRC-32C of all that     uint32
//
// A chunk is what a shard has, so that one map is filled after the other; a
// reader with other shards would read it as well.
const (
	frozenMagic = "stickyd table 1\n"
	frozenEntry = len(digest{}) + 4
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteTo writes what ReadTable makes an equal table of: the key, the live
// incarnations and their sessions. Sessions that begin or end meanwhile may be
// in it or not. It returns how many bytes it wrote.
func (t *Table) WriteTo(w io.Writer) (n int64, err error) {
	t.opening.Lock()
	last, lives := t.last, *t.lives.Load()
	t.opening.Unlock()
	f := freezer{w: w}
	f.buf = append(f.buf, frozenMagic...)
	f.buf = append(f.buf, t.key[:]...)
	f.number(uint32(last))
	f.number(uint32(len(lives)))
	for _, in := range slices.Sorted(maps.Keys(lives)) {
		f.number(uint32(in))
	}
	for i := range t.shards {
		f.shard(&t.shards[i], lives)
		f.flush(64 << 10)
	}
	f.number(0)
	f.flush(0)
	f.number(f.sum)
	f.flush(0)
	return f.written, f.err
}

// A freezer collects what a table has and writes it in large pieces.
type freezer struct {
	w       io.Writer
	buf     []byte
	sum     uint32 // of what was written
	written int64
	err     error // the first; nothing is written after it
}

func (f *freezer) number(n uint32) { f.buf = binary.BigEndian.AppendUint32(f.buf, n) }

// shard adds a chunk with the entries of live incarnations, if there are any.
func (f *freezer) shard(s *shard, lives map[Incarnation]*life) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start, count := len(f.buf), uint32(0)
	f.number(0)
	for d, owner := range s.owners {
		if lives[owner] != nil {
			f.buf = append(f.buf, d[:]...)
			f.number(uint32(owner))
			count++
		}
	}
	if count == 0 {
		f.buf = f.buf[:start]
		return
	}
	binary.BigEndian.PutUint32(f.buf[start:], count)
}

// flush writes what there is, if that is more than some bytes.
func (f *freezer) flush(more int) {
	if f.err != nil || len(f.buf) <= more {
		return
	}
	var n int
	n, f.err = f.w.Write(f.buf)
	f.written += int64(n)
	f.sum = crc32.Update(f.sum, castagnoli, f.buf)
	f.buf = f.buf[:0]
}

// ReadTable returns the table that WriteTo has written, and reads nothing
// behind it. What is not such a table is an error, and costs no more memory than
// it has bytes.
func ReadTable(r io.Reader) (*Table, error) {
	t, err := (&thawer{r: r}).table()
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read the session table: %w", err)
	}
	return t, nil
}

// A thawer reads what a freezer has written.
type thawer struct {
	r   io.Reader
	sum uint32
	buf [frozenEntry << 11]byte
}

// next returns the next n bytes, no more than buf has; until the next call.
func (f *thawer) next(n int) ([]byte, error) {
	b := f.buf[:n]
	if _, err := io.ReadFull(f.r, b); err != nil {
		return nil, err
	}
	f.sum = crc32.Update(f.sum, castagnoli, b)
	return b, nil
}

func (f *thawer) number() (uint32, error) {
	b, err := f.next(4)
	if err != nil {
		return 0, err
	}
	return binary.BigEndian.Uint32(b), nil
}

func (f *thawer) table() (*Table, error) {
	magic, err := f.next(len(frozenMagic))
	if err != nil {
		return nil, err
	}
	if string(magic) != frozenMagic {
		return nil, fmt.Errorf("it begins with %q, want %q", magic, frozenMagic)
	}
	key, err := f.next(len(Table{}.key))
	if err != nil {
		return nil, err
	}
	t := NewTable([32]byte(key))
	lives, err := f.lives(t)
	if err != nil {
		return nil, err
	}
	for more := true; more && err == nil; {
		more, err = f.chunk(t, lives)
	}
	if err != nil {
		return nil, err
	}
	want := f.sum
	if sum, err := f.number(); err != nil || sum != want {
		return nil, errors.Join(err, errors.New("its checksum is wrong"))
	}
	return t, nil
}

// lives reads the incarnations, which live in t from now on.
func (f *thawer) lives(t *Table) (map[Incarnation]*life, error) {
	last, err := f.number()
	if err != nil {
		return nil, err
	}
	count, err := f.number()
	if err != nil {
		return nil, err
	}
	lives := make(map[Incarnation]*life)
	for before := uint32(0); count > 0; count-- {
		in, err := f.number()
		if err != nil {
			return nil, err
		}
		if in <= before || in > last {
			return nil, fmt.Errorf("incarnation %d of %d comes behind %d", in, last, before)
		}
		lives[Incarnation(in)] = new(life)
		before = in
	}
	t.last = Incarnation(last)
	t.lives.Store(&lives)
	return lives, nil
}

// chunk reads one chunk of entries into t; more is false behind the last one.
func (f *thawer) chunk(t *Table, lives map[Incarnation]*life) (more bool, err error) {
	count, err := f.number()
	if err != nil || count == 0 {
		return false, err
	}
	for left := int(count); left > 0; {
		n := min(left, len(f.buf)/frozenEntry)
		entries, err := f.next(n * frozenEntry)
		if err != nil {
			return false, err
		}
		room := n // for the first: the others are of the same shard, if nobody lies
		for ; len(entries) > 0; entries = entries[frozenEntry:] {
			d, in := digest(entries), Incarnation(binary.BigEndian.Uint32(entries[len(digest{}):]))
			if err := t.thaw(d, in, lives[in], room); err != nil {
				return false, err
			}
			room = 0
		}
		left -= n
	}
	return true, nil
}

// thaw enters a session; a shard that had none gets room for more. The caller
// has the table to itself.
func (t *Table) thaw(d digest, in Incarnation, l *life, room int) error {
	s := &t.shards[d.shard()]
	switch {
	case l == nil:
		return fmt.Errorf("a session is owned by incarnation %d, which does not live", in)
	case s.owners[d] != 0:
		return errors.New("a session is in it twice")
	}
	s.put(d, in, room)
	l.sessions.Add(1)
	return nil
}
