package admin

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// write prints a status for people.
func (s *Status) write(to io.Writer, now time.Time) error {
	state := ""
	if s.Stopping {
		state = ", stopping"
	}
	fmt.Fprintf(to, "stickyd %s, pid %d, up %s%s, %s, %d sessions\n",
		s.Version, s.PID, since(s.Started, now), state, strings.Join(s.Listen, " "), s.Sessions)
	if s.Operation != "" {
		fmt.Fprintf(to, "now: %s\n", s.Operation)
	}
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SLOT\tSTATE\tGEN\tPID\tUP\tSESSIONS\tUNTAKEN\tRESTARTS\tMEMORY\tCPU\tWHY, LAST EXIT")
	for i := range s.Workers {
		w := &s.Workers[i]
		fmt.Fprintf(table, "%d\t%s\t%s\n", w.Slot, w.State, strings.Join(w.cells(now), "\t"))
	}
	return table.Flush()
}

// longestExit keeps the table in shape.
const longestExit = 60

// cells are the columns behind the state.
func (w *Worker) cells(now time.Time) []string {
	generation, restarts, notes := "–", fmt.Sprint(w.Restarts), strings.Join(w.notes(now), "; ")
	if w.Generation > 0 {
		generation = fmt.Sprint(w.Generation)
	}
	if w.PID == 0 {
		return []string{generation, "–", "–", "–", "–", restarts, "–", "–", notes}
	}
	memory, cpu := "–", "–"
	if w.ResidentBytes > 0 {
		memory = fmt.Sprintf("%d MiB", (w.ResidentBytes+1<<19)>>20)
		cpu = time.Duration(w.CPUSeconds * float64(time.Second)).Round(100 * time.Millisecond).String()
	}
	return []string{generation, fmt.Sprint(w.PID), since(w.Started, now), fmt.Sprint(w.Sessions), fmt.Sprint(w.Untaken), restarts, memory, cpu, notes}
}

// notes are why it is in its state, and how the process before it ended.
func (w *Worker) notes(now time.Time) (all []string) {
	why := w.Why
	if !w.DrainsUntil.IsZero() {
		why = join(why, since(now, w.DrainsUntil)+" left")
	}
	exit := w.LastExit
	if r := []rune(exit); len(r) > longestExit { // what to do about it stands in the log
		exit = string(r[:longestExit]) + "…"
	}
	if w.PID == 0 && !w.Next.IsZero() {
		exit = join(exit, fmt.Sprintf("%d in a row", w.Deaths))
		all = append(all, "next start in "+since(now, w.Next))
	}
	return slices.DeleteFunc(append([]string{why, exit}, all...), func(s string) bool { return s == "" })
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}

// since is the time from one moment to another in its two highest units.
func since(from, to time.Time) string {
	d := max(to.Sub(from), 0)
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	case d >= 10*time.Second:
		return fmt.Sprintf("%ds", d/time.Second)
	}
	return d.Round(100 * time.Millisecond).String()
}
