package logs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A smallDisk is a file that can't be written any more at some 64 KiB, until there
// is room.
type smallDisk struct {
	t    *testing.T
	file *os.File
	room func(bytes int)
}

// newSmallDisk mounts a file system that is as small as that or, where tests may
// not, limits the size of files (setrlimit(2)): either way a write is cut where the
// limit is.
func newSmallDisk(t *testing.T) *smallDisk {
	t.Helper()
	const size = 64 << 10
	d := &smallDisk{t: t}
	dir := t.TempDir()
	options := func(size int) string { return fmt.Sprint("size=", size) }
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options(size)); err == nil {
		t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		d.room = func(size int) {
			if err := unix.Mount("", dir, "", unix.MS_REMOUNT, options(size)); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		t.Log("no file system of its own: ", err)
		var before unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_FSIZE, &before); err != nil {
			t.Fatal(err)
		}
		d.room = func(size int) {
			if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: uint64(size), Max: before.Max}); err != nil {
				t.Fatal(err)
			}
		}
		d.room(size)
		t.Cleanup(func() { unix.Setrlimit(unix.RLIMIT_FSIZE, &before) })
	}
	d.file = d.open(filepath.Join(dir, "log"))
	return d
}

func (d *smallDisk) open(path string) *os.File {
	d.t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { f.Close() })
	return f
}

// lines returns what is in the file.
func (d *smallDisk) lines() []string {
	d.t.Helper()
	text, err := os.ReadFile(d.file.Name())
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.SplitAfter(string(text), "\n")
}

// fill lets a worker print numbered lines until there is no room, and returns the
// number of the next one.
func (d *smallDisk) fill(l *Logs) (next int) {
	d.t.Helper()
	for ; next < 1000; next++ {
		d.print(l, next)
	}
	d.awaitEvent(l, "the log cannot be written")
	if all := d.lines(); all[len(all)-1] == "" {
		d.t.Fatal("no line is cut, so nothing is tested")
	}
	return next
}

func (d *smallDisk) print(l *Logs, number int) {
	l.Line(1, 7, Stdout, fmt.Appendf(nil, "%d %s", number, strings.Repeat("x", 100)))
}

func (d *smallDisk) awaitEvent(l *Logs, message string) {
	d.t.Helper()
	late := time.After(time.Minute)
	for next := uint64(1); ; next++ {
		select {
		case <-l.Events().Grown(next):
		case <-late:
			d.t.Fatalf("never: %s", message)
		}
		if events, _ := l.Events().From(next, 1); events[0].Message == message {
			return
		}
	}
}

// numbers returns those of the workers' lines, of which the first may be any, and
// how many are said to be lost. All lines have to be JSON, but for cut ones.
func (d *smallDisk) numbers(cut int) (numbers []int, lost int) {
	d.t.Helper()
	all := d.lines()
	if last := len(all) - 1; all[last] != "" {
		d.t.Errorf("the last line has no end: %q", all[last])
	} else {
		all = all[:last]
	}
	for _, text := range all {
		var line struct {
			Msg, Line string
			Lines     int
		}
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			if cut--; cut < 0 {
				d.t.Errorf("a line that is no JSON: %q", text)
			}
			continue
		}
		if line.Msg != "worker output" {
			lost += line.Lines
			continue
		}
		number := 0
		fmt.Sscan(line.Line, &number)
		numbers = append(numbers, number)
	}
	if cut > 0 {
		d.t.Errorf("%d lines less are cut", cut)
	}
	return numbers, lost
}

// consecutive fails the test unless numbers go on to the last one.
func consecutive(t *testing.T, numbers []int, last int) {
	t.Helper()
	for i, n := range numbers {
		if n != numbers[0]+i {
			t.Fatalf("%d follows %d", n, numbers[i-1])
		}
	}
	if len(numbers) == 0 || numbers[len(numbers)-1] != last {
		t.Errorf("of %d lines the last one is missing", len(numbers))
	}
}

// The line that a full disk cuts is finished before another one is begun, and
// nothing is lost that there is room for in memory.
func TestFullDiskCutsNoLine(t *testing.T) {
	d := newSmallDisk(t)
	l := New("json", "info", d.file, d.file)
	next := d.fill(l)
	d.print(l, next)
	d.room(1 << 20)
	d.awaitEvent(l, "the log is written again")
	d.print(l, next+1)
	l.Close()
	numbers, lost := d.numbers(0)
	consecutive(t, numbers, next+1)
	if numbers[0] != 0 || lost != 0 {
		t.Errorf("from %d on, %d lost", numbers[0], lost)
	}
}

// What is more than memory has room for is counted.
func TestFullDiskLosesWholeLinesAndCountsThem(t *testing.T) {
	d := newSmallDisk(t)
	l := New("json", "info", d.file, d.file)
	all := d.fill(l)
	for ; all < 2*spoolSize/200; all++ {
		d.print(l, all)
	}
	d.room(64 << 20)
	d.awaitEvent(l, "the log is written again")
	l.Close()
	numbers, lost := d.numbers(0)
	if !slices.IsSorted(numbers) {
		t.Error("lines changed places")
	}
	if lost == 0 || len(numbers)+lost != all {
		t.Errorf("%d lines are there and %d are said to be lost, of %d", len(numbers), lost, all)
	}
	if text := strings.Join(d.lines(), ""); !strings.Contains(text, "could not be written") || strings.Contains(text, "nobody read") {
		t.Error("it does not say why")
	}
}

// Who empties the file to make room does not get the rest of a line.
func TestFullDiskThatIsEmptied(t *testing.T) {
	d := newSmallDisk(t)
	l := New("json", "info", d.file, d.file)
	next := d.fill(l)
	d.room(1 << 20)
	if err := os.Truncate(d.file.Name(), 0); err != nil { // both before it is tried again, or the other is
		t.Fatal(err)
	}
	d.awaitEvent(l, "the log is written again")
	l.Close()
	numbers, lost := d.numbers(0)
	consecutive(t, numbers, next-1)
	if lost != 0 {
		t.Errorf("%d lines were lost", lost)
	}
}

// A line that was cut ends before the next one begins, whoever wrote it.
func TestLineOfOthersIsEnded(t *testing.T) {
	d := newSmallDisk(t)
	const cut = `{"time":"2026-01-`
	d.file.WriteString(cut)
	l := New("json", "info", d.file, d.file)
	d.print(l, 0)
	d.print(l, 1)
	l.Close()
	if all := d.lines(); all[0] != cut+"\n" {
		t.Errorf("the file begins with %q", all[0])
	}
	numbers, _ := d.numbers(1)
	consecutive(t, numbers, 1)
	again := New("json", "info", d.file, d.file)
	d.print(again, 2)
	again.Close()
	numbers, _ = d.numbers(1)
	consecutive(t, numbers, 2)
}

// What could not be written before an upgrade is written after it.
func TestUnwrittenLinesGoOnElsewhere(t *testing.T) {
	d := newSmallDisk(t)
	before := New("json", "info", d.file, d.file)
	next := d.fill(before)
	if early := before.State(); len(early.Unwritten[Stderr].Records) > 0 {
		t.Error("a state gave lines away that are still to be written")
	}
	before.Close()
	text, err := json.Marshal(before.State())
	if err != nil {
		t.Fatal(err)
	}
	d.room(1 << 20)
	var s State
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	l := New("json", "info", d.file, d.file)
	d.print(l, next) // before it knew
	l.Restore(s)
	l.Close()
	numbers, lost := d.numbers(1)
	numbers = slices.DeleteFunc(numbers, func(n int) bool { return n == next })
	consecutive(t, numbers, next-1)
	if len(numbers) != next || lost != 0 {
		t.Errorf("%d lines and %d lost, of %d", len(numbers), lost, next)
	}
}

// Of what nobody reads before an upgrade it is known after it how much that was.
func TestUnreadLinesGoOnElsewhere(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := New("text", "info", w, w)
	const lines = 1000
	for i := range lines {
		before.Line(1, 7, Stdout, fmt.Appendf(nil, "%d %s", i, strings.Repeat("x", 100)))
	}
	before.Close() // after its time limit
	s := before.State()
	read := make(chan string)
	go func() {
		var all bytes.Buffer
		all.ReadFrom(r)
		read <- all.String()
	}()
	<-before.spools[Stderr].done // what it was about to write comes first, in this process
	l := New("text", "info", w, w)
	l.Restore(s)
	l.Close()
	w.Close()
	seen, lost := 0, 0
	for line := range strings.Lines(<-read) {
		if strings.HasPrefix(line, "[1] ") {
			seen++
		}
		if _, count, ok := strings.Cut(line, "lines="); ok {
			fmt.Sscan(count, &lost)
		}
	}
	if lost == 0 || lost > pieceSize/100 || seen < lines-lost || seen > lines {
		t.Errorf("%d lines and %d lost, of %d", seen, lost, lines)
	}
}

// Who shares a pipe may make it non-blocking, as Node does.
func TestPipeThatSomebodyMakesNonBlocking(t *testing.T) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "r"), os.NewFile(uintptr(fds[1]), "w")
	defer r.Close()
	if err := syscall.SetNonblock(fds[1], true); err != nil {
		t.Fatal(err)
	}
	l := New("text", "info", w, w)
	const lines = 2000
	var want strings.Builder
	for i := range lines { // more than a pipe holds
		line := fmt.Sprint(i, strings.Repeat("x", 100))
		l.Line(1, 7, Stdout, []byte(line))
		fmt.Fprintf(&want, "[1] %s\n", line)
	}
	got := make([]byte, want.Len())
	for n := 0; n < len(got); {
		more, err := r.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += more
	}
	l.Close()
	w.Close()
	if string(got) != want.String() {
		t.Error("lines are missing, or cut")
	}
}
