package routing

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A store is a session table, ours or the obvious one.
type store interface {
	bind(id []byte)
	lookup(id []byte) bool
}

type tableStore struct {
	*Table
	in Incarnation
}

func (s tableStore) bind(id []byte) { s.Bind(id, s.in) }
func (s tableStore) lookup(id []byte) bool {
	_, ok := s.Lookup(id)
	return ok
}

// mapStore is the table that one would write first.
type mapStore struct {
	mu     sync.Mutex
	owners map[string]uint32
}

func (s *mapStore) bind(id []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.owners[string(id)] = 1
}

func (s *mapStore) lookup(id []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.owners[string(id)]
	return ok
}

var stores = []struct {
	name string
	make func() store
}{
	{"table", func() store { t := NewTable(NewKey()); return tableStore{t, t.Open()} }},
	{"map", func() store { return &mapStore{owners: make(map[string]uint32)} }},
}

// benchID is the n-th of many ids of 20 bytes, in buf.
func benchID(buf []byte, n int) []byte {
	return strconv.AppendUint(buf[:0], 10_000_000_000_000_000_000+uint64(n)*2_654_435_761, 10)
}

// BenchmarkTable fills each store with sessions and reports what they cost:
// bytes of heap, time to bind and to look up, and how long a whole garbage
// collection takes with them.
func BenchmarkTable(b *testing.B) {
	for _, million := range []int{1, 5} {
		for _, s := range stores {
			b.Run(fmt.Sprintf("%s-%dM", s.name, million), func(b *testing.B) {
				if million > 1 && testing.Short() {
					b.Skip("large")
				}
				benchStore(b, s.make, million*1_000_000)
			})
		}
	}
}

func benchStore(b *testing.B, make func() store, sessions int) {
	buf := []byte("01234567890123456789")
	before := heap()
	began := time.Now()
	s := make()
	for i := range sessions {
		s.bind(benchID(buf, i))
	}
	bind := time.Since(began)
	bytes := heap() - before
	began = time.Now()
	runtime.GC()
	collect := time.Since(began)

	rnd := rand.New(rand.NewPCG(1, 1))
	for b.Loop() {
		if !s.lookup(benchID(buf, rnd.IntN(sessions))) {
			b.Fatal("a session is missing")
		}
	}
	b.ReportMetric(float64(bytes)/float64(sessions), "B/session")
	b.ReportMetric(float64(bind.Nanoseconds())/float64(sessions), "ns/bind")
	b.ReportMetric(float64(collect.Microseconds())/1e3, "ms/GC")
	runtime.KeepAlive(s)
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkLookupOnAllCores looks up with all of them at once.
func BenchmarkLookupOnAllCores(b *testing.B) {
	for _, s := range stores {
		b.Run(s.name, func(b *testing.B) {
			filled := s.make()
			buf := []byte("01234567890123456789")
			for i := range 1_000_000 {
				filled.bind(benchID(buf, i))
			}
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				buf := []byte("01234567890123456789")
				for i := rand.IntN(1_000_000); pb.Next(); i = (i + 7919) % 1_000_000 {
					filled.lookup(benchID(buf, i))
				}
			})
		})
	}
}

// BenchmarkBindOnAllCores binds and unbinds with all of them at once.
func BenchmarkBindOnAllCores(b *testing.B) {
	table := NewTable(NewKey())
	in := table.Open()
	var workers atomic.Int64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		buf := []byte("01234567890123456789")
		from := int(workers.Add(1)) * 1_000_000
		for i := 0; pb.Next(); i++ {
			k := table.Key(benchID(buf, from+i%1_000_000))
			table.BindKey(k, in)
			table.UnbindKey(k, in)
		}
	})
}

// BenchmarkKey does what a handshake does to an id, by id and by key.
func BenchmarkKey(b *testing.B) {
	table := NewTable(NewKey())
	in, id := table.Open(), []byte("aB3_-xYz0123456789AA")
	b.Run("id", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			table.Lookup(id)
			table.Bind(id, in)
			table.Lookup(id)
		}
	})
	b.Run("key", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			k := table.Key(id)
			table.LookupKey(k)
			table.BindKey(k, in)
			table.LookupKey(k)
		}
	})
}

// BenchmarkPurge kills the owner of a million sessions and frees their space.
func BenchmarkPurge(b *testing.B) {
	buf := []byte("01234567890123456789")
	table := NewTable(NewKey())
	var kill, sweep time.Duration
	for b.Loop() {
		in := table.Open()
		for i := range 1_000_000 {
			table.Bind(benchID(buf, i), in)
		}
		began := time.Now()
		table.Kill(in, Death{})
		kill += time.Since(began)
		began = time.Now()
		table.Sweep(time.Now())
		sweep += time.Since(began)
	}
	b.ReportMetric(float64(kill.Nanoseconds())/float64(b.N), "ns/kill")
	b.ReportMetric(float64(sweep.Microseconds())/1e3/float64(b.N), "ms/sweep")
}
