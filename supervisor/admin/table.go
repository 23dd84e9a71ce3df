package admin

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// Widths that a table may have, in columns of a terminal.
const (
	usualWidth = 80 // also of what is no terminal: nothing is cut there, only wrapped
	wideWidth  = 100
)

// A column is what a table shows of each worker.
type column struct {
	name string
	wide bool // only where there is room
	of   func(w *Worker, now time.Time) string
}

var columns = []column{
	{"SLOT", false, func(w *Worker, _ time.Time) string { return fmt.Sprint(w.Slot) }},
	{"STATE", false, func(w *Worker, _ time.Time) string { return w.State }},
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

// write prints a status for people: at most width columns wide, unless a word is
// longer, and at most height lines, 0 for any number, of which at least one is
// about workers.
func (s *Status) write(to io.Writer, now time.Time, width, height int) error {
	page := s.head(now, width)
	table := s.table(now, width)
	page = append(page, table[0]...)
	shown, used := 0, rows(page, width)
	for i, block := range table[1:] {
		used += rows(block, width)
		if height > 0 && i > 0 && used+len(more(s.Workers[i+1:], width)) > height {
			break
		}
		shown++
	}
	for _, block := range table[1 : 1+shown] {
		page = append(page, block...)
	}
	page = append(page, more(s.Workers[shown:], width)...)
	_, err := io.WriteString(to, strings.Join(page, "\n")+"\n")
	return err
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
	if !w.DrainsUntil.IsZero() {
		why = join(why, since(now, w.DrainsUntil)+" left")
	}
	if w.LastExit != "" {
		crash = "last crash"
		if !w.LastExitAt.IsZero() {
			crash += " " + since(w.LastExitAt, now) + " ago"
		}
		crash += ": " + w.LastExit
	}
	if w.PID == 0 && !w.Next.IsZero() && w.LastExit != "" {
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

// more says how many workers are not shown, if there are any.
func more(rest []Worker, width int) []string {
	if len(rest) == 0 {
		return nil
	}
	return wrap(fmt.Sprintf("… %d more: %s", len(rest), states(rest)), width, 2)
}

// states says how many workers are in which state.
func states(workers []Worker) string {
	var names, parts []string
	number := make(map[string]int)
	for i := range workers {
		if number[workers[i].State]++; number[workers[i].State] == 1 {
			names = append(names, workers[i].State)
		}
	}
	for _, name := range names {
		parts = append(parts, fmt.Sprint(number[name], " ", name))
	}
	return strings.Join(parts, ", ")
}
