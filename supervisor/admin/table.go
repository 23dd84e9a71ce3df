package admin

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/stickyd/stickyd/supervisor/terminal"
)

// wideWidth is from how many columns on a table shows more.
const wideWidth = 100

// A column is what a table shows of each worker.
type column struct {
	name string
	wide bool // only where there is room
	of   func(w *Worker, now time.Time) string
}

var columns = []column{
	{"SLOT", false, func(w *Worker, _ time.Time) string { return fmt.Sprint(w.Slot) }},
	{"STATE", false, func(w *Worker, _ time.Time) string { return w.shownState() }},
	{"GEN", false, func(w *Worker, _ time.Time) string { return unless(w.Generation == 0, w.Generation) }},
	{"PID", false, func(w *Worker, _ time.Time) string { return unless(w.PID == 0, w.PID) }},
	{"UP", false, func(w *Worker, now time.Time) string { return unless(w.PID == 0, since(w.Started, now)) }},
	{"SESSIONS", false, func(w *Worker, _ time.Time) string { return unless(w.PID == 0, w.Sessions) }},
	{"UNTAKEN", true, func(w *Worker, _ time.Time) string { return unless(w.PID == 0, w.Untaken) }},
	{"RESTARTS", false, func(w *Worker, _ time.Time) string { return fmt.Sprint(w.Restarts) }},
	{"CRASHES", false, func(w *Worker, _ time.Time) string { return fmt.Sprint(w.Crashes) }},
	{"MEMORY", false, func(w *Worker, _ time.Time) string {
		return unless(w.PID == 0 || w.ResidentBytes == 0, fmt.Sprintf("%d MiB", (w.ResidentBytes+1<<19)>>20))
	}},
	{"CPU", true, func(w *Worker, _ time.Time) string {
		return unless(w.PID == 0 || w.ResidentBytes == 0,
			time.Duration(w.CPUSeconds*float64(time.Second)).Round(100*time.Millisecond).String())
	}},
}

// unless returns the text of v, or what stands for none.
func unless(none bool, v any) string {
	if none {
		return "–"
	}
	return fmt.Sprint(v)
}

// notesIndent is how far notes stand below the worker that they are about.
const notesIndent = 6

// text is a status for people: at most width columns wide, unless a word is
// longer, and at most height lines, 0 for any number, of which at least one is
// about workers. Those that are not ready are the last to be left out.
func (s *Status) text(now time.Time, width, height int) string {
	page := s.head(now, width)
	table := s.table(now, width)
	page = append(page, table[0]...)
	shown := s.fitting(table[1:], width, height, rows(page, width))
	for i, block := range table[1:] {
		if shown[i] {
			page = append(page, block...)
		}
	}
	page = append(page, s.more(shown, width)...)
	return strings.Join(page, "\n") + "\n"
}

// fitting chooses the workers that are shown in height lines, of which used are
// full.
func (s *Status) fitting(blocks [][]string, width, height, used int) (shown []bool) {
	shown = make([]bool, len(blocks))
	for nth, i := range s.byUrgency() {
		shown[i] = true
		used += rows(blocks[i], width)
		if height > 0 && nth > 0 && used+len(s.more(shown, width)) > height {
			shown[i] = false
			break
		}
	}
	return shown
}

// byUrgency returns the workers by how much they are to be seen: those that do
// not work, those that come or go, and the rest; each in their order.
func (s *Status) byUrgency() (order []int) {
	for i := range s.Workers {
		order = append(order, i)
	}
	slices.SortStableFunc(order, func(a, b int) int { return s.Workers[a].urgency() - s.Workers[b].urgency() })
	return order
}

func (w *Worker) urgency() int {
	switch w.shownState() {
	case "ready", stateTrial:
		return 2
	case "draining", "finishing", "drained", "done":
		return 1
	}
	return 0
}

// stateTrial is shown of one that is ready, but on trial.
const stateTrial = "trial"

func (w *Worker) shownState() string {
	if w.OnTrial && w.State == "ready" {
		return stateTrial
	}
	return w.State
}

// visible returns a copy of which a terminal may be shown all texts.
func (s *Status) visible() *Status {
	v := *s
	v.Version, v.Operation = terminal.Visible(s.Version), terminal.Visible(s.Operation)
	v.Listen, v.Workers = slices.Clone(s.Listen), slices.Clone(s.Workers)
	for i := range v.Listen {
		v.Listen[i] = terminal.Visible(v.Listen[i])
	}
	for i := range v.Workers {
		w := &v.Workers[i]
		w.State, w.Why, w.LastExit = terminal.Visible(w.State), terminal.Visible(w.Why), terminal.Visible(w.LastExit)
	}
	return &v
}

// head is what stands above the table.
func (s *Status) head(now time.Time, width int) []string {
	state := ""
	if s.Stopping {
		state = ", stopping"
	}
	lines := wrap(fmt.Sprintf("stickyd %s, pid %d, up %s%s, %s, %s",
		s.Version, s.PID, since(s.Started, now), state, strings.Join(s.Listen, " "), count(s.Sessions, "session")), width, 2)
	if s.Operation != "" {
		lines = append(lines, wrap("now: "+s.Operation, width, 2)...)
	}
	if ids := s.ids(); ids != "" {
		lines = append(lines, wrap(ids, width, 2)...)
	}
	if s.Hint != "" {
		lines = append(lines, wrap("hint: "+s.Hint, width, 2)...)
	}
	return lines
}

// table returns the lines of the head of the table and of each worker.
func (s *Status) table(now time.Time, width int) (blocks [][]string) {
	var shown []column
	for _, c := range columns {
		if !c.wide || width >= wideWidth {
			shown = append(shown, c)
		}
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(cell func(column) string) {
		for i, c := range shown {
			if i > 0 {
				fmt.Fprint(table, "\t")
			}
			fmt.Fprint(table, cell(c))
		}
		fmt.Fprintln(table)
	}
	row(func(c column) string { return c.name })
	for i := range s.Workers {
		row(func(c column) string { return c.of(&s.Workers[i], now) })
	}
	table.Flush()
	for line := range strings.Lines(text.String()) {
		blocks = append(blocks, []string{strings.TrimRight(line, " \n")})
	}
	for i := range s.Workers {
		if notes := s.Workers[i].notes(now); len(notes) > 0 {
			indent := strings.Repeat(" ", notesIndent)
			for _, line := range wrap(strings.Join(notes, "; "), width-notesIndent, 2) {
				blocks[i+1] = append(blocks[i+1], indent+line)
			}
		}
	}
	return blocks
}

// notes are why a worker is in its state, and how the last one that crashed
// ended.
func (w *Worker) notes(now time.Time) []string {
	why, crash, next := w.Why, "", ""
	if w.shownState() == stateTrial {
		why = "" // that says it, and many may be
	}
	if !w.DrainsUntil.IsZero() {
		why = join(why, since(now, w.DrainsUntil)+" left")
	}
	if w.tellsCrash(now) {
		crash = "last crash"
		if !w.LastExitAt.IsZero() {
			crash += " " + since(w.LastExitAt, now) + " ago"
		}
		crash += ": " + w.LastExit
	}
	if w.waits() && w.LastExit != "" {
		crash = join(crash, fmt.Sprintf("%d in a row", w.Deaths))
		next = "next start in " + since(now, w.Next)
	}
	return slices.DeleteFunc([]string{why, crash, next}, func(s string) bool { return s == "" })
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// crashIsNews is how long a crash is told of a slot that has got over it.
const crashIsNews = 10 * time.Minute

// tellsCrash reports whether the last crash is why the slot is as it is, or news.
func (w *Worker) tellsCrash(now time.Time) bool {
	if w.LastExit == "" || w.LastExitAt.IsZero() {
		return w.LastExit != ""
	}
	inARow := w.Deaths > 0 && (w.waits() || w.State == "starting")
	return inARow || now.Sub(w.LastExitAt) < crashIsNews
}

// waits reports whether the slot has no worker, and will get one.
func (w *Worker) waits() bool { return w.PID == 0 && !w.Next.IsZero() }

// more says how many workers are not shown, if there are any.
func (s *Status) more(shown []bool, width int) []string {
	var rest []string
	for i := range s.Workers {
		if !shown[i] {
			rest = append(rest, s.Workers[i].shownState())
		}
	}
	if len(rest) == 0 {
		return nil
	}
	return wrap(fmt.Sprintf("… %d more: %s", len(rest), tally(rest)), width, 2)
}

// tally says how many there are of each word, in the order in which they came.
func tally(words []string) string {
	var names, parts []string
	number := make(map[string]int)
	for _, word := range words {
		if number[word]++; number[word] == 1 {
			names = append(names, word)
		}
	}
	for _, name := range names {
		parts = append(parts, fmt.Sprint(number[name], " ", name))
	}
	return strings.Join(parts, ", ")
}
