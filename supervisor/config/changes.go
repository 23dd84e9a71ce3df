package config

import "slices"

// An Effect is what it takes for another value of an option to hold while
// stickyd runs.
type Effect int

// The effects.
const (
	Swapped   Effect = iota // nothing: it holds from then on
	Scaled                  // workers are started, or drained
	Replaced                // a rolling restart
	Listened                // listeners are opened and closed
	OnUpgrade               // the process keeps the old value until it is upgraded or started anew
	OnStart                 // the process keeps the old value until it is started anew
)

// Changes returns the names of the options, as the file has them, whose values
// are not the same in both, by what it takes for the new ones to hold.
func Changes(old, now *Config) map[Effect][]string {
	changes := make(map[Effect][]string)
	a, b := &loaded{Config: *old}, &loaded{Config: *now}
	for i := range options {
		if o := &options[i]; !o.kind.same(a, b) {
			changes[o.effect] = append(changes[o.effect], o.key())
		}
	}
	return changes
}

// Keep gives now the values that old has of all options with these effects.
func Keep(now, old *Config, effects ...Effect) {
	to, from := &loaded{Config: *now}, &loaded{Config: *old}
	for i := range options {
		if o := &options[i]; slices.Contains(effects, o.effect) {
			o.kind.copy(to, from)
		}
	}
	*now = to.Config
}
