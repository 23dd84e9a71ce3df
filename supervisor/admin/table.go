package admin

import (
	"fmt"
	"io"
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
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SLOT\tSTATE\tPID\tUP\tSESSIONS\tUNTAKEN\tRESTARTS\tMEMORY\tCPU\tLAST EXIT")
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
	restarts, exit := fmt.Sprint(w.Restarts), w.LastExit
	if r := []rune(exit); len(r) > longestExit { // what to do about it stands in the log
		exit = string(r[:longestExit]) + "…"
	}
	if w.PID == 0 {
		if !w.Next.IsZero() {
			exit += fmt.Sprintf(", %d in a row; next start in %s", w.Deaths, since(now, w.Next))
		}
		return []string{"–", "–", "–", "–", restarts, "–", "–", exit}
	}
	memory, cpu := "–", "–"
	if w.ResidentBytes > 0 {
		memory = fmt.Sprintf("%d MiB", (w.ResidentBytes+1<<19)>>20)
		cpu = time.Duration(w.CPUSeconds * float64(time.Second)).Round(100 * time.Millisecond).String()
	}
	return []string{fmt.Sprint(w.PID), since(w.Started, now), fmt.Sprint(w.Sessions), fmt.Sprint(w.Untaken), restarts, memory, cpu, exit}
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
