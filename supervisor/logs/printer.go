package logs

import "time"

// A printer is a worker that starts, or died before it was ready, and what it has
// printed.
type printer struct {
	self
	since time.Time // it was started
	lines []Line
	said  [2][]said // the same by stream: which stream comes first is chance
	bytes int
	ended bool // it prints nothing more

	// While it starts:
	live   bool        // its lines are shown as they come
	models []*printer  // otherwise those whose text its own is so far
	held   []Line      // and what is not shown yet
	timer  *time.Timer // nil if that is nothing

	// When it is dead, and its text was shown:
	times, told int              // how often that was repeated, and how often it was said to be
	slots       map[int]struct{} // those in which workers died so, and none was ready since
	last        time.Time        // that one did
}

func (p *printer) add(line Line) {
	p.lines = append(p.lines, line)
	p.said[line.Stream] = append(p.said[line.Stream], saidOf(line.Text))
	p.bytes += len(line.Text)
}

// take returns what is held back, which it is no longer.
func (p *printer) take() []Line {
	if p.timer != nil {
		p.timer.Stop()
		p.timer = nil
	}
	held := p.held
	p.held = nil
	return held
}

// agrees reports whether the nth line of a stream is the same of two, as far as
// both have come.
func (p *printer) agrees(other *printer, stream Stream, nth int) bool {
	mine, others := p.said[stream], other.said[stream]
	if nth < len(mine) && nth < len(others) {
		return mine[nth].same(p.self, others[nth], other.self)
	}
	return nth < len(mine) || !p.ended
}

// saidMore reports whether p has printed what model, which agrees, never did.
func (p *printer) saidMore(model *printer) bool {
	return len(p.said[Stdout]) > len(model.said[Stdout]) || len(p.said[Stderr]) > len(model.said[Stderr])
}

// saidAsMuch reports whether two that agree have printed the same.
func (p *printer) saidAsMuch(other *printer) bool { return !p.saidMore(other) && !other.saidMore(p) }

// What is counted is told after some time, and after more where it goes on.
const (
	soonestReport = 5 * time.Second
	latestReport  = time.Minute
)

func (p *printer) patience() time.Duration {
	return min(max(soonestReport, time.Since(p.since)/2), latestReport)
}
