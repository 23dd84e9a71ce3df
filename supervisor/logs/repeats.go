package logs

import (
	"slices"
	"strings"
	"sync"
	"time"
)

// Limits of what is compared, and held back.
const (
	heldTime    = 2 * time.Second // a line is, at most; many programs sleep for a second before they exit
	ownBytes    = 64 << 10        // of one worker that starts
	allBytes    = 4 << 20         // of all of them, and of the dead
	keptTexts   = 8               // different ones that are not shown again
	forgetAfter = 2 * time.Minute // one that is not repeated
)

// A repeats keeps workers that can't start from printing the same again and again.
// What the first one prints is shown as it comes. Of those that print the same and
// die, too, before they are ready, only the number is told.
//
// So lines of a worker that starts are held back where they are, so far, what
// another one has printed before. They are shown, in order, as soon as something
// else comes, or too much, or the worker is ready, and after heldTime in any case.
type repeats struct {
	show func(*Line)     // must not wait
	say  func(times int) // that what came last of some text is shown no more, and how often it came; must not wait or call back

	mu       sync.Mutex
	starting map[self]*printer
	dead     []*printer // whose texts were shown whole, the one that was printed last first
	latest   *printer   // the last that died, if its text was shown and not counted; else nil
	bytes    int        // of all
	timer    *time.Timer
	closed   bool
}

func newRepeats(show func(*Line), say func(times int)) *repeats {
	return &repeats{show: show, say: say, starting: make(map[self]*printer)}
}

// begin notes that a worker starts. All others' lines are shown at once.
func (r *repeats) begin(who self) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.closed {
		r.starting[who] = &printer{self: who, since: time.Now()}
	}
}

// print shows a line, now or later, or counts it.
func (r *repeats) print(line Line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.starting[self{line.Slot, line.PID}]
	if p != nil && (p.bytes+len(line.Text) > ownBytes || r.bytes+len(line.Text) > allBytes) {
		r.leave(p)
		p = nil
	}
	if p == nil {
		r.show(&line)
		return
	}
	if len(p.lines) == 0 {
		p.models = r.models()
	}
	p.add(line)
	r.bytes += len(line.Text)
	nth := len(p.said[line.Stream]) - 1
	if p.live {
		r.show(&line)
		r.keep(p, func(follower *printer) bool { return p.agrees(follower, line.Stream, nth) })
		return
	}
	p.models = slices.DeleteFunc(p.models, func(m *printer) bool { return !m.agrees(p, line.Stream, nth) })
	p.held = append(p.held, line)
	if len(p.models) == 0 {
		r.release(p)
	} else if p.timer == nil {
		p.timer = time.AfterFunc(heldTime, func() { r.tooLate(p) })
	}
}

// ready notes that a worker starts no more. What another one of its slot died with
// is news again.
func (r *repeats) ready(who self) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.starting[who]; p != nil {
		r.leave(p)
	}
	r.forget(func(m *printer) bool {
		delete(m.slots, who.slot)
		return len(m.slots) == 0
	})
}

// end notes that a worker is dead and prints nothing more.
func (r *repeats) end(who self) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.starting[who]
	switch {
	case p == nil:
	case len(p.lines) == 0:
		r.leave(p)
	default:
		p.ended = true
		r.settle(p)
	}
}

// close shows all that is held back, and from now on each line at once.
func (r *repeats) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	var held []Line
	for _, p := range r.starting {
		held = append(held, p.take()...)
	}
	clear(r.starting)
	slices.SortStableFunc(held, func(a, b Line) int { return a.Time.Compare(b.Time) })
	for i := range held {
		r.show(&held[i])
	}
	r.report()
}

// models returns those whose texts another worker may be about to repeat.
func (r *repeats) models() []*printer {
	r.forget(func(m *printer) bool { return time.Since(m.last) > forgetAfter })
	all := slices.Clone(r.dead)
	for _, p := range r.starting {
		if p.live {
			all = append(all, p)
		}
	}
	return all
}

// tooLate shows what was held back for heldTime.
func (r *repeats) tooLate(p *printer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.starting[p.self] != p: // it was not late after all
	case p.ended:
		r.release(p) // the one whose text it may be lives on
	default:
		r.showHeld(p)
	}
}

func (r *repeats) showHeld(p *printer) {
	for _, line := range p.take() {
		r.show(&line)
	}
}

// release shows what a worker prints from now on: it repeats nobody.
func (r *repeats) release(p *printer) {
	r.report() // first: something else is shown now
	r.showHeld(p)
	p.live, p.models = true, nil
	if p.ended {
		r.settle(p)
	}
}

// leave shows what a worker prints from now on, and does not compare it any more.
func (r *repeats) leave(p *printer) {
	r.showHeld(p)
	delete(r.starting, p.self)
	r.bytes -= p.bytes
	r.keep(p, func(*printer) bool { return false })
}

// keep takes a model from all that follow it but those it is still one for.
func (r *repeats) keep(model *printer, of func(follower *printer) bool) {
	for _, p := range r.starting {
		i := slices.Index(p.models, model)
		if i < 0 || of(p) {
			continue
		}
		p.models = slices.Delete(p.models, i, i+1)
		if p.ended {
			r.settle(p)
		} else if len(p.models) == 0 {
			r.release(p)
		}
	}
}

// settle decides about one that has ended, if that can be.
func (r *repeats) settle(p *printer) {
	if p.live {
		r.bury(p)
		return
	}
	for _, m := range p.models {
		if m.ended && m.saidAsMuch(p) {
			r.count(m, p)
			return
		}
	}
	p.models = slices.DeleteFunc(p.models, func(m *printer) bool { return m.ended })
	if len(p.models) == 0 {
		r.release(p)
	}
}

// bury makes the text of one that has died, and was shown, one that is not shown
// again.
func (r *repeats) bury(p *printer) {
	delete(r.starting, p.self)
	p.slots, p.last = map[int]struct{}{p.slot: {}}, time.Now()
	r.dead = slices.Insert(r.dead, 0, p)
	r.latest = p
	for _, follower := range r.starting {
		if follower.ended && slices.Contains(follower.models, p) {
			r.settle(follower)
		}
	}
	r.keep(p, func(follower *printer) bool { return !follower.saidMore(p) })
	if len(r.dead) > keptTexts {
		oldest := r.dead[keptTexts]
		r.forget(func(m *printer) bool { return m == oldest })
	}
}

// count notes that one died as another before.
func (r *repeats) count(m, p *printer) {
	p.take()
	delete(r.starting, p.self)
	r.bytes -= p.bytes
	r.latest = nil
	m.times++
	m.slots[p.slot], m.last = struct{}{}, time.Now()
	i := slices.Index(r.dead, m)
	r.dead = slices.Insert(slices.Delete(r.dead, i, i+1), 0, m)
	if r.timer == nil && !r.closed {
		r.timer = time.AfterFunc(m.patience(), r.reportLate)
	}
}

// forget lets the texts of some of the dead be shown again.
func (r *repeats) forget(some func(m *printer) bool) {
	var gone []*printer
	r.dead = slices.DeleteFunc(r.dead, func(m *printer) bool {
		yes := some(m)
		if yes {
			gone = append(gone, m)
		}
		return yes
	})
	for _, m := range gone {
		r.tell(m)
		r.bytes -= m.bytes
		r.keep(m, func(*printer) bool { return false })
	}
}

func (r *repeats) reportLate() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.timer = nil
	r.report()
}

// report says what was counted and not yet told.
func (r *repeats) report() {
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	for _, m := range r.dead {
		r.tell(m)
	}
}

func (r *repeats) tell(m *printer) {
	if m.times > m.told {
		m.told = m.times
		r.say(m.times)
	}
}

// omit takes the last lines of a worker out of a text, which has them indented,
// where the same were shown just before, as the last ones of any that died.
func (r *repeats) omit(text string, hidden func(Stream) bool) string {
	lines := strings.Split(text, "\n")
	isTheirs := func(line string) bool { return strings.HasPrefix(line, below) }
	from := slices.IndexFunc(lines, isTheirs)
	if from < 0 {
		return text
	}
	to := from
	for to < len(lines) && isTheirs(lines[to]) {
		to++
	}
	if !r.justShown(lines[from:to], hidden) {
		return text
	}
	return strings.Join(slices.Replace(lines, from, to, below+"(shown above)"), "\n")
}

func (r *repeats) justShown(lines []string, hidden func(Stream) bool) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.latest == nil || len(lines) > len(r.latest.lines) {
		return false
	}
	shown := r.latest.lines[len(r.latest.lines)-len(lines):]
	for i := range lines {
		if lines[i] != below+shown[i].Text || hidden(shown[i].Stream) {
			return false
		}
	}
	return true
}
