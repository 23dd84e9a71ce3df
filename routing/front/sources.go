package front

import (
	"slices"
	"sync/atomic"

	"github.com/stickyd/stickyd/routing"
)

// A source counts, for one of the places where ids are looked for, the connections
// that carried one there and were handed over.
type source struct {
	spec                 string // of the place
	found, dead, unknown atomic.Int64
}

// count counts a connection by what is known of its id; s is nil if it has none.
func (s *source) count(l routing.Lookup) {
	switch l {
	case routing.Found, routing.Rescued:
		s.found.Add(1)
	case routing.Dead:
		s.dead.Add(1)
	case routing.Never:
		s.unknown.Add(1)
	}
}

// SourceCounts count the connections that carried an id in one place, each time that
// one was handed over.
type SourceCounts struct {
	Source string `json:"source"` // as session.Parse takes it

	Found   int64 `json:"found"`   // a live worker has the session
	Dead    int64 `json:"dead"`    // its worker has died
	Unknown int64 `json:"unknown"` // nobody has registered it, or it is forgotten
}

// Sources returns the counts of each place where ids are looked for, in that order.
func (f *Front) Sources() (all []SourceCounts) {
	sources := f.settings.Load().sources
	for i, s := range sources {
		if !slices.Contains(sources[:i], s) { // it may be configured twice
			all = append(all, SourceCounts{s.spec, s.found.Load(), s.dead.Load(), s.unknown.Load()})
		}
	}
	return all
}

// sourcesOf returns a source for each place; those that there were in old go on.
func sourcesOf(specs []string, old []*source) (all []*source) {
	for _, spec := range specs {
		s := find(slices.Concat(old, all), spec)
		if s == nil {
			s = &source{spec: spec}
		}
		all = append(all, s)
	}
	return all
}

// find returns the source of that place, nil if there is none.
func find(all []*source, spec string) *source {
	for _, s := range all {
		if s.spec == spec {
			return s
		}
	}
	return nil
}

// restoreSources adds what another front has counted.
func (f *Front) restoreSources(counts []SourceCounts) {
	sources := f.settings.Load().sources
	for _, c := range counts {
		if s := find(sources, c.Source); s != nil {
			s.found.Add(c.Found)
			s.dead.Add(c.Dead)
			s.unknown.Add(c.Unknown)
		}
	}
}
