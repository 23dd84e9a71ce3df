package supervisor

// ProcessSettings are what a worker's process gets from us rather than from
// whoever started us. Zero changes nothing.
type ProcessSettings struct {
	// User and Group are whom the worker runs as, each a name or a number: ""
	// for our own user, and for the user's own group. Only root can choose.
	User, Group string

	// OpenFiles is the limit of open files, soft and hard; 0: the limits that we
	// were started with, though the Go runtime has raised our own soft one.
	// Only root may exceed the hard one.
	OpenFiles int

	// Nice is added to our own niceness. Only root may use less than 0.
	Nice int
}

// launched reports whether the settings are made in the worker's process,
// between fork and exec.
func (p *ProcessSettings) launched() bool {
	return p.User != "" || p.Group != "" || p.OpenFiles != 0 || p.Nice != 0
}

// prepare looks up and makes what all workers' settings need. It comes before
// the first child.
func (s *Supervisor) prepare() (err error) {
	p := &s.current.Process
	if _, err = lookupCredentials(p.User, p.Group); err != nil {
		return err // not only in each spawn, which would be tried for ever
	}
	s.memory, err = limitMemory(s.spec.Memory)
	return err
}
