package routing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"testing"
	"time"
)

// frozen returns a table with sessions of two live incarnations and a dead one,
// and what WriteTo writes of it.
func frozen(t testing.TB, sessions int) (table *Table, a, b Incarnation, state []byte) {
	t.Helper()
	table = NewTable(NewKey())
	a, b = table.Open(), table.Open()
	dead := table.Open()
	for i := range sessions {
		table.Bind(fmt.Append(nil, "a", i), a)
		table.Bind(fmt.Append(nil, "b", i), b)
		table.Bind(fmt.Append(nil, "dead", i), dead)
	}
	table.Kill(dead, Death{At: time.Unix(1, 0)})
	var buf bytes.Buffer
	if n, err := table.WriteTo(&buf); err != nil || n != int64(buf.Len()) {
		t.Fatal(n, buf.Len(), err)
	}
	return table, a, b, buf.Bytes()
}

func TestReadTableMakesAnEqualOne(t *testing.T) {
	for _, sessions := range []int{0, 1, 20_000} {
		_, a, b, state := frozen(t, sessions)
		in := bytes.NewReader(append(state, "and more"...))
		table, err := ReadTable(in)
		if err != nil {
			t.Fatal(err)
		}
		if in.Len() != len("and more") {
			t.Errorf("left %d bytes", in.Len())
		}
		if table.Sessions(a) != sessions || table.Sessions(b) != sessions || table.Len() != 2*sessions {
			t.Errorf("%d sessions: %d and %d", sessions, table.Sessions(a), table.Sessions(b))
		}
		for i := range sessions {
			for id, want := range map[string]Incarnation{"a": a, "b": b, "dead": 0} {
				if owner, _ := table.Lookup(fmt.Append(nil, id, i)); owner != want {
					t.Fatalf("%s%d is %d's, want %d", id, i, owner, want)
				}
			}
		}
		if entries := table.Sweep(time.Now()); entries != 0 {
			t.Error("the dead one left", entries)
		}
		if next := table.Open(); next != 4 {
			t.Errorf("incarnation %d comes next, want 4", next)
		}
		if sessions > 0 && (!errors.Is(table.Bind([]byte("a0"), b), ErrHeld) || !table.Unbind([]byte("a0"), a)) {
			t.Error("a session that was read is not like others")
		}
	}
}

// Whatever is wrong with a state is an error, be it cut short or changed.
func TestReadTableRefusesWhatIsNoTable(t *testing.T) {
	_, _, _, state := frozen(t, 3)
	for n := range state {
		if _, err := ReadTable(bytes.NewReader(state[:n])); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("the first %d of %d bytes: %v", n, len(state), err)
		}
		for _, bit := range []byte{1, 0x80} {
			state[n] ^= bit
			if _, err := ReadTable(bytes.NewReader(state)); err == nil {
				t.Fatalf("byte %d of %d was changed, and nobody noticed", n, len(state))
			}
			state[n] ^= bit
		}
	}
}

// forge writes a table by hand, with a checksum that is right.
func forge(last uint32, lives []uint32, chunks ...[]uint32) []byte {
	var out bytes.Buffer
	f := freezer{w: &out}
	f.buf = append(f.buf, frozenMagic...)
	f.buf = append(f.buf, make([]byte, 32)...)
	f.number(last)
	f.number(uint32(len(lives)))
	for _, in := range lives {
		f.number(in)
	}
	for _, owners := range chunks {
		f.number(uint32(len(owners)))
		for i, in := range owners {
			f.buf = append(f.buf, 0, byte(i))
			f.buf = append(f.buf, make([]byte, 14)...)
			f.number(in)
		}
	}
	f.number(0)
	f.flush(0)
	f.number(f.sum)
	f.flush(0)
	return out.Bytes()
}

func TestReadTableRefusesWhatContradictsItself(t *testing.T) {
	if _, err := ReadTable(bytes.NewReader(forge(5, []uint32{2, 5}, []uint32{2, 5, 2}))); err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string][]byte{
		"none is an incarnation":     forge(5, []uint32{0, 2}),
		"one that comes twice":       forge(5, []uint32{2, 2}),
		"one that is yet to come":    forge(5, []uint32{2, 6}),
		"a dead one's session":       forge(5, []uint32{2}, []uint32{3}),
		"nobody's session":           forge(5, []uint32{2}, []uint32{0}),
		"a session that comes twice": forge(5, []uint32{2}, []uint32{2}, []uint32{2}),
	} {
		if _, err := ReadTable(bytes.NewReader(state)); err == nil {
			t.Error("was read:", name)
		}
	}
}

// Large numbers in a state, or entries in other chunks than they belong in, are
// no reason to make room.
func TestReadTableMakesNoRoomForLies(t *testing.T) {
	counts := forge(math.MaxUint32, nil)
	for i := len(frozenMagic) + 32; i < len(counts); i++ {
		counts[i] = 0xff
	}
	scattered := make([]uint32, 2000)
	for i := range scattered {
		scattered[i] = 1
	}
	chunk := forge(1, []uint32{1}, scattered)
	entries := chunk[len(frozenMagic)+32+12+4:]
	for i := range scattered {
		entries[i*frozenEntry], entries[i*frozenEntry+1] = byte(i>>8), byte(i)
	}
	for name, state := range map[string][]byte{"counts": counts, "scattered": chunk} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := ReadTable(bytes.NewReader(state)); err == nil {
			t.Error("was read:", name)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > 4<<20 {
			t.Errorf("%s: %d bytes of state took %d of memory", name, len(state), used)
		}
	}
}

// What is written beside others who use the table is a table still.
func TestWriteToBesideUse(t *testing.T) {
	table := NewTable(NewKey())
	kept := table.Open()
	for i := range 1000 {
		table.Bind(fmt.Append(nil, "kept", i), kept)
	}
	done := make(chan struct{})
	var users sync.WaitGroup
	for u := range 4 {
		users.Go(func() {
			in := table.Open()
			for i := 0; ; i++ {
				select {
				case <-done:
					return
				default:
				}
				table.Bind(fmt.Append(nil, u, "-", i%100), in)
				table.Unbind(fmt.Append(nil, u, "-", i*7%100), in)
				if i%100 == 0 {
					table.Kill(in, Death{})
					in = table.Open()
					table.Bytes()
				}
			}
		})
	}
	for range 20 {
		var state bytes.Buffer
		table.WriteTo(&state)
		other, err := ReadTable(&state)
		if err != nil {
			t.Error(err)
		} else if n := other.Sessions(kept); n != 1000 {
			t.Errorf("%d of 1000 sessions were read", n)
		}
	}
	close(done)
	users.Wait()
}

// A full writer has room for some bytes; when it has said so, for all others.
type full struct{ room int }

func (f *full) Write(b []byte) (int, error) {
	n := min(len(b), f.room)
	if f.room -= n; n < len(b) {
		f.room = math.MaxInt
		return n, io.ErrShortWrite
	}
	return n, nil
}

func TestWriteToSaysThatItFailed(t *testing.T) {
	table, _, _, state := frozen(t, 5000)
	for room := 0; room < len(state); room += 10_000 {
		if n, err := table.WriteTo(&full{room}); n != int64(room) || !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("room for %d: wrote %d, %v", room, n, err)
		}
	}
}

func FuzzReadTable(f *testing.F) {
	_, _, _, state := frozen(f, 3)
	f.Add(state)
	f.Add(forge(5, []uint32{2, 5}, []uint32{2, 5, 2}))
	f.Add(forge(0, nil))
	f.Add([]byte(frozenMagic))
	f.Fuzz(func(t *testing.T, state []byte) {
		table, err := ReadTable(bytes.NewReader(state))
		if err != nil {
			return
		}
		var again bytes.Buffer
		table.WriteTo(&again)
		if other, err := ReadTable(&again); err != nil || other.Len() != table.Len() {
			t.Error("what was read does not survive being written:", err)
		}
	})
}

// BenchmarkFreeze writes and reads a million sessions.
func BenchmarkFreeze(b *testing.B) {
	table := NewTable(NewKey())
	in, buf := table.Open(), make([]byte, 0, 20)
	for i := range 1_000_000 {
		table.Bind(benchID(buf, i), in)
	}
	var state bytes.Buffer
	table.WriteTo(&state)
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			table.WriteTo(io.Discard)
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := ReadTable(bytes.NewReader(state.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
	})
}
