package logs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A stage is where workers print.
type stage struct {
	t     *testing.T
	r     *repeats
	shown []string
}

func newStage(t *testing.T) *stage {
	s := &stage{t: t}
	s.r = newRepeats(
		func(l *Line) { s.shown = append(s.shown, fmt.Sprintf("[%d] %s", l.Slot, l.Text)) },
		func(times int) { s.shown = append(s.shown, fmt.Sprint("again ", times)) })
	return s
}

// act does what a line of a play says. Workers are called by their slot and a
// letter, as 1a.
func (s *stage) act(line string) {
	s.t.Helper()
	who, what, _ := strings.Cut(line, " ")
	slot, _ := strconv.Atoi(who[:1])
	w := self{slot, 1000 + 100*slot + int(who[1])}
	verb, rest, _ := strings.Cut(what, " ")
	switch {
	case who == "wait":
		d, err := time.ParseDuration(what)
		if err != nil {
			s.t.Fatal(err)
		}
		time.Sleep(d)
		synctest.Wait()
	case verb == "begins":
		s.r.begin(w)
	case verb == "prints", verb == "prints-err":
		stream := Stdout
		if verb == "prints-err" {
			stream = Stderr
		}
		s.r.print(Line{Time: time.Now(), Slot: slot, PID: w.pid, Stream: stream, Text: rest})
	case verb == "dies": // with these lines
		s.r.begin(w)
		for text := range strings.SplitSeq(rest, "|") {
			s.r.print(Line{Time: time.Now(), Slot: slot, PID: w.pid, Text: text})
		}
		s.r.end(w)
	case verb == "ready":
		s.r.ready(w)
	case verb == "ends":
		s.r.end(w)
	case verb == "shows": // since this was asked last
		var want []string
		if rest != "" {
			want = strings.Split(rest, "|")
		}
		s.r.mu.Lock() // which guards what is shown, too
		got := s.shown
		s.shown = nil
		s.r.mu.Unlock()
		if !slices.Equal(got, want) {
			s.t.Errorf("shown are %q, want %q", got, want)
		}
	case verb == "closes":
		s.r.close()
	default:
		s.t.Fatal("nobody knows how to act ", line)
	}
}

func TestRepeats(t *testing.T) {
	for name, play := range map[string]string{
		"what is repeated is counted": `
			1a dies no|luck
			it shows [1] no|[1] luck
			1b dies no|luck
			1c dies no|luck
			it shows
			wait 5s
			it shows again 2
			1d dies no|luck
			it closes
			it shows again 3`,
		"workers that start at a time": `
			1a begins
			2a begins
			1a prints no
			2a prints no
			2a prints luck
			it shows [1] no
			2a ends
			1a prints luck
			1a ends
			it shows [1] luck
			it closes
			it shows again 1`,
		"what is new is shown at once, and what was held back for it": `
			1a dies no|luck
			2a begins
			2a prints no
			it shows [1] no|[1] luck
			2a prints money
			it shows [2] no|[2] money
			2a prints left
			it shows [2] left`,
		"less than what was repeated is new": `
			1a dies no|luck
			1b dies no
			it shows [1] no|[1] luck|[1] no`,
		"more is new": `
			1a dies no
			1b dies no|luck
			it shows [1] no|[1] no|[1] luck
			1c dies no|luck
			1d dies no
			it closes
			it shows again 1|again 1`,
		"the number is told before something else": `
			1a dies no
			1b dies no
			1c dies luck
			it shows [1] no|again 1|[1] luck`,
		"two that fail in turn": `
			1a dies no
			2a dies luck
			1b dies no
			2b dies luck
			it shows [1] no|[2] luck
			wait 5s
			it shows again 1|again 1`,
		"a worker that gets ready": `
			1a begins
			2a begins
			1a prints hello
			2a prints hello
			it shows [1] hello
			2a ready
			it shows [2] hello
			2a prints bye
			1a ready
			1a prints bye
			it shows [2] bye|[1] bye`,
		"the one that others may repeat gets ready": `
			1a begins
			2a begins
			1a prints hello
			2a prints hello
			1a ready
			it shows [1] hello|[2] hello
			2a prints bye
			it shows [2] bye`,
		"a worker that stays up": `
			1a dies no|luck
			2a begins
			2a prints no
			it shows [1] no|[1] luck
			wait 2s
			it shows [2] no
			2a prints luck
			it shows
			wait 2s
			it shows [2] luck`,
		"one that dies after a while": `
			1a dies no|luck
			2a begins
			2a prints no
			wait 3s
			2a prints luck
			2a ends
			it shows [1] no|[1] luck|[2] no
			it closes
			it shows again 1`,
		"one that dies before the one that it repeats": `
			1a begins
			2a begins
			1a prints no
			2a prints no
			2a ends
			it shows [1] no
			wait 2s
			it shows [2] no
			1a prints luck
			1a ends
			2b dies no
			it closes
			it shows [1] luck|again 1`,
		"the streams come in any order": `
			1a begins
			1a prints-err no
			1a prints luck
			1a ends
			1b begins
			1b prints luck
			1b prints-err no
			1b ends
			it shows [1] no|[1] luck
			it closes
			it shows again 1`,
		"and are two": `
			1a dies no
			1b begins
			1b prints-err no
			it shows [1] no|[1] no`,
		"when a slot has got over it, it is news again": `
			1a dies no
			2a dies no
			1b begins
			1b ready
			2b dies no
			it shows [1] no
			2c begins
			2c ready
			1c dies no
			it shows again 2|[1] no`,
		"and after some time": `
			1a dies no
			wait 3m
			1b dies no
			it shows [1] no|[1] no`,
		"it is told less often where it goes on": `
			1a dies no
			wait 100s
			1b dies no
			wait 49s
			it shows [1] no
			1c dies no
			wait 1s
			it shows again 2`,
		"nothing is no text": `
			1a begins
			1a ends
			1b begins
			1b ends
			wait 1m
			it shows`,
		"one that was there before": `
			1a dies no
			2a prints no
			2a ends
			it shows [1] no|[2] no`,
		"in the end all is shown": `
			1a dies no|luck
			2a begins
			3a begins
			2a prints no
			wait 1s
			3a prints no
			it closes
			it shows [1] no|[1] luck|[2] no|[3] no
			2a prints luck
			4a dies no|luck
			it shows [2] luck|[4] no|[4] luck
			wait 1m
			it shows`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newStage(t)
				for line := range strings.SplitSeq(strings.TrimSpace(play), "\n") {
					s.act(strings.TrimSpace(line))
				}
				s.r.close()
			})
		})
	}
}

// What is too much is shown, and not compared.
func TestRepeatsAreBounded(t *testing.T) {
	s := newStage(t)
	text := strings.Repeat("x", 1000)
	const lines = ownBytes/1000 + 2
	for range 2 {
		s.act("1a begins")
		for range lines {
			s.act("1a prints " + text)
		}
		s.act("1a ends")
	}
	if len(s.shown) != 2*lines {
		t.Errorf("%d lines are shown, of %d", len(s.shown), 2*lines)
	}
	for i := range 2 * allBytes / ownBytes { // each with another text
		s.act(fmt.Sprintf("1a dies %d %s", i, strings.Repeat("y", ownBytes-100)))
	}
	if len(s.r.dead) != keptTexts || len(s.r.starting) != 0 {
		t.Errorf("%d dead and %d others are known", len(s.r.dead), len(s.r.starting))
	}
	for _, m := range slices.Clone(s.r.dead) {
		s.r.forget(func(p *printer) bool { return p == m })
	}
	if s.r.bytes != 0 {
		t.Errorf("%d bytes are kept of nothing", s.r.bytes)
	}
}

// Whatever workers do, of each line that is not shown the same has been shown, and
// those of a worker that are shown come in order.
func FuzzRepeats(f *testing.F) {
	f.Add([]byte{12, 0, 4, 8, 12, 1, 5, 9, 13, 0, 16, 20})
	f.Add([]byte{12, 13, 0, 1, 24, 4, 5, 24, 24, 12, 13, 0, 28, 1, 4, 5, 12, 20, 0})
	f.Fuzz(func(t *testing.T, moves []byte) {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t)
			printed := make(map[string][]string) // by worker
			seen := make(map[string][]string)
			s.r.show = func(l *Line) {
				who := fmt.Sprint(l.Slot, ".", l.PID)
				seen[who] = append(seen[who], l.Text)
			}
			texts := []string{"no", "luck", "money"}
			life := make([]int, 4)
			for _, m := range moves {
				slot := int(m % 4)
				w := self{slot, 1000*(slot+1) + life[slot]}
				switch move := m / 4 % 8; move {
				case 0, 1, 2:
					who := fmt.Sprint(w.slot, ".", w.pid)
					printed[who] = append(printed[who], texts[move])
					s.r.print(Line{Time: time.Now(), Slot: w.slot, PID: w.pid, Text: texts[move]})
				case 3, 4:
					s.r.end(w)
					life[slot]++
					s.r.begin(self{slot, w.pid + 1})
				case 5:
					s.r.ready(w)
				case 6:
					time.Sleep(time.Second)
					synctest.Wait()
				case 7:
					time.Sleep(5 * time.Second)
					synctest.Wait()
				}
			}
			s.r.close()
			var whole [][]string
			for who := range printed {
				if slices.Equal(seen[who], printed[who]) {
					whole = append(whole, printed[who])
				}
			}
			for who, lines := range printed {
				if got := seen[who]; !slices.Equal(got, lines[:len(got)]) {
					t.Errorf("of %q are shown %q", lines, got)
				}
				if !slices.ContainsFunc(whole, func(w []string) bool { return slices.Equal(w, lines) }) {
					t.Errorf("%q are shown of nobody", lines)
				}
			}
		})
	})
}
